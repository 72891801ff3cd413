"""Do the gradients that an attack climbs lead anywhere?

Zero, infinite, shattered and wrong gradients: Athalye, Carlini and Wagner 2018, arXiv:1802.00420; Carlini et al. 2019,
arXiv:1902.06705, section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.attack.found import Found
from workers.attack.victim import Victim
from workers.numerics.intervals import wilson
from workers.robustness.honesty.examined import Examined, mixed
from workers.robustness.honesty.verdict import NotRun, Seen

ROWS, PROBED, DIRECTIONS = 50, 8, 20
"""Examples whose gradients are taken; of these along how many random directions they are measured."""

FEW, MANY = 0.01, 0.10
"""Share of examples without a gradient up to which it is chance, and from which on attacks are blind."""

NEAR, WITHIN = 1e-4, 0.1
"""How far a derivative looks in float64, of the span of legal values; in float32 ten times as far. How far steps of an
attack go, of its budget."""

LEADS, BARELY = 0.9, 0.7
"""Correlation of what gradients predict with what happens: from where on they lead, and below which they do not."""

DISAGREES = 0.1
"""Of a usual derivative: more between the two is a disagreement. In float32 twice that."""


def attached(examined: Examined) -> Seen:
    """Whether the output hangs on the input at all."""
    rows = examined.few(examined.index, 1)
    why = detached(examined)
    if why is None:
        return Seen("pass", "a gradient by the input can be taken", "the graph reaches the input", n=len(rows))
    return Seen(
        "fail", f"no gradient by the input can be taken: {why}", "the graph is cut between input and output, so that"
        " attacks by gradients see nothing; attack the network without the part that cuts it, or replace its derivative"
        " (backward pass differentiable approximation)", n=len(rows),
    )  # fmt: skip


def detached(examined: Examined) -> str | None:
    """Why no gradient can be taken, or None where one can."""
    rows = examined.few(examined.index, 1)
    try:
        slopes(examined, examined.victim, examined.x[rows], rows, direct(examined))
    except RuntimeError as cut:
        return str(cut).splitlines()[0][:300]
    return None


def present(examined: Examined, found: Found | None = None) -> Seen:
    """The share of examples whose gradient is zero or not finite, at the example or near it."""
    rows = _clean(examined, found)
    at, near = (_blind(examined, made, rows, direct(examined)) for made in (examined.x[rows], _near(examined, rows)))
    zero, infinite = (at[0] | near[0]), (at[1] | near[1])
    share = wilson(int((zero | infinite).sum()), len(rows))
    observed = f"of {len(rows)} examples {int(zero.sum())} with a gradient of zero, {int(infinite.sum())} not finite"
    if share.value <= FEW:
        return Seen.share("pass", observed, "gradients are there to be climbed", share)
    because = (
        "attacks by gradients stand still there: the robust accuracy is probably too high; look for rounding, argmax,"
        " saturation or infinities in the network, and believe black-box attacks only"
    )
    return Seen.share("warn" if share.value <= MANY else "fail", observed, because, share)


def saturated(examined: Examined, found: Found | None = None) -> Seen:
    """The share of examples at which the cross-entropy is so flat that float32 has no gradient of it."""
    if "ce" not in examined.goal.losses:
        raise NotRun("the goal has no cross-entropy; it takes a goal over classes")
    rows = _clean(examined, found)
    made = examined.x[rows]
    flat, _ = _blind(examined, made, rows, "ce")
    dead, _ = _blind(examined, made, rows, direct(examined))
    share = wilson(int((flat & ~dead).sum()), len(rows))
    observed = f"cross-entropy without a gradient at {int((flat & ~dead).sum())} of {len(rows)} examples"
    if share.value <= FEW:
        return Seen.share("pass", observed, "no softmax is saturated", share)
    return Seen.share(
        "warn" if share.value <= MANY else "fail", observed,
        "logits so large that attacks on the cross-entropy stand still: only losses that do not hang on their scale"
        " (differences of logits) say something here, and figures of plain PGD or FGSM are worthless", share,
    )  # fmt: skip


def agree(examined: Examined, found: Found | None = None) -> Seen:
    """Whether gradients are the derivatives: central differences along random directions."""
    precise = examined.precise is not None
    victim = examined.precise or examined.victim
    rows = examined.few(_clean(examined, found), PROBED)
    dtype = torch.float64 if precise else examined.x.dtype
    step = NEAR if dtype == torch.float64 else 10 * NEAR
    predicted, differences = _along(examined, victim, rows, step * _span(examined, rows), 100, dtype)
    usual = predicted.square().mean(1).sqrt().maximum(differences.square().mean(1).sqrt())
    told = (usual > 1e-12) & usual.isfinite()
    if not bool(told.any()):
        raise NotRun("the output does not change at any of the examples looked at; it takes one where it does")
    limit = DISAGREES if precise else 2 * DISAGREES
    off = ((predicted - differences).abs() > limit * usual[:, None])[told]
    share = wilson(int(off.sum()), off.numel())
    observed = (
        f"{int(off.sum())} of {off.numel()} derivatives differ from the gradient by over {limit:.0%} of a usual one"
        f" ({'float64' if precise else 'float32'})"
    )
    if share.value <= 0.05:
        return Seen.share("pass", observed, "what differs are kinks and rounding", share)
    return Seen.share(
        "warn" if share.value <= 0.2 else "fail", observed,
        "the gradient that the network gives is not that of what it computes (a replaced derivative, rounding, or a"
        " surface too rough for one): attacks climb something else", share,
    )  # fmt: skip


def lead(examined: Examined, found: Found | None = None) -> Seen:
    """Whether gradients tell what happens some way off: the correlation with changes over a tenth of the budget."""
    rows = examined.few(_clean(examined, found), PROBED)
    epsilon = examined.settings.epsilons[len(examined.settings.epsilons) // 2]
    units = (WITHIN * epsilon * examined.space.unit).to(examined.x).expand(examined.x.shape)[rows]
    if examined.space.norm == "l2":  # that length, spread over all numbers
        units = units / units[0].numel() ** 0.5
    predicted, differences = _along(examined, examined.victim, rows, units, 10, examined.x.dtype)
    if not bool((predicted.isfinite() & differences.isfinite()).all()):
        raise NotRun("gradients or outputs are not finite; it takes some that are")
    if not bool((differences != 0).any()) or not bool((predicted != 0).any()):
        raise NotRun("gradients or changes are all zero; it takes some that are not")
    lengths = (predicted.norm(dim=1) * differences.norm(dim=1)).clamp(min=1e-30)
    alike = (predicted * differences).sum(1) / lengths
    value = float(alike.median())
    observed = f"correlation of predicted and real changes {value:.2f} (median of {len(rows)} examples)"
    if value >= LEADS:
        return Seen("pass", observed, "what the gradient says holds over the steps of an attack", value, n=len(rows))
    return Seen(
        "fail" if value < BARELY else "warn", observed,
        "the surface is so rough that gradients say nothing of the next step (shattered gradients): believe black-box"
        " attacks, or attack a smooth replacement of the rough part", value, n=len(rows),
    )  # fmt: skip


def direct(examined: Examined) -> str:
    """The loss that is nearest to the output: it does not saturate."""
    losses = [name for name in examined.goal.losses if name not in examined.goal.targeted]
    return "margin" if "margin" in losses else losses[0]


def _clean(examined: Examined, found: Found | None) -> Tensor:
    """Examples whose gradient matters: those not reached without an attack; all where that is not known."""
    rows = examined.index if found is None else found.clean.nonzero().flatten()
    if not len(rows):
        raise NotRun("the goal is reached at every example without an attack; it takes one where it is not")
    return examined.few(rows, ROWS)


def _near(examined: Examined, rows: Tensor) -> Tensor:
    """A point of the smallest budget around each."""
    epsilon = examined.settings.epsilons[0]
    return torch.cat([examined.around(at, epsilon, 2, "near")[1:] for at in rows.tolist()])


def _blind(examined: Examined, made: Tensor, rows: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """(zero everywhere it may change, not finite somewhere), bool (rows,) each."""
    gradient = slopes(examined, examined.victim, made, rows, loss)
    if examined.space.free is not None:
        gradient = torch.where(examined.space.take(rows).free, gradient, 0.0)  # type: ignore[arg-type] # it is not None
    finite = gradient.flatten(1).isfinite().all(1)
    return finite & (gradient.flatten(1) == 0).all(1), ~finite


def slopes(examined: Examined, victim: Victim, made: Tensor, rows: Tensor, loss: str) -> Tensor:
    """The gradient of a loss by the input, (rows, ...)."""
    goal = examined.goal
    _, _, gradient = victim.gradient(made, rows, lambda outputs, part: goal.loss(loss, outputs, rows[part], None))
    return gradient


def _span(examined: Examined, rows: Tensor) -> Tensor:
    """From the lowest to the highest legal value, (rows, ...)."""
    return (examined.space.high - examined.space.low).to(examined.x).expand(examined.x.shape)[rows]


def _along(
    examined: Examined, victim: Victim, rows: Tensor, step: Tensor, away: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """What the gradient says of random moves within +-step, and half of what the loss changes between both ends.

    step: (rows, ...), raw. Both results (rows, directions), float64. Moves begin up to `away` steps from the example,
    inside the bounds: where numbers are equal or rounded, as the background of a picture is, kinks lie at the example
    itself, and a rough surface may look even.
    """
    each = [
        _along_one(examined, victim, row, step[at : at + 1].to(dtype), away) for at, row in enumerate(rows[:, None])
    ]
    predicted, changes = zip(*each, strict=True)
    return torch.stack(predicted), torch.stack(changes)


def _along_one(examined: Examined, victim: Victim, row: Tensor, step: Tensor, away: int) -> tuple[Tensor, Tensor]:
    """For one example, int64 (1,); both (directions,)."""
    space, loss, x = examined.space.take(row), direct(examined), examined.x[row].to(step.dtype)
    low, high = (bound.to(step.dtype).expand(step.shape) for bound in (space.low, space.high))
    moving = high - low > 2 * step
    moving = moving if space.free is None else moving & space.free
    step = torch.where(moving, step, 0.0)
    draws = torch.Generator().manual_seed(mixed(examined.seeds[int(row)], "directions"))
    begins = x + step * away * (2 * torch.rand(x.shape, generator=draws).to(x) - 1)
    begins = (low + step) + (begins - low - step).abs()  # thrown back at a bound, where they would heap up
    begins = torch.maximum((high - step) - (high - step - begins).abs(), low + step)
    x = torch.where(moving, begins, x)
    signs = torch.randint(0, 2, (DIRECTIONS, *x.shape[1:]), generator=draws, dtype=torch.int8).to(x) * 2 - 1
    parts = 0.5 + torch.rand(signs.shape, generator=draws).to(x) / 2  # steps of one length may fall in with a wave
    moves, owners = signs * parts * step, row.repeat(DIRECTIONS)
    gradient = slopes(examined, victim, x, row, loss).double()
    predicted = (moves.double() * gradient).flatten(1).sum(1)
    above, below = (
        examined.goal.loss(loss, victim.outputs(x + side * moves, owners), owners, None).double() for side in (1, -1)
    )
    return predicted, (above - below) / 2
