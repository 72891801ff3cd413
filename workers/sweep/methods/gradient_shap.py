"""How much of the output's change flows through each unit, on average over baselines that are examples themselves?

layer_gradient_shap, after Lundberg and Lee (arXiv:1705.07874) and Erion et al. (arXiv:1906.10670, equation 3): with n
draws of a baseline b_i among the other examples, of a coefficient α_i in [0, 1) and of noise on the input,

    (1/n) Σ_i  dF/dh at (α_i x_i + (1 - α_i) b_i)  (h(x_i) - h(b_i))

Each draw is three rows: the input, the point between, and the baseline; the input's is one for all without noise. The
sum is complete only on average over draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from captum import attr
from torch import Tensor

from workers.sweep.block import At, Examples
from workers.sweep.methods.along import Along
from workers.sweep.methods.draws import Draw, drawn, spread
from workers.sweep.methods.twin import NoTwin, One, Theirs, only
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

_INPUT, _BETWEEN, _BASELINE = 0, 1, 2
"""The rows of a draw."""

Rows = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientShap(Along):
    """samples: draws of each example. noise: standard deviation of the input's, as a share of `ranges` (as for
    SmoothGrad); none by default."""

    samples: int
    noise: float = 0.0
    ranges: tuple[float, ...] = ()
    tensors = 3

    @property
    def name(self) -> str:
        return "layer_gradient_shap"

    @property
    def points(self) -> tuple[float, ...]:
        """Three for each draw, or two and one for all; they lie on no path."""
        if self.noise:
            return tuple(float(i) for i in range(3 * self.samples))
        return (float(_INPUT), *(float(3 * i + row) for i in range(self.samples) for row in (_BETWEEN, _BASELINE)))

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return _OverDraws(tuple(int(point) % 3 for point in self.points), self.samples, zeros)

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        if len(_others(ready)[0]) < 2:
            raise SweepRefused(
                "layer_gradient_shap is not applicable, because its baselines are drawn among the other examples and"
                " there is one example; give more, or ask for layer_conductance, which has a baseline of its own"
            )
        return Along.plan(self, ready, memory_bytes, threads, layers)  # a class with slots has no bare super()

    def rows(self, ready: Prepared, seed: int) -> At:
        def of(block: Examples, points: Sequence[float]) -> Rows:
            known: dict[int, tuple[Rows, Rows, Rows]] = {}
            each = []
            for point in points:
                draw, row = divmod(int(point), 3)
                if draw not in known:
                    known[draw] = self._three(ready, block.inputs, block.start, draw, seed)
                each.append(known[draw][row])
            return tuple(torch.cat(tensors) for tensors in zip(*each, strict=True))

        return of

    def theirs(self, ready: Prepared, _chunks: Plan, seed: int) -> Theirs:
        """captum's gradients and activations at the very rows; its own GradientShap draws others."""

        def captum(one: One) -> Tensor:
            fixed = one.fixed
            value = attr.LayerActivation(one.forward, one.layer)
            slope = attr.LayerGradientXActivation(one.forward, one.layer, multiply_by_inputs=False)
            total = None
            for draw in range(self.samples):
                rows = self._three(ready, one.ready.x, one.index, draw, seed)
                given, between, base = (tuple(t for t in row if t.is_floating_point()) for row in rows)
                change = only(value.attribute(given, additional_forward_args=fixed)) - only(
                    value.attribute(base, additional_forward_args=fixed)
                )
                made = only(slope.attribute(between, additional_forward_args=fixed)) * change
                total = made if total is None else total + made
            if total is None:
                raise NoTwin("nothing was drawn")
            return total / self.samples

        return captum

    def _three(self, ready: Prepared, x: Rows, start: int, draw: int, seed: int) -> tuple[Rows, Rows, Rows]:
        """Of one draw of the examples x, which begin at `start`: the inputs, the points between, the baselines."""
        first, others = ready.first + start, _others(ready)
        shapes = tuple(each.shape[1:] for each in x if each.is_floating_point()) if self.noise else ()
        draws = [drawn(seed, first + i, draw, len(others[0]) - 1, shapes) for i in range(len(x[0]))]
        noise = iter(torch.stack(each) for each in zip(*(each.noise for each in draws), strict=True))
        ranges = iter(self.ranges)
        inputs, between, bases = list[Tensor](), list[Tensor](), list[Tensor]()
        for own, other in zip(x, others, strict=True):
            if not own.is_floating_point():
                for rows in (inputs, between, bases):
                    rows.append(own)
                continue
            base = _chosen(other, draws, first).to(own)
            given = self._with_noise(own, noise, ranges) if self.noise else own
            weight = (
                torch.tensor([each.coefficient for each in draws], dtype=torch.float64)
                .to(own)
                .view(-1, *[1] * (own.ndim - 1))
            )
            inputs.append(given)
            between.append(weight * given + (1 - weight) * base)
            bases.append(base)
        return tuple(inputs), tuple(between), tuple(bases)

    def _with_noise(self, x: Tensor, noise: Iterator[Tensor], ranges: Iterator[float]) -> Tensor:
        width = next(ranges) if self.ranges else spread(x)
        return x + self.noise * width * next(noise).to(x)


def _others(ready: Prepared) -> Rows:
    return ready.others or ready.x


def _chosen(others: Tensor, draws: Sequence[Draw], first: int) -> Tensor:
    """The baselines drawn, (examples, ...); no example is its own."""
    return torch.stack([others[each.other + (each.other >= first + i)] for i, each in enumerate(draws)])


class _OverDraws:
    """The mean over draws, of which each begins with the input's row where the next draw has one of its own."""

    __slots__ = ("_at", "_input", "_kinds", "_samples", "_slope", "_total")

    def __init__(self, kinds: tuple[int, ...], samples: int, total: Tensor) -> None:
        """kinds: which row of a draw each point is. total: zeros, (examples, ...)."""
        self._kinds, self._samples, self._total, self._at = kinds, samples, total, 0
        self._input, self._slope = torch.empty_like(total), torch.empty_like(total)

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (points, examples, ...) of the next chunk."""
        kinds = self._kinds[self._at : self._at + len(values)]
        self._at += len(values)
        for kind, value, gradient in zip(kinds, values.unbind(0), gradients.unbind(0), strict=True):
            if kind == _INPUT:
                self._input.copy_(value)
            elif kind == _BETWEEN:
                self._slope.copy_(gradient)
            else:
                self._total.addcmul_(self._slope, self._input - value)

    def attribution(self, _change: Tensor | None) -> Tensor:
        """(examples, ...)."""
        return self._total.div_(self._samples)
