"""Does a network answer the same question alike, and with what it is said to answer?"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.verdict import NotRun, Seen

ROWS, ALONE, RUNS = 32, 8, 3
"""Examples looked at in a batch; of these also alone; times that the same batch is asked."""

ROUNDING, MATTERS = 1e-4, 1e-3
"""Of the largest output: what other blocks of rows may move in float32, and from where on it is no rounding."""


def repeated(examined: Examined) -> Seen:
    """Whether equal questions get equal answers. Athalye, Carlini and Wagner 2018, arXiv:1802.00420, section 3.1."""
    rows = examined.few(examined.index, ROWS)
    first, *others = (examined.victim.outputs(examined.x[rows], rows) for _ in range(RUNS))
    gap = max(_gap(first, other) for other in others)
    same = all(torch.equal(first.nan_to_num(), other.nan_to_num()) for other in others)
    observed = "the same bits" if same else f"outputs differ by {gap:.3g} of the largest"
    if same:
        return Seen("pass", observed, "equal inputs give equal outputs", gap, n=len(rows))
    if gap <= ROUNDING:
        return Seen(
            "warn", observed, "what differs is rounding: a rerun may differ in its last digits", gap, n=len(rows)
        )
    return Seen(
        "fail", observed, "the network draws random numbers when it is asked: an attack on one draw says nothing of the"
        " next, and whatever fails once counts as broken; attack the average over draws (expectation over"
        " transformation)", gap, n=len(rows),
    )  # fmt: skip


def companions(examined: Examined) -> Seen:
    """Whether the answer for an example depends on those beside it."""
    if repeated(examined).verdict == "fail":
        raise NotRun("equal batches already give different outputs; it takes a network that draws no random numbers")
    rows = examined.few(examined.index, ROWS)
    together = examined.victim.outputs(examined.x[rows], rows)
    upside_down = examined.victim.outputs(_others(examined, rows), rows.repeat(2))[: len(rows)]
    few = rows[:ALONE]
    alone = torch.cat([examined.victim.outputs(examined.x[at : at + 1], torch.tensor([at])) for at in few.tolist()])
    gaps = (_gap(together[: len(few)], alone), _gap(together, upside_down))
    gap = max(gaps)
    observed = f"alone: {gaps[0]:.3g}, beside others: {gaps[1]:.3g} of the largest output"
    if gap <= ROUNDING:
        return Seen("pass", observed, "what differs is rounding", gap, n=len(rows))
    if gap <= MATTERS:
        return Seen("warn", observed, "more than rounding: near ties may fall otherwise", gap, n=len(rows))
    return Seen(
        "fail", observed, "an example's answer hangs on those beside it (batch statistics?): an adversarial found in"
        " one batch may be none in another", gap, n=len(rows),
    )  # fmt: skip


def probabilities(examined: Examined) -> Seen:
    """Whether outputs that are said to be logits look like probabilities (Carlini et al. 2019, arXiv:1902.06705)."""
    rows = examined.few(examined.index, ROWS)
    outputs = examined.victim.outputs(examined.x[rows], rows).double()
    if not examined.classes or outputs.ndim < 2 or outputs.shape[1] < 2:
        raise NotRun("the outputs are no scores of two or more classes; it takes a classifier")
    looks = bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() <= 1e-3).all())
    saturated = float((outputs.amax(1) >= 1 - 1e-6).double().mean()) if looks else 0.0
    observed = (
        f"between 0 and 1 with a sum of 1, {saturated:.0%} of them saturated" if looks
        else f"from {float(outputs.min()):.3g} to {float(outputs.max()):.3g}"
    )  # fmt: skip
    if not looks:
        return Seen("pass", observed, "they are no probabilities", n=len(rows))
    if examined.output == "probabilities":
        word = "warn" if saturated > 0.1 else "pass"
        return Seen(
            "warn" if word == "warn" else "pass", observed, "declared as probabilities; where these are saturated,"
            " gradients through them vanish: give the logits" if word == "warn" else "declared as probabilities",
            saturated, n=len(rows),
        )  # fmt: skip
    return Seen(
        "fail", observed, f"they are declared as {examined.output} and look like probabilities: losses of logits climb"
        " poorly on them; give the network without its softmax, or declare probabilities", saturated, n=len(rows),
    )  # fmt: skip


def _others(examined: Examined, rows: Tensor) -> Tensor:
    """The same examples before as many strangers: random legal inputs around the first, far from all."""
    reach = float(examined.space.widest(examined.x)[rows[0]])
    return torch.cat((examined.x[rows], examined.around(int(rows[0]), reach, len(rows), "companions")))


def _gap(first: Tensor, other: Tensor) -> float:
    """The largest difference, of the largest number."""
    if not torch.equal(first.isfinite(), other.isfinite()):
        return 1e30  # a number in one run and none in the other
    ours, theirs = (each.double().nan_to_num(0, 0, 0) for each in (first, other))
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30))
