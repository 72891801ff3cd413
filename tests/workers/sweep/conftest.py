"""What the sweep's tests share: one call from network to attributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from workers.sweep.completeness import Endpoints
from workers.sweep.plan import Plan, plan
from workers.sweep.probe import Probe, probe
from workers.sweep.reducers import Keep, Moments, Totals
from workers.sweep.rules import Rule
from workers.sweep.run import sweep
from workers.sweep.target import Target


@dataclass
class Swept:
    """A sweep and what it kept."""

    probe: Probe
    plan: Plan
    ends: Endpoints
    kept: Keep
    totals: Totals
    moments: Moments
    rule: Rule

    def __getitem__(self, key: str) -> Tensor:
        return self.kept.of(self.probe.own(self.probe.tap(key)).key)


def run(
    network: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    baseline: Tensor | tuple[Tensor, ...],
    target: Target,
    steps: int = 20,
    rule: Rule = "captum",
    memory_bytes: int = 1 << 30,
    on_chunk: Callable[[float], None] | None = None,
) -> Swept:
    """Probe, plan and sweep everything."""
    inputs, baselines = (given if isinstance(given, tuple) else (given,) for given in (x, baseline))
    seen = probe(network, inputs, baselines, target)
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    made = plan(seen, examples=len(inputs[0]), evaluations=steps + 1, memory_bytes=memory_bytes, threads=1, dtype=dtype)
    keep, totals, moments = Keep(), Totals(), Moments()
    ends = sweep(network, seen, made, inputs, baselines, target, [keep, totals, moments], on_chunk, rule=rule)
    return Swept(seen, made, ends, keep, totals, moments, rule)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
