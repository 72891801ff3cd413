"""What does an elementwise function, a product or a quotient multiply by, between baseline and input?

Shrikumar et al. (arXiv:1704.02685, section 3.5.1, the rescale rule): y = f(x) of one number has the multiplier
(y - y') / (x - x'), and where x - x' is tiny the derivative. A function of several numbers needs a rule by which its
change is shared among them; those here are exact, so that contributions keep adding up:

    product    Δ(ab) = ½(b + b') Δa + ½(a + a') Δb, the derivative at the midpoint, for everything of second degree
    quotient   q = a/b: as a = qb is a product, Δq = (Δa - ½(q + q') Δb) / ½(b + b'); where b and b' differ in sign,
               Δq = ½(1/b + 1/b') Δa - ½(a + a')/(b b') Δb, the product of a and 1/b, this rescaled

The quotient has the first form because 1/b may be a thousandfold at one end (a norm of what is nearly zero there, as
an empty baseline is): shares of the second form are then as large, and cancel. A product with a factor that is itself
an inverse, as norms are written, is such a quotient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.rescale.calls import Call
from workers.rescale.flat import rebuilt, results

TINY = 1e-10
"""|x - x'| below which the derivative at x stands for the ratio; absolute, as in captum 0.9.0."""

Ends = tuple[Tensor, Tensor]
"""A value at the input and at the baseline."""

Given = tuple[Tensor | None, ...]
"""The gradient of each operand by the operation's own derivative at the input, None where it varies with nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One operation at the input and at the baseline."""

    here: Call
    there: Call

    def operand(self, at: int) -> tuple[Tensor, Tensor]:
        """The argument number `at`, flattened, at the input and at the baseline."""
        return self.here.leaves[at], self.there.leaves[at]

    @property
    def x(self) -> tuple[Tensor, Tensor]:
        """The first argument that varies."""
        return self.operand(self.here.varying[0])

    def result(self, at: int = 0) -> tuple[Tensor, Tensor]:
        """What it gave."""
        return self.here.results[at], self.there.results[at]


def ratio(change: Tensor, x: Tensor, origin: Tensor, derivative: Tensor) -> Tensor:
    """change / (x - x'), of the shape of x, to which `change` may have been broadcast; `derivative` where that is 0."""
    step = x - origin
    return torch.where(step.abs() < TINY, derivative, (change / step).sum_to_size(step.shape))


def only(given: Given, new: Tensor) -> Given:
    """`new` in the place of the one gradient that is asked for."""
    return tuple(None if each is None else new for each in given)


def rescaled(pair: Pair, given: Given, received: Given) -> Given:
    """Any function of one varying tensor, element by element; received: the multipliers of what it gave."""
    arrived, derivative = received[0], next(each for each in given if each is not None)
    if arrived is None:
        return given
    (x, origin), (y, y_origin) = pair.x, pair.result()
    return only(given, ratio(arrived * (y - y_origin), x, origin, derivative))


def midpoint(pair: Pair, given: Given, received: Given) -> Given:
    """Any function of second degree in what varies: products of two factors, sums of squares."""
    return derivative_between(pair, given, received, pair.here.out_of_place)


def derivative_between(pair: Pair, given: Given, received: Given, function: Any) -> Given:
    """The derivative of `function` halfway between baseline and input."""
    call, leaves = pair.here, list(pair.here.leaves)
    for at in call.varying:
        leaves[at] = ((leaves[at] + pair.there.leaves[at]) / 2).requires_grad_()
    args, kwargs = rebuilt(leaves, call.form)
    with torch.enable_grad():
        made = results(function(*args, **kwargs))
        asked = [(y, each) for y, each in zip(made, received, strict=False) if each is not None]
        outputs, arrived = [y for y, _ in asked], [each for _, each in asked]
        found = torch.autograd.grad(outputs, [leaves[at] for at in call.varying], arrived)
    each = iter(found)
    return tuple(None if one is None else next(each) for one in given)


def quotient(pair: Pair, given: Given, received: Given) -> Given:
    """a / b, where b varies."""
    return _shares(given[:2], received[0], pair.operand(0), pair.operand(1))


def added_quotient(pair: Pair, given: Given, received: Given) -> Given:
    """s + v a / b, where b varies."""
    arrived = None if received[0] is None else received[0] * pair.here.argument("value")
    return (given[0], *_shares(given[1:], arrived, pair.operand(1), pair.operand(2)))


def scaled(at: int, pair: Pair, given: Given, received: Given) -> Given:
    """A product whose factor number `at` is an inverse r = 1/b: with y the product, Δy = H Δa + (y + y')/(r + r') Δr,
    where H is the harmonic mean of r and r'."""
    arrived, (y, y_origin) = received[0], pair.result()
    (r, r_origin), (a, a_origin) = pair.operand(at), pair.operand(1 - at)
    if arrived is None:
        return given
    alike, both = r * r_origin > 0, r + r_origin
    of_other = torch.where(alike, 2 * r * r_origin / both, both / 2)
    of_inverse = torch.where(alike, (y + y_origin) / both, (a + a_origin) / 2)
    made = (of_inverse, of_other) if at == 0 else (of_other, of_inverse)
    return tuple(
        None if each is None else (arrived * new).sum_to_size(each.shape) for each, new in zip(given, made, strict=True)
    )


def _shares(given: Given, arrived: Tensor | None, a: Ends, b: Ends) -> Given:
    if arrived is None:
        return given
    (x, x_origin), (s, s_origin) = a, b
    alike, both = s * s_origin > 0, s + s_origin
    above = torch.where(alike, 2 / both, (1 / s + 1 / s_origin) / 2)
    quotients, products = x / s + x_origin / s_origin, (x + x_origin) / (2 * s * s_origin)
    below = -torch.where(alike, quotients / both, products)
    return tuple(
        None if each is None else (arrived * new).sum_to_size(each.shape)
        for each, new in zip(given, (above, below), strict=True)
    )


def gated(pair: Pair, given: Given, received: Given) -> Given:
    """a · σ(b) of the two halves of one axis (GLU): the product rule, with σ rescaled."""
    arrived, (x, origin), derivative = received[0], pair.x, given[0]
    if arrived is None or derivative is None:
        return given
    axis = pair.here.argument("dim")
    (a, b), (a_origin, b_origin) = x.chunk(2, axis), origin.chunk(2, axis)
    gate, gate_origin = torch.sigmoid(b), torch.sigmoid(b_origin)
    slope = gate * (1 - gate)
    ours = arrived * (gate + gate_origin) / 2
    theirs = arrived * (a + a_origin) / 2 * ratio(gate - gate_origin, b, b_origin, slope)
    return (torch.cat([ours, theirs], axis),)


def length(pair: Pair, given: Given, received: Given) -> Given:
    """The norm n of a vector. Euclidean: n² is of second degree, so Δn = (x + x')·Δx / (n + n'). Sum: |x| rescaled."""
    arrived, (x, origin), derivative = received[0], pair.x, given[0]
    if arrived is None or derivative is None:
        return given
    y, y_origin = (_kept(pair.here, each, x.ndim) for each in pair.result())
    arrived = _kept(pair.here, arrived, x.ndim)
    if pair.here.argument("ord") == 1:
        return (ratio(arrived * (x.abs() - origin.abs()), x, origin, derivative),)
    both = y + y_origin
    return (torch.where(both > 0, arrived * (x + origin) / both, derivative),)


def deviation(pair: Pair, given: Given, received: Given) -> Given:
    """A standard deviation s = √v: Δs = Δv / (s + s'), and v is of second degree."""
    arrived, (y, y_origin) = received[0], pair.result()
    if arrived is None:
        return given
    return derivative_between(pair, given, (arrived / (y + y_origin),), torch.ops.aten.var.correction)


def _kept(call: Call, reduced: Tensor, ndim: int) -> Tensor:
    """`reduced` with the axes that the call summed over, of length one."""
    axes = call.argument("dim")
    if call.argument("keepdim") and reduced.ndim == ndim:
        return reduced
    for axis in sorted(range(ndim) if not axes else [each % ndim for each in axes]):
        reduced = reduced.unsqueeze(axis)
    return reduced
