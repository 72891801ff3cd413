"""Which attributions are kept of the first examples: for the certificate, for captum, and for the pictures?"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from workers.attribution.outcome import Places
from workers.attribution.parameters import AttributionParameters
from workers.passes.attribution import Map
from workers.pictures.layers import MOST_LAYERS, spread
from workers.subject.subject import Subject
from workers.sweep.axes import Which, stays
from workers.sweep.method import Method
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared

_QUICK_PLACES, _QUICK_BYTES, _FULL_PLACES = 8, 8 << 20, 64
_MAP_EXAMPLES = 6


@dataclass(frozen=True, slots=True)
class Maps:
    """What is shown of the first examples. which: the axes that stay; None where the input is no picture, text or
    series."""

    which: Which | None
    of: tuple[Map, ...] = ()
    examples: int = _MAP_EXAMPLES


def certified(
    ready: Prepared, method: Method, parameters: AttributionParameters, taps: tuple[str, ...]
) -> tuple[str, ...]:
    """The taps whose attributions are checked, evenly over depth; one always.

    Up to 8 that 8 MiB hold for a quick certificate, up to 64 in 64 MiB for a full one.
    """
    if parameters.certificate == "none":
        return ()
    full = parameters.certificate == "full"
    most, left = (_FULL_PLACES, 8 * _QUICK_BYTES) if full else (_QUICK_PLACES, _QUICK_BYTES)
    examples = min(len(ready), parameters.certificate_examples)
    found = list[str]()
    for at in spread(len(taps), most) if taps else ():
        size = unit_bytes(ready, method, taps[at]) * examples
        if size <= left or not found:
            left -= size
            found.append(taps[at])
    return tuple(found)


def unit_bytes(ready: Prepared, method: Method, key: str) -> int:
    """Of one example's attribution, in double precision as the checks take it."""
    return 8 * prod(method.units(ready.probe.tap(key)))


def maps(subject: Subject, ready: Prepared, method: Method, places: Places, taps: tuple[str, ...]) -> Maps:
    """The maps that a picture of the first examples needs, for the taps that have one."""
    which, extent = _shown_by(subject)
    if which is None:
        return Maps(None)
    leaves = [tap for tap in map(ready.probe.tap, taps) if places == "inputs" or not tap.container]
    made = [(tap.key, axes) for tap in leaves if (axes := _axes(tap, method, which, extent)) is not None]
    return Maps(which, tuple(made[at] for at in spread(len(made), MOST_LAYERS)))


def extent(subject: Subject) -> tuple[int, ...]:
    """The lengths of the input along its places: (height, width), (tokens,), (time steps,), or ()."""
    return _shown_by(subject)[1]


def _shown_by(subject: Subject) -> tuple[Which | None, tuple[int, ...]]:
    facts = subject.facts.input
    lengths = dict(zip(facts.layout[1:], facts.shape, strict=True))
    if facts.kind == "image" and {"H", "W"} <= set(lengths):
        return "place", (lengths["H"], lengths["W"])
    if facts.kind in ("tokens", "text") and len(lengths) == 1:
        return "token", facts.shape
    if facts.kind == "series" and "T" in lengths:
        return "time", (lengths["T"],)
    return None, ()


def _axes(tap: Tap, method: Method, which: Which, extent: tuple[int, ...]) -> tuple[int, ...] | None:
    units, axes = method.units(tap), stays([tap], which, extent)[tap.key].axes
    if units == tap.shape or axes is None:
        return axes
    mapped = units == tuple(tap.shape[axis] for axis in axes)  # the method has summed over all but the places
    return tuple(range(len(units))) if mapped else None
