"""Is what the checks are told of a subject what the subject is?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.workers import subjects
from workers.attack.settings import Settings
from workers.passes.aims import Wanted, aim_of
from workers.passes.attacked import Attacked
from workers.robustness.honesty.checks import CHECKS, checks, ladders
from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.features import last_features
from workers.robustness.honesty.subject import examined_of
from workers.subject.subject import Subject

SETTINGS = Settings(norm="linf", epsilons=(0.05, 0.2), steps=5, queries=20)


def laid(of: Subject) -> Examined:
    """A subject before the checks, its numbers within their bounds of -1 to 1."""
    data = of.examples["evaluation"]
    if data.inputs.is_floating_point():
        of = replace(of, examples={"evaluation": replace(data, inputs=data.inputs.tanh())})
    attacked = Attacked.of(of, norm="linf", examples=4)
    return examined_of(attacked, aim_of(attacked, Wanted()), SETTINGS, (11, 12, 13, 14), 64)


KINDS: dict[str, Callable[[], Subject]] = {
    "table": subjects.classifier, "images": subjects.images, "series": subjects.series, "pairs": subjects.pairs,
    "masked": subjects.masked, "attention": subjects.attends, "language": subjects.speaks,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_check_answers_for_every_kind_of_subject(kind: str) -> None:
    examined = laid(KINDS[kind]())
    found = examined.attack(
        examined.victim, examined.goal, examined.x, examined.space, SETTINGS, examined.seeds
    )  # fmt: skip
    said = {each.name: each.verdict for each in checks(examined, found)}
    assert list(said) == list(CHECKS)
    honest = ("same answer twice", "alone and in a batch", "logits or probabilities", "graph to the input", "curve")
    assert {name: said[name] for name in honest} == dict.fromkeys(honest, "pass")
    assert said["finite differences"] in {"pass", "not run"}


def test_in_float64_the_network_says_the_same_but_for_rounding() -> None:
    examined = laid(subjects.images())
    index = torch.arange(4)
    assert examined.precise is not None
    ours, precise = examined.victim.outputs(examined.x, index), examined.precise.outputs(examined.x.double(), index)
    assert precise.dtype == torch.float64
    torch.testing.assert_close(ours.double(), precise, rtol=1e-4, atol=1e-5)


def test_features_are_what_the_last_layer_reads() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(inplace=True), nn.Linear(5, 2), nn.Softmax(1))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    features = last_features(lambda made, _: network(made), network, x[:1])
    assert features is not None
    assert torch.equal(features(x, torch.arange(4)), network[0](x).relu())
    assert not network[2]._forward_pre_hooks


def test_a_network_without_weights_has_no_features() -> None:
    assert last_features(lambda made, _: made, nn.Identity(), torch.zeros(1, 2)) is None


def test_a_layer_that_runs_twice_is_no_last_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x).relu())  # type: ignore[no-any-return] # a tensor

    network = Twice()
    assert last_features(lambda made, _: network(made), network, torch.zeros(1, 3)) is None


@pytest.mark.parametrize(("examples", "most"), [(4, 16), (100, 60), (1000, 155)])
def test_what_checks_cost_is_bounded(examples: int, most: float) -> None:
    assert ladders(examples) <= most
    assert ladders(examples, {"curve"}) == 0
