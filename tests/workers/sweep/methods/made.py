"""From a network to the attributions of a method, in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.entered import Start, entered
from workers.sweep.method import Method
from workers.sweep.plan import Plan
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep, Totals
from workers.sweep.run import outputs
from workers.sweep.sequence import followed
from workers.sweep.target import Target

MEMORY = 1 << 30
CLASSES = Target.classes([0, 1, 2])


def ready(
    network: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    target: Target,
    baseline: tuple[Start, ...] | None = None,
    rows: int | None = None,
    sequence: int | None = None,
) -> Prepared:
    """The network with its inputs as layers; the baseline is zero where none is named, for integers what they are.

    sequence: the axis of the input, examples first, along which its sequence lies; None where it is none.
    """
    given = x if isinstance(x, tuple) else (x,)
    origin = baseline or tuple(each[:1] * 0 if each.is_floating_point() else each for each in given)
    made = entered(network, given, origin, rows=rows)
    seen = replace(probe(made.model, made.x, made.origin, target, rows=rows), inputs=made.inputs)
    seen = seen if sequence is None else followed(made.model, seen, made.x, sequence)
    read = outputs(made.model, made.x, rows, target)
    return Prepared(model=made.model, x=made.x, origin=made.origin, target=target, outputs=read, probe=seen)


@dataclass
class Made:
    """The attributions of all examples by tap, their totals, the target's ends, the plan and the fractions told."""

    of: dict[str, Tensor]
    totals: Totals
    ends: Endpoints
    plan: Plan
    told: list[float]

    def __getitem__(self, key: str) -> Tensor:
        return self.of[key]


def attributed(
    method: Method,
    given: Prepared,
    layers: tuple[str, ...] = (),
    points: int | None = None,
    examples: int | None = None,
    seed: int = 0,
) -> Made:
    """What `method` gives; points, examples: of a chunk, where they are not to be planned."""
    plan = method.plan(given, MEMORY, 1, layers)
    plan = replace(plan, points=points or plan.points, examples=examples or plan.examples)
    keep, totals, told = Keep(), Totals(), list[float]()
    ends = method.attribute(given, plan, [keep, totals], told.append, seed)
    made = Made({key: keep.of(key) for key in plan.taps}, totals, ends, plan, told)
    for key, each in made.of.items():
        assert tuple(each.shape) == (len(given), *method.units(given.probe.tap(key)))
        torch.testing.assert_close(each.flatten(1).sum(1, dtype=torch.float64), totals.signed(key))
        torch.testing.assert_close(each.flatten(1).abs().sum(1, dtype=torch.float64), totals.absolute(key))
    return made


def checked(method: Method, given: Prepared, seed: int = 0, layers: tuple[str, ...] = ()) -> list[Verification]:
    """captum's opinion of all taps."""
    made = attributed(method, given, layers, seed=seed)
    return method.verify(given, made.plan, made.of, seed)


def worst(checks: list[Verification]) -> float:
    """The largest difference among those that there are."""
    return max(each.difference for each in checks if each.difference is not None)
