"""Do networks with several inputs, and with integers for inputs, come in as what they are?"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from service.contracts.job import StagedDataset
from tests.workers.facts import input_facts
from workers.kind import AnalysisError
from workers.subject.declared import agrees, specs
from workers.subject.layers import inventory, random_inputs
from workers.subject.network import Loaded
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal
from workers.subject.staged import as_read, disagreements
from workers.subject.subject import Examples

pytestmark = pytest.mark.slow

OPEN = {0: torch.export.Dim.DYNAMIC}


class Pair(nn.Module):
    """Reads x (N, 3), and where they are given y (N, 3) and a mask (N,); gives (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        made = self.first(x)
        if y is not None:
            made = made - 2 * self.second(y)
        return made if mask is None else made * mask[:, None]


class Gathered(nn.Module):
    """Reads a list of two tensors and a dict of one."""

    def forward(self, many: list[Tensor], named: dict[str, Tensor]) -> Tensor:
        return many[0] - 2 * many[1] + 3 * named["third"]


def loaded(
    folder: Path, network: nn.Module, given: tuple[Any, ...], keywords: Any = None, shapes: Any = None
) -> Loaded:
    program = torch.export.export(network.eval(), given, keywords, dynamic_shapes=shapes, strict=False)
    torch.export.save(program, folder / "m.pt2")
    rewrite(folder / "m.pt2", folder / "c.pt2")
    return load(folder / "c.pt2")


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, generator=draws), torch.rand(2, 3, generator=draws), torch.tensor([1, 0])


def test_positional_inputs_keep_their_order(tmp_path, tensors):
    network = Pair()
    x, y, _ = tensors
    found = loaded(tmp_path, network, (x, y), shapes=(OPEN, OPEN))
    assert [tuple(each.shape[1:]) for each in found.inputs] == [(3,), (3,)]
    assert found.batch is None
    more = (torch.rand(5, 3), torch.rand(5, 3))
    assert torch.equal(found.model(*more), network(*more))


def test_keyword_inputs_are_taken_in_the_order_of_the_export(tmp_path, tensors):
    network = Pair()
    x, y, mask = tensors
    found = loaded(tmp_path, network, (x,), {"mask": mask, "y": y})
    assert [each.dtype for each in found.inputs] == [torch.float32, torch.int64, torch.float32]
    assert torch.equal(found.model(x, mask, y), network(x, y, mask))


def test_what_was_left_out_or_constant_stays_so(tmp_path, tensors):
    network = Pair()
    x, _, mask = tensors
    found = loaded(tmp_path, network, (x, None, mask))
    assert len(found.inputs) == 2
    assert torch.equal(found.model(x, mask), network(x, None, mask))


def test_inputs_inside_lists_and_dicts_are_taken_one_by_one(tmp_path, tensors):
    x, y, _ = tensors
    found = loaded(tmp_path, Gathered(), ([x, y], {"third": x + y}))
    assert len(found.inputs) == 3
    assert torch.equal(found.model(x, y, x + 1), x - 2 * y + 3 * (x + 1))


def test_inputs_whose_first_axes_are_not_all_the_batch_are_refused(tmp_path):
    class Table(nn.Module):
        def forward(self, x: Tensor, weights: Tensor) -> Tensor:
            return x @ weights

    with pytest.raises(Refusal, match="not all the batch") as caught:
        loaded(tmp_path, Table(), (torch.rand(2, 3), torch.rand(3, 4)))
    assert caught.value.remedy
    with pytest.raises(Refusal, match="open, 3: they are not all the batch"):
        loaded(tmp_path, Table(), (torch.rand(2, 3), torch.rand(3, 4)), shapes=(OPEN, None))


def test_an_input_without_axes_is_refused(tmp_path):
    class Scaled(nn.Module):
        def forward(self, x: Tensor, by: Tensor) -> Tensor:
            return x * by

    with pytest.raises(Refusal, match="no axes"):
        loaded(tmp_path, Scaled(), (torch.rand(2, 3), torch.tensor(2.0)))


# --- what was declared


def facts_of(*inputs: dict[str, Any], classes: int = 4) -> ModelFacts:
    first, *further = inputs
    return ModelFacts.model_validate(
        {
            "task": "classification",
            "input": first,
            "further_inputs": [{"name": f"input {at + 1}", "input": each} for at, each in enumerate(further)],
            "output": {"kind": "logits", "classes": [f"class {at}" for at in range(classes)]},
        }
    )


def ids(*shape: int, high: int = 9) -> dict[str, Any]:
    return {"kind": "tokens", "layout": "NT"[: 1 + len(shape)], "shape": shape, "bounds": {"low": [0], "high": [high]}}


TABLE = input_facts((3,))
SWITCH = {**ids(high=1), "shape": ()}


class Reader(nn.Module):
    """Reads ids (N, 6) below 10 and a mask (N, 6); gives (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(10, 5), nn.Linear(5, 4)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        kept = mask.unsqueeze(2).float()
        return self.head((self.words(words) * kept).sum(1) / kept.sum(1))


@pytest.fixture
def pair(tmp_path, tensors) -> Loaded:
    return loaded(tmp_path, Pair(), tensors, shapes=(OPEN, OPEN, OPEN))


@pytest.fixture
def reader(tmp_path) -> Loaded:
    given = (torch.zeros(2, 6, dtype=torch.int64), torch.ones(2, 6, dtype=torch.int64))
    return loaded(tmp_path, Reader(), given, shapes=(OPEN, OPEN))


def test_inputs_are_compared_by_their_places_and_named_in_the_manifest(pair):
    facts = facts_of(TABLE, TABLE, SWITCH)
    agrees(pair, facts)
    inputs, _ = specs(pair, facts)
    assert [(each.name, each.dtype, each.shape) for each in inputs] == [
        ("input", "float32", ("N", "3")),
        ("input 1", "float32", ("N", "3")),
        ("input 2", "int64", ("N",)),
    ]


@pytest.mark.parametrize(
    ("declared", "code", "words"),
    [
        ((TABLE,), "inputs", "takes 3 inputs; declared are 1"),
        ((TABLE, TABLE, TABLE, TABLE), "inputs", "takes 3 inputs; declared are 4 .input, 'input 1'"),
        ((TABLE, SWITCH, TABLE), "input-dtype", "input 1 of the model reads float32; ids are int64"),
        ((TABLE, input_facts((5,)), SWITCH), "input-shape", "further_inputs.0.input.shape declares .* as .5."),
        ((TABLE, TABLE, TABLE), "input-dtype", "input 2 of the model reads int64, .*further_inputs.1.input.kind"),
    ],
)
def test_what_differs_from_the_declaration_is_refused_by_its_place(pair, declared, code, words):
    with pytest.raises(Refusal, match=words) as caught:
        agrees(pair, facts_of(*declared))
    assert caught.value.code == code
    assert caught.value.remedy


def test_a_model_of_texts_needs_a_tokenizer(reader):
    with pytest.raises(Refusal, match="brings no tokenizer") as caught:
        agrees(reader, facts_of({**ids(6), "kind": "text"}))
    assert caught.value.code == "no-tokenizer"


def test_ids_have_whole_bounds_and_no_preprocessing():
    with pytest.raises(ValueError, match="whole numbers"):
        facts_of({**ids(6), "bounds": {"low": [0], "high": [9.5]}})
    with pytest.raises(ValueError, match="leave preprocessing out"):
        facts_of({**ids(6), "preprocessing": {"mean": [1.0], "std": [2.0]}})


def test_two_further_inputs_have_two_names():
    twice = [{"name": "mask", "input": SWITCH}, {"name": "mask", "input": SWITCH}]
    with pytest.raises(ValueError, match="two further inputs have one name"):
        ModelFacts.model_validate({**facts_of(TABLE).model_dump(), "further_inputs": twice})


def test_random_ids_lie_within_their_bounds_differ_between_examples_and_no_mask_is_empty(reader):
    words, mask = random_inputs(reader, facts_of(ids(6), ids(6, high=1)), 4)
    assert words.dtype == mask.dtype == torch.int64
    assert 0 <= int(words.min()) < int(words.max()) <= 9
    assert all(bool((words[at] != words[at + 1]).all()) for at in range(3))
    assert set(mask.flatten().tolist()) == {0, 1}
    assert mask[:, 0].tolist() == [1] * 4
    assert mask[:, -1].tolist() == [0] * 4


def test_the_layers_of_a_network_of_ids_are_listed_with_what_can_be_asked(reader):
    facts = facts_of(ids(6), ids(6, high=1))
    agrees(reader, facts)
    layers = {layer.name: layer for layer in inventory(reader, facts, random_inputs(reader, facts, 2), None).layers}
    assert layers["words"].auditable == "auditable"
    assert layers["words"].output_shape == ("N", "6", "5")
    assert layers["head"].auditable == "auditable"


def test_a_network_that_mixes_precisions_is_refused(tmp_path):
    class Mixed(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y.float()

    found = loaded(tmp_path, Mixed(), (torch.rand(2, 4), torch.rand(2, 4).double()))
    with pytest.raises(Refusal, match="different precision: float32 and float64"):
        agrees(found, facts_of(input_facts((4,)), input_facts((4,))))


# --- datasets


class Words:
    """A tokenizer of two letters."""

    name = "letters"

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, ...]:
        rows = torch.tensor([[ord(letter) - ord("a") for letter in text.ljust(length, "a")] for text in texts])
        return rows, (rows > 0).long()

    def pieces(self, text: str, length: int) -> tuple[tuple[str, int, int], ...]:
        return ()


def test_texts_become_the_tokens_that_the_network_reads(reader):
    network = dataclasses.replace(reader, tokenizer=Words())
    facts = facts_of({**ids(6), "kind": "text"})
    agrees(network, facts)
    read = Examples(name="d", digest="sha256:0", inputs=torch.zeros(2, 0), labels=None, texts=("bad", "cab"))
    made = as_read(read, network, facts, torch.device("cpu"))
    assert made.inputs.tolist() == [[1, 0, 3, 0, 0, 0], [2, 0, 1, 0, 0, 0]]
    assert [each.tolist() for each in made.further] == [[[1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 0]]]
    assert made.texts == ("bad", "cab")
    with pytest.raises(AnalysisError, match="holds none"):
        as_read(dataclasses.replace(read, texts=None), network, facts, torch.device("cpu"))


def test_every_input_is_read_in_the_dtype_of_the_network(pair):
    read = Examples(
        name="d", digest="sha256:0", inputs=torch.ones(2, 3, dtype=torch.float64), labels=torch.tensor([0, 1]),
        further=(torch.ones(2, 3), torch.ones(2)),
    )  # fmt: skip
    made = as_read(read, pair, facts_of(TABLE, TABLE, SWITCH), torch.device("cpu"))
    assert [each.dtype for each in (made.inputs, *made.further)] == [torch.float32, torch.float32, torch.int64]
    with pytest.raises(AnalysisError, match="takes 3 inputs, dataset 'd' holds 1"):
        as_read(dataclasses.replace(read, further=()), pair, facts_of(TABLE, TABLE, SWITCH), torch.device("cpu"))


def staged(model: ModelFacts, **changes: Any) -> StagedDataset:
    further = [each.model_dump(mode="json") for each in model.further_inputs]
    declared = {"input": model.input.model_dump(mode="json"), "further_inputs": further, **changes}
    manifest = {
        "format": "npz", "rewriter": "r", "canonical_digest": "sha256:" + "0" * 64, "examples": 2, "labels": None,
        "inputs": {"name": "inputs", "dtype": "float32", "shape": ["N"]}, "low": 0.0, "high": 1.0,
    }  # fmt: skip
    return StagedDataset.model_validate(
        {"file": "d", "name": "d", "digest": "sha256:" + "0" * 64, "facts": declared, "manifest": manifest}
    )


def test_a_dataset_agrees_or_every_difference_is_pointed_at():
    model = facts_of(TABLE, TABLE, SWITCH)
    assert disagreements("evaluation", staged(model), model) == []
    (fault,) = disagreements("evaluation", staged(model, further_inputs=[]), model)
    assert fault.pointer == "/inputs/evaluation/facts/further_inputs"
    other = [{"name": "input 1", "input": {**TABLE, "unit": "metre"}}, {"name": "input 2", "input": SWITCH}]
    (fault,) = disagreements("evaluation", staged(model, further_inputs=other), model)
    assert fault.pointer == "/inputs/evaluation/facts/further_inputs/0/input/unit"
    text = facts_of({**ids(6), "kind": "text"})
    (fault,) = disagreements("evaluation", staged(text, input=ids(6)), text)
    assert fault.pointer == "/inputs/evaluation/facts/input/kind"
