"""Is each claim about a stored adversarial held against the bytes and the network, and each false one found?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from tests.workers import subjects
from tests.workers.facts import model_facts
from workers.recheck.asking import Asking, predicted, prepared
from workers.recheck.recheck import Rechecked, recheck
from workers.recheck.stored import Unreadable, arrays
from workers.tensorfile import save

Array = NDArray[Any]


class Signs(nn.Module):
    """Class 1 where the first number is above 0 and class 0 elsewhere, by its size; the second number is not read."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack((-x[:, 0], x[:, 0]), dim=1)


def facts(**preprocessing: list[float]) -> ModelFacts:
    declared = model_facts((2,), classes=2).model_dump(mode="json")
    declared["input"]["preprocessing"] = preprocessing or {"mean": [0.0], "std": [1.0]}
    return ModelFacts.model_validate(declared)


def asking(**preprocessing: list[float]) -> Asking:
    """Two examples of class 0."""
    inputs = torch.tensor([[-0.1, 0.5], [-0.2, 0.5]])
    return Asking(subjects.subject(Signs(), inputs, torch.zeros(2, dtype=torch.int64), facts(**preprocessing)))


def stored(folder: Path, **changed: Array) -> bytes:
    """Both examples moved across 0 by 0.3, and what is said of them."""
    said = {
        "index": np.asarray([0, 1]),
        "made": np.asarray([[0.2, 0.5], [0.1, 0.5]], np.float32),
        "epsilon": np.asarray([0.3, 0.3]),
        "prediction": np.asarray([1, 1]),
        "label": np.asarray([0, 0]),
    }
    save({**said, **changed}, folder / "adversarials.safetensors")
    return (folder / "adversarials.safetensors").read_bytes()


def test_what_is_as_it_was_said_to_be_is_confirmed(tmp_path: Path) -> None:
    assert recheck(asking(), stored(tmp_path), "linf") == Rechecked(n=2, confirmed=2, refused=())


FALSE: dict[str, tuple[dict[str, Array], str]] = {
    "further": ({"epsilon": np.asarray([0.3, 0.2999])}, "further than its budget"),
    "unit": ({"unit": np.asarray([0.5])}, "further than its budget"),
    "touched": ({"free": np.asarray([[True, True], [False, True]])}, "may not be changed"),
    "outside": ({"made": np.asarray([[0.2, 0.5], [1.5, 0.5]], np.float32)}, "above the highest"),
    "prediction": ({"prediction": np.asarray([1, 0])}, "predicts 1, not 0"),
    "not broken": ({"made": np.asarray([[0.2, 0.5], [-0.01, 0.5]], np.float32)}, "predicts 0, not 1"),
    "label": ({"label": np.asarray([0, 1])}, "still predicts its label 1"),
    "value": ({"value": np.asarray([[-0.2, 0.2], [-0.1, 0.11]])}, "gives an output that is"),
    "other shape": ({"value": np.asarray([[-0.2], [-0.1]])}, "gives an output that is inf"),
}


@pytest.mark.parametrize("how", FALSE)
def test_a_false_claim_about_the_second_is_refused_with_its_reason(how: str, tmp_path: Path) -> None:
    changed, reason = FALSE[how]
    found = recheck(asking(), stored(tmp_path, **changed), "linf")
    assert reason in dict(found.refused)[1]
    assert found.confirmed == found.n - len(found.refused)


def test_raw_units_are_prepared_as_the_facts_declare_it(tmp_path: Path) -> None:
    """With a mean of 0.15 for the first feature the second adversarial lies below it."""
    found = recheck(asking(mean=[0.15, 0.0], std=[2.0, 1.0]), stored(tmp_path), "linf")
    assert found.refused == ((1, "the network alone predicts 0, not 1"),)


def test_it_prepares_to_the_bit_what_the_subject_prepares() -> None:
    declared = facts(mean=[0.1, 0.7], std=[0.3, 1.9])
    of = subjects.subject(Signs(), torch.zeros(2, 2), None, declared)
    raw = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    assert prepared(raw, declared.input).tobytes() == of.prepared(torch.from_numpy(raw)).numpy().tobytes()


def test_what_eight_bits_take_back_does_not_survive(tmp_path: Path) -> None:
    """Of -1 to 1 in 256 values those next to 0 are +-0.0039: 0.0001 becomes the upper one, -0.0001 the lower one."""
    made = np.asarray([[0.0001, 0.5], [-0.0001, 0.5]], np.float32)
    data = stored(tmp_path, made=made, prediction=np.asarray([1, 0]), label=np.asarray([0, 1]))
    assert recheck(asking(), data, "linf", rounded=True).survived == 2
    shifted = asking(mean=[0.00005, 0.0], std=[1.0, 1.0])
    made = np.asarray([[0.00006, 0.5], [0.004, 0.5]], np.float32)
    assert recheck(shifted, stored(tmp_path, made=made), "linf", rounded=True).survived == 2
    high = asking(mean=[0.0078, 0.0], std=[1.0, 1.0])  # between the first two values above 0, 0.0039 and 0.0118
    made = np.asarray([[0.00781, 0.5], [0.0079, 0.5]], np.float32)
    found = recheck(high, stored(tmp_path, made=made), "linf", rounded=True)
    assert found.confirmed == 2
    assert found.survived == sum(round((each + 1) / 2 * 255) / 255 * 2 - 1 > 0.0078 for each in (0.00781, 0.0079))


def test_an_output_that_is_not_finite_confirms_nothing(tmp_path: Path) -> None:
    class Undefined(Signs):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / (x[:, :1] < 0.15)

    of = subjects.subject(Undefined(), torch.tensor([[-0.1, 0.5], [-0.2, 0.5]]), None, facts())
    assert "not finite" in dict(recheck(Asking(of), stored(tmp_path), "linf").refused)[0]


def test_a_network_of_one_batch_size_and_further_inputs_are_asked_about_one_example(tmp_path: Path) -> None:
    pairs = subjects.pairs()
    inputs = pairs.examples["evaluation"].inputs
    made = (inputs + 0.01).numpy()
    with torch.no_grad():
        right = pairs.prepared(pairs.examples["evaluation"].further[0], 1)
        value = pairs.model(inputs + 0.01, right).numpy()
    said = {"index": np.arange(4), "made": made, "epsilon": np.full(4, 0.01), "value": value}
    save(said, tmp_path / "pairs")
    low, high = Asking(pairs).bounds()
    inside = [at for at in range(4) if ((made[at] >= low) & (made[at] <= high)).all()]
    found = recheck(Asking(pairs), (tmp_path / "pairs").read_bytes(), "linf")
    assert sorted({*range(4)} - {index for index, _ in found.refused}) == inside
    assert all("legal value" in why for _, why in found.refused)


def test_a_network_that_takes_two_rows_gets_two(tmp_path: Path) -> None:
    class Two(Signs):
        def forward(self, x: Tensor) -> Tensor:
            assert len(x) == 2
            return super().forward(x)

    inputs = torch.tensor([[-0.1, 0.5], [-0.2, 0.5]])
    of = subjects.subject(Two(), inputs, None, facts(), batch=2)
    assert recheck(Asking(of), stored(tmp_path), "linf").confirmed == 2


@pytest.mark.parametrize(
    ("output", "kind", "expected"),
    [([0.1, 0.7, 0.2], "logits", 1), ([0.4], "probabilities", 0), ([0.4], "logits", 1), ([-0.4], "values", 0)],
)
def test_a_prediction_is_the_largest_or_the_side_of_the_middle(output: list[float], kind: str, expected: int) -> None:
    assert predicted(np.asarray(output), kind) == expected


def test_predictions_at_places_are_read_along_their_axis() -> None:
    assert predicted(np.asarray([[0.0, 3.0], [1.0, 2.0]]), "logits", 0).tolist() == [1, 0]
    assert predicted(np.asarray([[0.0, 3.0], [1.0, 0.5]]), "logits", 1).tolist() == [1, 0]


@pytest.mark.parametrize(("beyond", "confirmed"), [(1e-6, 1), (1e-3, 0)])
def test_an_example_that_rounding_put_beyond_a_bound_counts_as_at_the_bound(
    beyond: float, confirmed: int, tmp_path: Path
) -> None:
    of = subjects.subject(Signs(), torch.tensor([[-0.1, 1.0 + beyond]]), None, facts())
    said = {
        "index": np.asarray([0]), "made": np.asarray([[2e-7, 1.0]], np.float32), "epsilon": np.asarray([0.1000003]),
        "free": np.asarray([[True, False]]), "prediction": np.asarray([1]),
    }  # fmt: skip
    save(said, tmp_path / "edge")
    assert recheck(Asking(of), (tmp_path / "edge").read_bytes(), "linf").confirmed == confirmed


def test_none_stored_is_none_confirmed(tmp_path: Path) -> None:
    none = {"index": np.zeros(0, np.int64), "made": np.zeros((0, 2), np.float32), "epsilon": np.zeros(0)}
    save(none, tmp_path / "none")
    assert recheck(asking(), (tmp_path / "none").read_bytes(), "l2", rounded=True) == Rechecked(
        n=0, confirmed=0, refused=(), survived=0
    )


UNREADABLE: dict[str, dict[str, Array]] = {
    "is not among|not among": {"index": np.asarray([0, 2])},
    "an example": {"made": np.zeros((2, 3), np.float32)},
    "beside 2": {"epsilon": np.asarray([0.3])},
    "not floating-point": {"made": np.zeros((2, 2), np.int64)},
    "belong together": {"unit": np.zeros(1)},
}


@pytest.mark.parametrize("why", UNREADABLE)
def test_a_file_of_other_examples_is_refused_whole(why: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=why):
        recheck(asking(), stored(tmp_path, **UNREADABLE[why]), "linf")


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_a_file_that_was_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        arrays(stored(tmp_path)[:kept])


def test_what_was_saved_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    draws = np.random.default_rng(3)
    kept = {
        "a": draws.normal(size=(2, 3)), "b": draws.normal(size=5).astype(np.float32), "c": np.arange(4),
        "d": np.asarray([True, False]), "e": np.zeros((0, 2)),
    }  # fmt: skip
    save(kept, tmp_path / "kept")
    found = arrays((tmp_path / "kept").read_bytes())
    assert {name: (each.dtype, each.shape, each.tobytes()) for name, each in found.items()} == {
        name: (each.dtype, each.shape, each.tobytes()) for name, each in kept.items()
    }


def test_an_image_network_confirms_its_own_predictions(tmp_path: Path) -> None:
    of = subjects.images()
    inputs = of.examples["evaluation"].inputs
    made = (inputs * 0.9).contiguous()
    with torch.no_grad():
        prediction = of.model(made).argmax(1).numpy()
    epsilon = (0.1 * inputs).flatten(1).norm(dim=1).double().numpy() * (1 + 1e-6)
    save({"index": np.arange(5), "made": made.numpy(), "epsilon": epsilon, "prediction": prediction}, tmp_path / "i")
    assert recheck(Asking(of), (tmp_path / "i").read_bytes(), "l2").confirmed == 5
