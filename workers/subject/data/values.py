"""Do the numbers of a file agree with what its owner declared? Shape, bounds, labels; the first faults are named.

Inputs stay in raw units. They become float32, or int64 where they are token ids; nothing else is done to them.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from service.contracts.facts import DatasetFacts, InputFacts
from service.contracts.problem import Fault
from workers.subject.data.found import Array, Place
from workers.subject.data.limits import FAULTS
from workers.subject.refusal import Refusal, quoted

_BLOCK = 1 << 22
"""Numbers compared at a time, so that memory for the comparison is bounded."""
_PRECISE = 1 << 24
"""Whole numbers up to here are exact in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and highest value found: of everything, and per channel or feature."""

    low: Array
    high: Array

    @property
    def lowest(self) -> float:
        """Of everything."""
        return float(self.low.min())

    @property
    def highest(self) -> float:
        """Of everything."""
        return float(self.high.max())


def check_shape(shape: tuple[int, ...], facts: InputFacts, what: str, pointer: str = "facts.input.shape") -> None:
    """Refuses an array of `shape` (N, ...) that does not hold examples of the declared shape; `what` names it."""
    if not shape or shape[1:] != facts.shape:
        raise Refusal(
            "input-shape",
            f"{pointer} declares one example as {list(facts.shape)}; {what}"
            f" has shape {list(shape)}, that is {list(shape[1:])} per example",
            "Examples lie along the first axis; reshape the array, or register the dataset with its real shape.",
        )
    if shape[0] == 0:
        raise Refusal("empty-dataset", f"{what} holds no example", "Send at least one.")


def check_values(raw: Array, facts: InputFacts, place: Place) -> Range:
    """The range of `raw` (N, ...); refuses NaN, infinities and values out of bounds, naming the first of each."""
    low_bound, high_bound = (_bound(values, facts) for values in (facts.bounds.low, facts.bounds.high))
    # a bound such as 0.1 has no float32 equal: the nearest float32 beyond it is still within
    low_bound = np.minimum(low_bound, low_bound.astype(np.float32).astype(np.float64))
    high_bound = np.maximum(high_bound, high_bound.astype(np.float32).astype(np.float64))
    axes = tuple(axis for axis in range(raw.ndim) if axis != facts.channel_axis + 1) if raw.ndim > 1 else (0,)
    lows, highs = [], []
    step = max(1, _BLOCK // max(1, prod(facts.shape)))
    for start in range(0, len(raw), step):
        block = raw[start : start + step].astype(np.float64)
        _refuse(~np.isfinite(block), raw, start, place, "not-finite", "is not a finite number", "Drop or fill it.")
        outside = (block < low_bound) | (block > high_bound)
        said = f"lies outside the declared bounds ({facts.unit})"
        remedy = "Declare the real bounds, or send raw values in this unit."
        _refuse(outside, raw, start, place, "out-of-bounds", said, remedy)
        lows.append(block.min(axis=axes))
        highs.append(block.max(axis=axes))
    return Range(low=np.min(lows, axis=0), high=np.max(highs, axis=0))


def _bound(values: tuple[float, ...], facts: InputFacts) -> Array:
    numbers = np.asarray(values, dtype=np.float64)
    if len(values) == 1:
        return numbers.reshape(())
    shape = [1] * (len(facts.shape) + 1)
    shape[facts.channel_axis + 1] = len(values)
    return numbers.reshape(shape)


def _refuse(wrong: Array, raw: Array, start: int, place: Place, code: str, said: str, remedy: str) -> None:
    if not wrong.any():
        return
    faults = []
    for found in np.argwhere(wrong)[:FAULTS]:
        index = (start + int(found[0]), *(int(axis) for axis in found[1:]))
        faults.append(f"{place(index, raw[index])} {said}")
    raise listed(code, faults, int(np.count_nonzero(wrong)), remedy)


def listed(code: str, faults: list[str], count: int, remedy: str, more: str = "") -> Refusal:
    """A refusal for `count` faults, the first of them in words; `more` is said where reading stopped there."""
    others = f", and {more}{count - 1:,} more" if count > 1 or more else ""
    pointed = tuple(Fault(pointer="/file", detail=fault[:4000]) for fault in faults[:FAULTS])
    return Refusal(code, faults[0] + others, remedy, pointed if count > 1 else ())


def as_inputs(raw: Array, facts: InputFacts, name: str, *, decimal: bool = False) -> tuple[Array, tuple[str, ...]]:
    """`raw` as it is kept, C order: float32, or int64 for tokens; with a note where that rounds."""
    if facts.kind == "tokens":
        return _as_tokens(raw, name), ()
    with np.errstate(over="ignore"):
        inputs = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(inputs).all():
        raise Refusal("not-finite", "an input is too large for float32", "Scale the inputs and declare the new unit.")
    exact = raw.dtype.itemsize <= 2 or raw.dtype == np.float32 or _same(inputs, raw, whole_only=decimal)
    return inputs, () if exact else (f"inputs were rounded from {raw.dtype.name} to float32",)


def _same(kept: Array, raw: Array, *, whole_only: bool) -> bool:
    """Whether nothing was rounded; of decimal numbers only the whole ones are asked for."""
    differs = kept != raw
    return not bool((differs & (np.abs(raw) >= _PRECISE)).any() if whole_only else differs.any())


def _as_tokens(raw: Array, name: str) -> Array:
    if raw.dtype.kind not in "iu" and not (raw.dtype.kind == "f" and bool((raw == np.rint(raw)).all())):
        raise Refusal(
            "tokens-dtype",
            f"{quoted(name)} has dtype {raw.dtype.name} and values that are not whole; token ids are whole numbers",
            'Save the ids with ids.astype(numpy.int64), or declare another kind of input than "tokens".',
        )
    return np.ascontiguousarray(raw, dtype=np.int64)


def check_labels(labels: Array, facts: DatasetFacts, name: str, examples: int) -> Array:
    """Labels of shape (N,) as int64; refuses others, and those that are none of the declared classes."""
    what = f"array {quoted(name)}"
    if labels.shape != (examples,):
        raise Refusal(
            "labels-shape",
            f"{what} has shape {list(labels.shape)} for {examples} examples",
            "Give one label per example, as a flat array.",
        )
    if labels.dtype.kind not in "iub":
        raise Refusal(
            "labels-dtype",
            f"{what} has dtype {labels.dtype.name}; labels are whole numbers",
            "Save them with labels.astype(numpy.int64).",
        )
    wrong = (labels < 0) | (labels > (len(facts.classes) - 1 if facts.classes else 2**31))
    if wrong.any():
        index = int(wrong.argmax())
        raise Refusal(
            "labels-range",
            f"{what}: label {labels[index]} at [{index}] is not one of the"
            f" {len(facts.classes)} declared classes (0 to {len(facts.classes) - 1})"
            if facts.classes
            else f"{what}: label {labels[index]} at [{index}] is negative or beyond 2^31",
            "Number the labels from 0 in the order of the class names.",
        )
    return np.ascontiguousarray(labels, dtype=np.int64)
