"""How much of the output's change flows through each unit of every layer?

Dhamdhere, Sundararajan and Yan, How important is a neuron?, arXiv:1805.12233, equation 2; the sums are in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from workers.sweep.captum_check import Verification, verify
from workers.sweep.jump import why_jumps
from workers.sweep.methods.along import Shared
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule, nodes
from workers.sweep.run import begin_conductance


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductance(Shared):
    """steps: along the path from baseline to input; rule: how a step is summed."""

    steps: int
    rule: Rule = "trapezoid"
    still = True

    @property
    def name(self) -> str:
        return "layer_conductance"

    @property
    def points(self) -> tuple[float, ...]:
        """Where along the path the network is evaluated."""
        return nodes(self.rule, self.steps)

    def obstacle(self, ready: Prepared, _tap: Tap) -> str:
        """Every tap has a conductance, if only steps can follow the path."""
        return why_jumps(ready.jump)

    def reading(self, _ready: Prepared, tap: Tap, zeros: Tensor, chunks: int) -> Reading:
        return begin_conductance(self.rule, tap, zeros, chunks)

    def complete(self, _ready: Prepared, tap: Tap) -> bool:
        return tap.cut

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> list[Verification]:
        return verify(ready.model, ready.probe, chunks, ready.x, ready.origin, ready.target, ours, rule=self.rule)
