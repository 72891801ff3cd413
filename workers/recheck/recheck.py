"""Is what is said of stored adversarial examples true of the bytes on disk and the network as it was submitted?

Shares no line with what made them: whoever errs there is found out here (Carlini et al. 2019, arXiv:1902.06705,
section 4: "verify that adversarial examples are valid").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.recheck.asking import Asking, predicted
from workers.recheck.legal import Norm, eight_bit, illegal
from workers.recheck.stored import Stored, Unreadable

Array = NDArray[Any]

CLOSE = 1e-4
"""Of the largest claimed number of an output: what another batch may move by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecked:
    """n stored examples, of which `confirmed` are as they are said to be.

    refused: (number of the example, why) of the others. survived: how many of the confirmed still do what they did
    after 8-bit rounding; None where that was not asked.
    """

    n: int
    confirmed: int
    refused: tuple[tuple[int, str], ...]
    survived: int | None = None


ROUNDED = 1e-5
"""Of the range of the bounds: by what rounding may put an example's number beyond one."""


def recheck(asking: Asking, data: bytes, norm: Norm, *, axis: int = 0, rounded: bool = False) -> Rechecked:
    """Each stored example (`stored.Stored`, the bytes of its file), one forward each.

    axis: of the classes in one output, without the batch. rounded: whether 8-bit rounding is tried as well. Raises
    Unreadable where the file is not one of adversarial examples of these.
    """
    stored = Stored.of(data)
    if len(stored) == 0:
        return Rechecked(n=0, confirmed=0, refused=(), survived=0 if rounded else None)
    _refuse_others(asking, stored)
    low, high = asking.bounds()
    originals = _within(asking.originals(stored.index).astype(stored.made.dtype), low, high)
    try:
        reasons = illegal(originals, stored.made, stored.epsilon, norm, low, high, stored.unit, stored.free)
    except ValueError as wrong:
        raise Unreadable(f"the stored arrays do not belong together: {wrong}") from None
    refused, survived = [], 0
    for at, (index, reason) in enumerate(zip(stored.index.tolist(), reasons, strict=True)):
        why = reason or _denied(asking, stored, at, axis)
        if why is not None:
            refused.append((index, why))
        elif rounded:
            survived += _survives(asking, stored, at, axis, eight_bit(stored.made[at : at + 1], low, high)[0])
    n = len(stored)
    kept = survived if rounded else None
    return Rechecked(n=n, confirmed=n - len(refused), refused=tuple(refused), survived=kept)


def _refuse_others(asking: Asking, stored: Stored) -> None:
    """Raises Unreadable where the stored cannot be of these examples."""
    there = len(asking.subject.examples[asking.role].inputs)
    if stored.index.dtype.kind != "i" or stored.index.min() < 0 or stored.index.max() >= there:
        raise Unreadable(f"'index' names examples that are not among the {there} of the {asking.role} data")
    shape = asking.originals(stored.index[:1]).shape[1:]
    if stored.made.shape[1:] != shape:
        raise Unreadable(f"'made' has the shape {stored.made.shape[1:]}, an example {shape}")


def _within(originals: Array, low: Array, high: Array) -> Array:
    """The examples, where rounding has put a number beyond a bound at that bound: no attack could begin elsewhere."""
    beyond = ROUNDED * (high - low)
    slightly = (originals >= low - beyond) & (originals <= high + beyond)
    clipped = np.clip(originals, low.astype(originals.dtype), high.astype(originals.dtype))
    return np.where(slightly, clipped, originals)


def _denied(asking: Asking, stored: Stored, at: int, axis: int) -> str | None:
    """What the network says against the claim, or None."""
    output = asking.output(stored.made[at], int(stored.index[at]))
    if not np.isfinite(output).all():
        return "the network's output for it is not finite"
    if stored.value is not None and (gap := _gap(output, stored.value[at])) > CLOSE:
        return f"the network alone gives an output that is {gap:.3g} of its size from the one stored"
    if stored.prediction is None and stored.label is None:
        return None
    found = predicted(output, asking.subject.facts.output.kind, axis)
    if stored.prediction is not None and not np.array_equal(found, stored.prediction[at]):
        return f"the network alone predicts {_short(found)}, not {_short(stored.prediction[at])}"
    if stored.label is not None and np.array_equal(found, stored.label[at]):
        return f"the network alone still predicts its label {_short(found)}"
    return None


def _survives(asking: Asking, stored: Stored, at: int, axis: int, made: Array) -> bool:
    """Whether the rounded example is still not its label; where there is none, whether it is predicted as before."""
    output = asking.output(made, int(stored.index[at]))
    if not np.isfinite(output).all():
        return False
    found = predicted(output, asking.subject.facts.output.kind, axis)
    if stored.label is not None:
        return not np.array_equal(found, stored.label[at])
    if stored.prediction is not None:
        return np.array_equal(found, stored.prediction[at])
    return stored.value is not None and _gap(output, stored.value[at]) <= CLOSE


def _gap(output: Array, claimed: Array) -> float:
    if output.size != claimed.size:
        return float("inf")
    values = claimed.astype(np.float64).reshape(output.shape)
    return float(np.abs(output - values).max() / max(float(np.abs(values).max()), 1e-6))


def _short(predictions: Array) -> str:
    return str(predictions.item()) if predictions.size == 1 else f"{predictions.size} classes"
