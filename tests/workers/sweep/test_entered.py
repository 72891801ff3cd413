"""Inputs as layers: names, ids as embeddings, what is held, what is refused, and numbers against a hand computation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.family import Family
from lamina.zoo.files import write
from lamina.zoo.folders import FOLDERS
from tests import networks
from tests.references import targets_embedded as by_hand
from tests.references.conductance import left_differences
from tests.workers.sweep.conftest import Swept, run
from workers.subject.formats import FORMATS
from workers.sweep.completeness import completeness
from workers.sweep.copies import copied, in_precision
from workers.sweep.embedded import Average, Ids
from workers.sweep.entered import Entered, entered
from workers.sweep.entrances import Entrance, NoEmbedding
from workers.sweep.jump import MOST, jump, why_jumps
from workers.sweep.probe import probe
from workers.sweep.refusals import TrainingMode
from workers.sweep.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::captum", "ignore:::transformers")
VOCABULARY = 10


def ids_from(origin: Any = "zero", real: Tensor | None = None, like: Tensor | None = None, **changes: Any) -> Ids:
    """Ids below VOCABULARY, all of them real unless said otherwise."""
    if real is None:
        assert like is not None
        real = torch.ones_like(like, dtype=torch.bool)
    return Ids(origin=origin, real=real, **{"low": 0, "high": VOCABULARY - 1, **changes})


TEXT = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [1, 1, 2, 9, 9, 8]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])


def reader(origin: Any = "zero") -> Entered:
    network = networks.ready(networks.Reader())
    return entered(network, (TEXT, MASK), (ids_from(origin, MASK.bool()), MASK), names=("mask",))


# --- names


def test_a_floating_input_is_a_layer_and_no_name_changes():
    network, x = networks.mlp(), networks.points(3, 6)
    made = entered(network, (x,), (torch.zeros_like(x[:1]),))
    assert dict(made.inputs) == {"input": 0}
    assert [name for name, _ in made.model.named_modules()] == [
        "",
        "input",
        *(n for n, _ in network.named_modules() if n),
    ]
    assert dict(made.model.named_parameters()).keys() == dict(network.named_parameters()).keys()
    with torch.no_grad():
        assert torch.equal(made.model(*made.x), network(x))


def test_a_further_input_is_called_by_its_name_and_a_taken_name_gets_a_number():
    class Two(networks.Siamese):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.Identity()

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return super().forward(self.input(left), right)

    x = networks.points(4, 6).split(2)
    zero = torch.zeros(1, 6, dtype=torch.float64)
    made = entered(networks.ready(Two()), x, (zero, zero), names=("right.eye",))
    assert dict(made.inputs) == {"input_2": 0, "input_right_eye": 1}


def test_the_attribution_of_the_input_is_that_of_integrated_gradients():
    x, zero = torch.tensor([[3.0, 5.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    made = entered(networks.Squares().double(), (x,), (zero,))
    swept = run(made.model, made.x, made.origin, Target.value(), rule="trapezoid")
    assert swept["input"][0].tolist() == pytest.approx([15.0, 15.0])  # f = 2 x1 x2
    assert swept.probe.tap("input").cut
    assert swept.probe.tap("input").kind == "Input"


def test_a_model_that_changes_its_input_in_place_gets_the_same_numbers():
    network, x = networks.ready(networks.InPlaceInput()), networks.points(2, 6)
    zero = torch.zeros(1, 6, dtype=torch.float64)
    made = entered(network, (x.clone(),), (zero,))
    swept = run(made.model, made.x, made.origin, Target.classes(1), steps=100, rule="trapezoid")
    alone = run(network, x.clone(), zero, Target.classes(1), steps=100, rule="trapezoid")
    assert torch.allclose(swept["linear"], alone["linear"], atol=1e-14)
    assert completeness(swept.totals.signed("input"), swept.ends).worst_relative < 1e-3


def test_parameters_of_the_root_are_frozen_converted_and_copied_with_it():
    class Rooted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift, self.out = nn.Parameter(torch.ones(2)), nn.Linear(2, 1)
            self.register_buffer("offset", torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x + self.shift + self.offset)

    network = Rooted().eval()
    made = entered(network, (torch.ones(2, 2),), (torch.zeros(1, 2),)).model
    other = copied(made)
    other.double()
    assert {each.dtype for each in (*other.parameters(), *other.buffers())} == {torch.float64}
    assert other(torch.ones(1, 2, dtype=torch.float64)).dtype == torch.float64
    with torch.no_grad():
        for each in other.parameters():
            each.zero_()
    assert other(torch.ones(1, 2, dtype=torch.float64)).tolist() == [[0.0]], "the copy runs on its own parameters"
    assert network.shift.tolist() == [1.0, 1.0], "and the model on its own"
    made.train()
    assert network.training


# --- ids


def test_embedded_ids_are_floating_inputs_beside_the_ids():
    made, network = reader(), networks.ready(networks.Reader())
    assert dict(made.inputs) == {"input": 0}
    assert dict(made.entrances) == {"input": Entrance("words", 0, 0)}
    assert made.held == (1,)
    with torch.no_grad():
        assert torch.equal(made.x[0], network.words(TEXT))
        assert torch.equal(made.model(*made.x), network(TEXT, MASK))
        half = network.inner(0.5 * network.words(TEXT) + network.position(torch.arange(6)), MASK)
        assert torch.equal(made.model(0.5 * made.x[0], *made.x[1:]), half)


def test_what_was_hooked_is_unhooked():
    made = reader()
    made.model(*made.x)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in made.model.modules())


def test_padding_does_not_move():
    made, network = reader(), networks.ready(networks.Reader())
    with torch.no_grad():
        kept = MASK.bool().unsqueeze(2)
        assert torch.equal(made.origin[0], torch.where(kept, 0.0, network.words(TEXT)))
    assert torch.equal(made.origin[1], TEXT)


def test_without_padding_one_row_of_zeros_is_the_origin_of_all():
    made = entered(networks.ready(networks.Reader()), (TEXT, MASK), (ids_from(like=TEXT), MASK))
    assert made.origin[0].shape == (1, 6, 8)
    assert not made.origin[0].any()


def test_a_path_may_begin_at_the_embedding_of_another_id():
    made, network = reader(torch.zeros(1, 6, dtype=torch.int64)), networks.ready(networks.Reader())
    with torch.no_grad():
        assert torch.equal(made.origin[0], network.words(TEXT * (1 - MASK)))


def test_a_path_may_begin_at_the_average_embedding_of_all_real_positions():
    average = Average(inputs=(TEXT[:2], MASK[:2]), real=MASK[:2].bool())
    made, network = reader(average), networks.ready(networks.Reader())
    with torch.no_grad():
        mean = network.words(torch.tensor([1, 2, 3, 4, 5, 6, 6, 5, 4])).mean(0)
    assert torch.allclose(made.origin[0][0], mean.expand(6, 8), atol=1e-15)
    assert torch.allclose(made.origin[0][1, :3], mean.expand(3, 8), atol=1e-15)
    assert torch.equal(made.origin[0][1, 3:], made.x[0][1, 3:])


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_fixed_batch_is_filled(rows):
    class Static(networks.Reader):
        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            assert len(ids) == rows
            return super().forward(ids, mask)

    network = networks.ready(Static())
    made = entered(network, (TEXT, MASK), (ids_from(real=MASK.bool()), MASK), rows=rows)
    assert torch.equal(made.x[0], networks.ready(networks.Reader()).words(TEXT))


def test_one_module_that_reads_two_inputs_is_entered_at_each_of_its_calls():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.Embedding(VOCABULARY, 4), nn.Linear(8, 2)

        def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
            return {"logits": self.out(torch.cat([self.words(left).mean(1), self.words(right).mean(1)], 1))}

    network, other = networks.ready(Twice()), TEXT.flip(0)[:, :4]
    made = entered(network, (TEXT, other), (ids_from(like=TEXT), ids_from(like=other)), names=("right",))
    assert dict(made.entrances) == {"input": Entrance("words", 0, 0), "input_right": Entrance("words", 1, 1)}
    with torch.no_grad():
        assert torch.equal(made.x[1], network.words(other))
        again = made.model(made.x[1].repeat(1, 2, 1)[:, :6], made.x[0][:, :4], TEXT, other)["logits"]
        crossed = network(other.repeat(1, 2)[:, :6], TEXT[:, :4])["logits"]
        assert torch.equal(again, crossed)


def test_columns_with_embeddings_of_their_own_are_inputs_of_their_own():
    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.colour, self.size, self.out = nn.Embedding(3, 4), nn.Embedding(10, 4), nn.Linear(9, 2)

        def forward(self, codes: Tensor, age: Tensor) -> Tensor:
            return self.out(torch.cat([self.colour(codes[:, 0]), self.size(codes[:, 1]), age], 1))

    codes, age = torch.tensor([[0, 9], [2, 1]]), networks.points(2, 1)
    starts = (ids_from(like=codes, high=2), torch.zeros(1, 1, dtype=torch.float64))
    made = entered(networks.ready(Columns()), (codes, age), starts, names=("age",))
    assert dict(made.inputs) == {"input": 0, "input_2": 1, "input_age": 3}
    assert [each.module for each in made.entrances.values()] == ["colour", "size"]


def test_a_position_embedding_that_follows_the_padding_is_held():
    class Shifted(nn.Module):
        """Counts places from the first id that is not 0, as RoBERTa does."""

        def __init__(self) -> None:
            super().__init__()
            self.words, self.position = nn.Embedding(VOCABULARY, 4), nn.Embedding(7, 4)
            self.out = nn.Linear(4, 2)

        def forward(self, ids: Tensor) -> Tensor:
            real = (ids != 0).long()
            x = self.words(ids) + self.position(real.cumsum(1) * real)
            return self.out((x * real.unsqueeze(2)).sum(1))

    ids = torch.tensor([[4, 2, 1, 0, 0, 0], [1, 5, 6, 7, 8, 9]])
    made = entered(networks.ready(Shifted()), (ids,), (ids_from(real=ids != 0, pad=0),))
    assert [each.module for each in made.entrances.values()] == ["words"]


def test_where_a_model_changes_what_the_embedding_gave_in_place_the_numbers_are_right():
    class InPlace(networks.Reader):
        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            x = self.words(ids)
            x += self.position(torch.arange(6))
            return self.inner(x, mask)

    made = entered(networks.ready(InPlace()), (TEXT, MASK), (ids_from(real=MASK.bool()), MASK))
    plain = reader()
    one, other = (run(each.model, each.x, each.origin, Target.classes(1)) for each in (made, plain))
    assert torch.allclose(one["words"], other["words"], atol=1e-15)
    assert one.probe.tap("input").clone


def test_a_mask_before_the_ids_stays_where_it_is():
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = networks.Reader()

        def forward(self, mask: Tensor, ids: Tensor) -> Tensor:
            return self.inner(ids, mask)

    made = entered(networks.ready(Turned()), (MASK, TEXT), (MASK, ids_from(real=MASK.bool())), names=("ids",))
    assert dict(made.entrances) == {"input_ids": Entrance("inner.words", 0, 1)}
    assert made.held == (0,)


# --- refusals


def test_a_layer_in_training_mode_stays_so_and_is_refused():
    network = networks.resnet()
    network[1].train()
    x = networks.points(2, 3, 12, 12)
    made = entered(network, (x,), (torch.zeros_like(x[:1]),))
    with pytest.raises(TrainingMode, match="module '1'"):
        probe(made.model, made.x, made.origin, Target.classes(1))


class Functional(nn.Module):
    """Looks its ids up by an operation of the whole model."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Parameter(torch.randn(VOCABULARY, 4)), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(nn.functional.embedding(ids, self.table).mean(1))


class OneHot(Functional):
    def forward(self, ids: Tensor) -> Tensor:
        return self.out((nn.functional.one_hot(ids, VOCABULARY).to(self.table.dtype) @ self.table).mean(1))


class Inner(nn.Module):
    """The same, in a child that takes ids and gives logits."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Functional()

    def forward(self, ids: Tensor) -> Tensor:
        return self.inner(ids)


class Leaf(nn.Module):
    """A child without children that takes ids and gives, for each, what all of them say."""

    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(VOCABULARY, 4))

        def forward(self, ids: Tensor) -> Tensor:
            return nn.functional.embedding(ids, self.table).cumsum(1)

    def __init__(self) -> None:
        super().__init__()
        self.mixing, self.out = self.Mixing(), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.mixing(ids).mean(1))


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(VOCABULARY, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.bag(ids))


class Both(nn.Module):
    """Looks its ids up, and counts one of them besides."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(VOCABULARY, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids).mean(1)
        return self.out(x) + (ids == 2).sum(1, keepdim=True).to(x.dtype)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Functional, "reach no embedding that is a module"),
        (OneHot, "reach no embedding that is a module"),
        (Inner, "reach no embedding that is a module"),
        (Leaf, "'mixing' gives for one id, other ids have a part"),
        (Bag, "'bag' takes ids and gives .* in which a single id has no entry"),
        (Both, "also reach the output past 'words'"),
    ],
)
def test_ids_whose_way_in_cannot_be_followed_are_refused(network, words):
    with pytest.raises(NoEmbedding, match=words) as refused:
        entered(networks.ready(network()), (TEXT,), (ids_from(like=TEXT),))
    assert "with the embedded tokens as the input" in str(refused.value)


# --- numbers


def test_captum_agrees_on_every_layer_of_a_reader_where_ids_are_embedded_by_hand():
    class Rest(nn.Module):
        """The reader behind its embedding."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.network.inner(x + self.network.position(torch.arange(6)), mask)

    made, network = reader(), networks.ready(networks.Reader())
    swept = run(made.model, made.x, made.origin, Target.classes(1))
    rest, (x, start) = Rest(network), (each[0].detach() for each in (made.x, made.origin))
    for key in ("inner.mix", "inner.head"):
        method = LayerConductance(rest, network.get_submodule(key))
        theirs = torch.cat([
            method.attribute(x[i : i + 1], start[i : i + 1], 1, MASK[i : i + 1], n_steps=20) for i in range(3)
        ]).detach()  # fmt: skip
        assert float((swept[key] - theirs).abs().max() / theirs.abs().max()) <= 1e-10
    assert float(swept["input"][1, 3:].abs().max()) == 0, "padding gets nothing"


LAYERS = {
    ("bert", False): ("words", "norm", "layers.0", "layers.1.attention.query", "pooler"),
    ("gpt", False): ("words", "layers.0", "layers.1.feed.0", "norm"),
    ("t5", False): ("encoder", "decoder.cross.weights", "decoder", "norm"),
    ("bert", True): ("bert.embeddings.word_embeddings", "bert.encoder.layer.0.intermediate", "bert.pooler.dense"),
    ("gpt", True): ("transformer.wte", "transformer.h.1.mlp", "transformer.ln_f"),
    ("t5", True): ("encoder.final_layer_norm", "decoder.block.1.layer.2.DenseReluDense.wi", "decoder.final_layer_norm"),
}


def came(family: Family, form: str, network: nn.Module, folder: Path) -> nn.Module:
    if form == "plain":
        return network
    canonical = folder / "canonical"
    FORMATS[form].rewrite(write(family, form, network, folder), canonical, family.facts)
    return FORMATS[form].load(canonical, "cpu").model


def rest_of(name: str, network: nn.Module, x: tuple[Tensor, ...], i: int, stock: bool) -> by_hand.Rest:
    mask = x[-1][i : i + 1] if name == "gpt" else x[1][i : i + 1]
    if stock:
        inner = network.stock
        if name == "t5":
            return by_hand.stock_seq2seq(inner, mask, x[0].shape[1])
        return by_hand.stock_classifier(inner, mask) if name == "bert" else by_hand.stock_next(inner, mask)
    if name == "bert":
        return by_hand.bert(network, mask)
    return by_hand.gpt(network) if name == "gpt" else by_hand.t5(network, x[0].shape[1])


FORMS = [
    "plain", pytest.param("pt2", marks=pytest.mark.slow), pytest.param("huggingface", marks=pytest.mark.slow)
]  # fmt: skip


def asked(
    name: str, form: str, folder: Path, origin: str = "zero"
) -> tuple[nn.Module, Entered, Target, Swept, tuple[Tensor, ...]]:
    """A family's own network in float64, what came of it entered, and its conductances at 50 steps."""
    family = (FOLDERS if form == "huggingface" else FAMILIES)[name]
    network = family.network()
    x = tuple(each[:2] for each in family.examples())
    model = in_precision(came(family, form, network, folder), torch.float64)
    switches = {at for at, facts in enumerate(family.inputs) if facts.bounds.high == (1.0,)}
    real = [x[at + 1].bool() if at + 1 in switches else torch.ones_like(each).bool() for at, each in enumerate(x)]
    starts = tuple(
        each
        if at in switches
        else Ids(
            origin=Average(inputs=x, real=real[at]) if origin == "mean" else "zero",
            real=real[at],
            low=0,
            high=int(family.inputs[at].bounds.high[0]),
        )
        for at, each in enumerate(x)
    )
    made = entered(model, x, starts, names=tuple(each.name for each in family.facts.further_inputs))
    with torch.no_grad():
        axes = made.model(*made.x).ndim - 1
    target = Target.element(*[3] * axes) if axes > 1 else Target.classes(2)
    swept = run(made.model, made.x, made.origin, target, steps=50, rule="captum")
    hand = copy.deepcopy(network) if form == "plain" else network
    if hasattr(network, "stock"):
        network.stock.double()
    return hand.double(), made, target, swept, x


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["bert", "gpt", "t5"])
def test_a_family_that_reads_ids_gets_what_is_computed_by_hand_from_its_embedded_ids(name, form, tmp_path):
    network, made, target, swept, x = asked(name, form, tmp_path)
    stock = form == "huggingface"
    source = network.stock if stock else network
    for i in range(2):
        rest = rest_of(name, network, x, i, stock)
        point = torch.cat([each[i : i + 1] for each in made.x[: len(made.entrances)]], 1)
        start = torch.cat(
            [(each if len(each) == 1 else each[i : i + 1]) for each in made.origin[: len(made.entrances)]], 1
        )
        one = target.of(i, i + 1)
        assert one.select(rest(point), 1).tolist() == pytest.approx([float(swept.ends.output[i])], abs=1e-12)
        for key in LAYERS[name, stock]:
            if key.endswith(("words", "wte", "word_embeddings")):
                steps = _looked(rest, point, start, one)
            else:
                steps = left_differences(
                    rest, source.get_submodule(key), point, start, lambda out, t=one: t.select(out, 1), 50
                )
            ours = swept[key][i : i + 1]
            assert float((ours - steps).abs().max() / steps.abs().max()) <= 1e-10, key


def _looked(rest: by_hand.Rest, point: Tensor, start: Tensor, target: Target) -> Tensor:
    """captum's estimator at the embedded ids themselves: they change by the same amount in every step."""
    through = nn.Identity()
    return left_differences(lambda x: rest(through(x)), through, point, start, lambda out: target.select(out, 1), 50)


STEPS = {("t5", "huggingface"): 1000}
"""Where 50 are too few: large random weights behind norms without a mean."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["bert", "gpt", "t5"])
def test_a_family_that_reads_ids_is_complete_at_every_cut(name, form, tmp_path):
    _, made, target, _, _ = asked(name, form, tmp_path, origin="mean" if name == "t5" else "zero")
    swept = run(made.model, made.x, made.origin, target, steps=STEPS.get((name, form), 50), rule="trapezoid")
    cuts = [tap.key for tap in swept.probe.taps if tap.cut and tap.same_as is None]
    assert len(cuts) >= 3
    large = swept.ends.difference.abs() >= 0.1
    assert bool(large.any()), "the check is of something"
    for key in cuts:
        assert float(completeness(swept.totals.signed(key), swept.ends).relative[large].max()) <= 0.01, key
    both = sum(swept.totals.signed(key) for key in made.inputs)
    assert float(completeness(both, swept.ends).relative[large].max()) <= 0.01


def test_a_network_that_normalises_at_once_jumps_at_zero_vectors_and_not_elsewhere(tmp_path):
    _, zero, target, _, _ = asked("t5", "plain", tmp_path)
    _, mean, _, _, _ = asked("t5", "plain", tmp_path, origin="mean")
    _, other, its, _, _ = asked("bert", "plain", tmp_path)
    assert jump(zero.model, zero.x, zero.origin, target) > 10 * MOST
    assert jump(mean.model, mean.x, mean.origin, target) < MOST / 5
    assert jump(other.model, other.x, other.origin, its) < MOST / 5
    assert jump(other.model, other.x, other.x, its) == 0
    assert 'ask for baseline "pad"' in why_jumps(0.97)
    assert why_jumps(0.02) == ""


def test_a_child_called_model_keeps_its_name_and_can_be_reached():
    network = networks.ready(nn.ModuleDict({"model": nn.Linear(2, 1)}))
    made = entered(_Inside(network), (torch.ones(2, 2),), (torch.zeros(1, 2),)).model
    assert dict(made.named_modules()).keys() == {"", "model", "model.model", "input"}
    assert made.get_submodule("model.model") is network["model"]


class _Inside(nn.Module):
    def __init__(self, children: nn.ModuleDict) -> None:
        super().__init__()
        self.model = children

    def forward(self, x):
        return self.model["model"](x)
