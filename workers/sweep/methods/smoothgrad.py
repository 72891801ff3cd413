"""How steep is the target around the input, rather than just at it?

Smilkov et al., SmoothGrad, arXiv:1706.03825, equation 1: the gradient averaged over n copies of the input with normal
noise. Of the gradients of the copies one can also take the mean square (Hooker et al., arXiv:1806.10758, section 4.2)
or the variance (VarGrad, Adebayo et al., arXiv:1810.03292, appendix).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from captum import attr
from torch import Tensor

from workers.sweep.block import At, Examples
from workers.sweep.methods.along import OnInputs
from workers.sweep.methods.draws import drawn, spread
from workers.sweep.methods.twin import One, Theirs, only
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared

Of = Literal["mean", "square", "variance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothGrad(OnInputs):
    """samples: noisy copies of each example. noise: their standard deviation, as a share of `ranges`.

    ranges: of each floating-point input, in the units the network reads, such as the width of its declared bounds;
            where there are none, each example's own largest value less its smallest, as in the paper.
    of: what is taken of the gradients of the copies.
    """

    samples: int
    noise: float = 0.15
    ranges: tuple[float, ...] = ()
    of: Of = "mean"
    tensors = 3

    @property
    def name(self) -> str:
        return "smoothgrad"

    @property
    def points(self) -> tuple[float, ...]:
        """The numbers of the copies: they lie on no path."""
        return tuple(float(i) for i in range(self.samples))

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return _OverCopies(self.of, self.samples, zeros)

    def rows(self, ready: Prepared, seed: int) -> At:
        def copies(block: Examples, draws: Sequence[float]) -> tuple[Tensor, ...]:
            each = [self._noisy(block.inputs, ready.first + block.start, int(draw), seed) for draw in draws]
            return tuple(torch.cat(tensors) for tensors in zip(*each, strict=True))

        return copies

    def theirs(self, ready: Prepared, _chunks: Plan, seed: int) -> Theirs:
        """captum's Saliency of the very copies; its NoiseTunnel draws others."""

        def captum(one: One) -> Tensor:
            slopes = []
            for draw in range(self.samples):
                noisy = self._noisy(one.ready.x, ready.first + one.index, draw, seed)
                made = attr.Saliency(one.forward).attribute(
                    tuple(each for each in noisy if each.is_floating_point()), abs=False,
                    additional_forward_args=one.fixed,
                )  # fmt: skip
                slopes.append(only(made[one.argument]))
            every = torch.stack(slopes)
            if self.of == "variance":
                return every.var(0, correction=0)
            return every.square().mean(0) if self.of == "square" else every.mean(0)

        return captum

    def _noisy(self, x: tuple[Tensor, ...], first: int, draw: int, seed: int) -> tuple[Tensor, ...]:
        """One noisy copy of examples of which the first has the place `first` among all."""
        shapes = tuple(each.shape[1:] for each in x if each.is_floating_point())
        draws = [drawn(seed, first + i, draw, 0, shapes) for i in range(len(x[0]))]
        ranges = iter(self.ranges)
        noise = iter(torch.stack(each) for each in zip(*(draw.noise for draw in draws), strict=True))
        return tuple(self._with_noise(each, noise, ranges) if each.is_floating_point() else each for each in x)

    def _with_noise(self, x: Tensor, noise: Iterator[Tensor], ranges: Iterator[float]) -> Tensor:
        width = next(ranges) if self.ranges else spread(x)
        return x + self.noise * width * next(noise).to(x)


class _OverCopies:
    """The mean of the gradients of all copies, of their squares, or their variance about their mean."""

    __slots__ = ("_first", "_of", "_samples", "_squares", "_total")

    def __init__(self, of: Of, samples: int, total: Tensor) -> None:
        """total: zeros, (examples, ...)."""
        self._of, self._samples, self._total = of, samples, total
        varies = of == "variance"
        self._first: Tensor | None = None
        self._squares = torch.zeros_like(total) if varies else None

    def add(self, _values: Tensor, gradients: Tensor) -> None:
        """gradients: (copies, examples, ...) of the next chunk."""
        if self._squares is not None and self._first is None:
            self._first = gradients[
                0
            ].clone()  # sums about a value of their own size: their difference keeps its digits
        for gradient in gradients.unbind(0):
            if self._squares is not None and self._first is not None:
                apart = gradient - self._first
                self._total.add_(apart)
                self._squares.addcmul_(apart, apart)
            elif self._of == "square":
                self._total.addcmul_(gradient, gradient)
            else:
                self._total.add_(gradient)

    def attribution(self, _change: Tensor | None) -> Tensor:
        """(examples, ...)."""
        mean = self._total.div_(self._samples)
        if self._squares is None:
            return mean
        return self._squares.div_(self._samples).sub_(mean.square_()).clamp_(min=0)
