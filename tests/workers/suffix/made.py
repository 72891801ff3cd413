"""From a network to attributions in one call; and networks with the habits that reruns must survive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workers.sweep.completeness import Endpoints
from workers.sweep.entered import Start, entered
from workers.sweep.method import Method
from workers.sweep.plan import Plan
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep, Totals
from workers.sweep.target import Target

MEMORY = 1 << 30


def prepared(
    network: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    baseline: Tensor | tuple[Start, ...],
    target: Target,
    *,
    inputs: bool = False,
    rows: int | None = None,
) -> Prepared:
    """inputs: with layers for the network's inputs."""
    given, origin = (each if isinstance(each, tuple) else (each,) for each in (x, baseline))
    made = entered(network, given, origin, rows=rows) if inputs else None
    model, given, origin = (network, given, origin) if made is None else (made.model, made.x, made.origin)
    seen = probe(model, given, origin, target, rows=rows)
    if made is not None:
        seen = replace(seen, inputs=made.inputs)
    with torch.no_grad():
        size = rows or len(given[0])
        read = [
            target.read(model(*(_filled(each[at : at + size], size) for each in given)))[: len(given[0]) - at]
            for at in range(0, len(given[0]), size)
        ]
    return Prepared(
        model=model, x=given, origin=origin, target=target, outputs=torch.cat(read)[: len(given[0])], probe=seen
    )


def _filled(rows: Tensor, size: int) -> Tensor:
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])]).clone()


@dataclass
class Made:
    """The attributions of all examples by tap, the target's ends, and the plan."""

    ready: Prepared
    plan: Plan
    ends: Endpoints
    kept: Keep
    totals: Totals

    def __getitem__(self, key: str) -> Tensor:
        return self.kept.of(self.ready.probe.own(self.ready.probe.tap(key)).key)

    @property
    def whole(self) -> dict[str, Tensor]:
        return {key: self.kept.of(key) for key in self.plan.taps}


def attributed(
    method: Method,
    ready: Prepared,
    memory_bytes: int = MEMORY,
    layers: tuple[str, ...] = (),
    on_chunk: Callable[[float], None] | None = None,
    seed: int = 7,
    cut: Callable[[Plan], Plan] = lambda plan: plan,
) -> Made:
    """Plans and attributes. cut: changes the plan's chunks."""
    plan = cut(method.plan(ready, memory_bytes, 1, layers))
    kept, totals = Keep(), Totals()
    ends = method.attribute(ready, plan, [kept, totals], on_chunk, seed)
    return Made(ready, plan, ends, kept, totals)


def chunks_of(points: int, examples: int = 1) -> Callable[[Plan], Plan]:
    """Chunks of this size, whatever the memory."""
    return lambda plan: replace(plan, points=points, examples=examples)
