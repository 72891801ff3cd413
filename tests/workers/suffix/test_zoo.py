"""Every family of the zoo that takes numbers: captum's numbers for each layer it can do, chunk by chunk or at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lamina.zoo.families import FAMILIES
from lamina.zoo.family import Family
from tests.workers.suffix.made import attributed, chunks_of, prepared
from workers.suffix.ablation import LayerAblation
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.sweep.ready import Prepared
from workers.sweep.target import Target
from workers.sweep.tree import tensors

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::torch", "ignore:::captum")]

_NOT_HERE = {"exit_cond": "runs compiled only", "exit_if": "what runs depends on the values, which the engine refuses"}
_OF_NUMBERS = [
    each
    for each in FAMILIES.values()
    if each.name not in _NOT_HERE and any(facts.kind not in ("text", "tokens") for facts in each.inputs)
]


def ready_family(family: Family) -> Prepared:
    """Two examples in float64, one element of the first output of numbers."""
    network = family.network().double()
    x = tuple(each.double() if each.is_floating_point() else each for each in family.prepared(family.examples(2)))
    with torch.no_grad():
        given = tensors(network(*(each.clone() for each in x)))
    position = next(at for at, each in enumerate(given) if each.is_floating_point())
    axes = given[position].shape[1:]
    target = Target.value() if axes.numel() == 1 else Target.element(*(length // 2 for length in axes))
    baseline = tuple(each[:1] * 0 if each.is_floating_point() else each for each in x)
    return prepared(network, x, baseline, replace(target, output=position), inputs=True)


@pytest.mark.parametrize("family", _OF_NUMBERS, ids=[each.name for each in _OF_NUMBERS])
def test_every_layer_of_the_zoo_has_captums_numbers(family):
    ready = ready_family(family)
    for method in (LayerIntegratedGradients(steps=5), LayerAblation(fill="baseline")):
        made, together = (attributed(method, ready, cut=chunks_of(5, examples)) for examples in (1, 2))
        for key in made.plan.taps:
            torch.testing.assert_close(made[key], together[key], rtol=1e-9, atol=1e-13)
        checks = method.verify(ready, made.plan, made.whole, 0)
        able = [check.difference for check in checks if check.difference is not None]
        assert able
        assert max(able) <= 1e-10
