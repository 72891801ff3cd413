"""Which axis of a layer's units is its channels, its tokens, its time steps, and which two are places in the picture?

For a picture shapes answer, by the lengths that the input has. For a sequence they cannot: as many channels as steps
look like time; there a run of the model has shown it (`sequence`). Where a choice is left nothing is chosen: a map
along the wrong axis looks as convincing as one along the right one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from workers.sweep.probe import Tap

Which = Literal["channel", "token", "time", "place", "scalar"]

_PROPORTION = 0.1
"""How far height to width may be from the input's: strides and borders round."""


@dataclass(frozen=True, slots=True)
class Stays:
    """The axes of one example's units that stay when the others are summed; None where they are unknown, and why."""

    axes: tuple[int, ...] | None
    reason: str = ""


def stays(taps: Iterable[Tap], which: Which, extent: tuple[int, ...]) -> dict[str, Stays]:
    """For each tap's key, the axes that are `which`.

    extent: the lengths of the input along what it has: (tokens,), (time steps,), (height, width), or () for a table.
    Channels are what is left beside these. A place has its height and width side by side, behind the channels where
    both orders fit, as torch lays pictures out.
    """
    known = tuple(taps)
    lengths = {length for tap in known if len(tap.shape) == 2 for length in tap.shape}
    return {tap.key: _of(tap, which, extent, lengths) for tap in known}


def _of(tap: Tap, which: Which, extent: tuple[int, ...], lengths: set[int]) -> Stays:
    if which == "scalar":
        return Stays(())
    if which == "channel":
        return _channel(tap, extent, lengths)
    if which == "place":
        return _place(tap.shape, extent, lengths)
    return _sequence(tap, extent)


def _sequence(tap: Tap, extent: tuple[int, ...]) -> Stays:
    if len(extent) != 1:
        return Stays(None, "the input is no sequence")
    if extent[0] not in tap.shape:
        return Stays(None, f"no axis of its units {tap.shape} has the input's length of {extent[0]}")
    if tap.sequence is None or tap.shape[tap.sequence] != extent[0]:
        return Stays(
            None,
            f"which axis of its units {tap.shape} is the input's sequence of {extent[0]} cannot be told: neither a"
            " shorter one nor a change at one position shows it",
        )
    return Stays((tap.sequence,))


def _place(shape: tuple[int, ...], extent: tuple[int, ...], lengths: set[int]) -> Stays:
    if len(extent) != 2:
        return Stays(None, "the input is no picture")
    pairs = {3: ((1, 2), (0, 1)), 4: ((2, 3),)}.get(len(shape), ())
    for first, second in pairs:
        high, wide = shape[first], shape[second]
        proportion = high * extent[1] / (wide * extent[0])
        if min(high, wide) < 2 or high > extent[0] or abs(proportion - 1) >= _PROPORTION:
            continue
        if high == wide and high in lengths:
            return Stays(None, f"its units {shape} may be tokens by tokens: other layers have an axis of {high}")
        return Stays((first, second))
    return Stays(None, f"its units {shape} do not lie as the picture of {extent[0]} by {extent[1]} does")


def _channel(tap: Tap, extent: tuple[int, ...], lengths: set[int]) -> Stays:
    shape = tap.shape
    if len(shape) <= 1:
        return Stays(tuple(range(len(shape))))
    if not extent:
        return Stays(None, f"nothing says which axis of its units {shape} is its channels")
    others = _sequence(tap, extent) if len(extent) == 1 else _place(shape, extent, lengths)
    if others.axes is None:
        return others
    left = tuple(axis for axis in range(len(shape)) if axis not in others.axes)
    return Stays(left) if len(left) == 1 else Stays(None, f"{len(left)} axes of its units {shape} may be channels")
