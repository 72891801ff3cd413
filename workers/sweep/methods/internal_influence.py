"""How strongly does the target respond to each unit, on average along the path from baseline to input?

layer_internal_influence: ∫ dF/dh_j dα (Leino et al., arXiv:1802.03788, definition 1, with the uniform distribution on
the line from baseline to input). integrated_gradients: the same at an input, times x - x' (Sundararajan, Taly and Yan,
arXiv:1703.01365, equation 1). The integral is a weighted sum: over S Gauss-Legendre nodes, which is captum's default,
or by the trapezoid rule over i / S, whose points conductance shares.
"""

from __future__ import annotations

from dataclasses import dataclass

from captum import attr
from torch import Tensor

from workers.numerics.quadrature import Quadrature, gauss_legendre, uniform
from workers.sweep.jump import why_jumps
from workers.sweep.methods.along import OnInputs, Shared
from workers.sweep.methods.readings import Weighted
from workers.sweep.methods.twin import One, Theirs, only
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


def quadrature(rule: Rule, steps: int) -> Quadrature:
    """captum: `steps` Gauss-Legendre nodes. trapezoid: steps + 1 points i / steps."""
    return gauss_legendre(steps) if rule == "captum" else uniform(steps + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalInfluence(Shared):
    """steps: along the path from baseline to input; rule: how the integral is summed."""

    steps: int
    rule: Rule = "trapezoid"

    @property
    def name(self) -> str:
        return "layer_internal_influence"

    @property
    def points(self) -> tuple[float, ...]:
        return quadrature(self.rule, self.steps).nodes

    def obstacle(self, ready: Prepared, _tap: Tap) -> str:
        """Every tap has an influence, if only steps can follow the path."""
        return why_jumps(ready.jump)

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return Weighted(quadrature(self.rule, self.steps).weights, zeros, times_change=False)

    def theirs(self, _ready: Prepared, chunks: Plan, _seed: int) -> Theirs:
        def captum(one: One) -> Tensor:
            return influence_by_captum(one, self.rule, self.steps, chunks.points * chunks.examples)

        return captum


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients(OnInputs, Shared):
    """steps: along the path from baseline to input; rule: how the integral is summed."""

    steps: int
    rule: Rule = "captum"
    still = True

    @property
    def name(self) -> str:
        return "integrated_gradients"

    @property
    def points(self) -> tuple[float, ...]:
        return quadrature(self.rule, self.steps).nodes

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        return OnInputs.obstacle(self, ready, tap) or why_jumps(ready.jump)

    def complete(self, _ready: Prepared, tap: Tap) -> bool:
        """Of several inputs none is complete alone: together they are."""
        return tap.cut

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return Weighted(quadrature(self.rule, self.steps).weights, zeros, times_change=True)

    def theirs(self, _ready: Prepared, chunks: Plan, _seed: int) -> Theirs:
        """captum's IntegratedGradients rounds its weights to float32; its InternalInfluence at the layer that stands
        for the input, times x - x', is the same sum without that."""

        def captum(one: One) -> Tensor:
            change = one.x[one.argument] - one.origin[one.argument]
            return influence_by_captum(one, self.rule, self.steps, chunks.points * chunks.examples) * change

        return captum


def influence_by_captum(one: One, rule: Rule, steps: int, rows: int) -> Tensor:
    """captum's InternalInfluence. Its trapezoid over n points weighs the inner ones by 1 / n, where 1 / (n - 1) makes
    the weights sum to one."""
    points, scale = (steps, 1.0) if rule == "captum" else (steps + 1, (steps + 1) / steps)
    made = attr.InternalInfluence(one.forward, one.layer).attribute(
        one.x, one.origin, n_steps=points, method="gausslegendre" if rule == "captum" else "riemann_trapezoid",
        internal_batch_size=max(1, rows), additional_forward_args=one.fixed,
    )  # fmt: skip
    return only(made) * scale
