"""Which layers are looked at, and which of them are attacked at their own output?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from service.contracts.outcome import NotApplicable
from workers.pictures.layers import spread
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared

MOST_LAYERS = 24
"""Of those not named: more rows than these nobody reads."""

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Chosen:
    """taps: looked at, in order of running, each tensor once. others: not looked at, and why not."""

    taps: tuple[Tap, ...]
    others: tuple[NotApplicable, ...]


def chosen(ready: Prepared, names: Sequence[str]) -> Chosen:
    """names: layers by key, name or module; empty for all leaves, or evenly 24 of more.

    A layer that gives the tensor of an earlier one is that one.
    """
    inputs = ready.probe.inputs
    asked = [tap for tap in ready.layers if (not names and not tap.container) or _named(tap, names)]
    own = {ready.probe.own(tap).key: ready.probe.own(tap) for tap in asked if ready.probe.own(tap).key not in inputs}
    refused = [NotApplicable(subject=key, because=tap.reason) for key, tap in own.items() if not _able(tap)]
    able = [tap for tap in ready.layers if tap.key in own and _able(tap)]
    refused += _unknown(ready, names)
    kept = able if names else [able[at] for at in _thinned([tap.cut for tap in able], MOST_LAYERS)]
    left = [tap.key for tap in able if tap not in kept]
    if left:
        because = f"{len(left)} of {len(able)} layers are left out, evenly over depth; name those that are meant"
        refused.append(NotApplicable(subject=", ".join(left)[:600], because=because))
    return Chosen(tuple(kept), tuple(refused))


def attacked(taps: Sequence[Tap], most: int) -> tuple[int, ...]:
    """The places of those attacked at their own output: cuts first, for from there the layer alone decides; evenly
    over depth."""
    return _thinned([tap.cut for tap in taps], most)


def before(taps: Sequence[Tap], reached: Sequence[bool]) -> tuple[int, ...]:
    """For each the place of the layer whose displacement its own is compared with: the last of those that lead to it
    and that the change reaches; -1 is the input."""
    made = []
    for at, tap in enumerate(taps):
        leading = [place for place in range(at) if taps[place].key in tap.upstream and reached[place]]
        made.append(leading[-1] if leading else -1)
    return tuple(made)


def _named(tap: Tap, names: Sequence[str]) -> bool:
    return not {tap.key, tap.layer, tap.module}.isdisjoint(names)


def _able(tap: Tap) -> bool:
    return tap.layout is not None and tap.status == "on_path"


def _thinned(cuts: Sequence[bool], most: int) -> tuple[int, ...]:
    """So many at most: cuts first, each sort evenly over depth."""
    kept = _evenly([at for at, cut in enumerate(cuts) if cut], most)
    kept += _evenly([at for at, cut in enumerate(cuts) if not cut], most - len(kept))
    return tuple(sorted(kept))


def _evenly(places: Sequence[int], most: int) -> list[int]:
    if len(places) <= most:
        return list(places)
    if most < 2:
        return list(places[-1:]) * most
    return [places[at] for at in spread(len(places), most)]


def _unknown(ready: Prepared, names: Sequence[str]) -> list[NotApplicable]:
    known = {name for tap in ready.layers for name in (tap.key, tap.layer, tap.module)}
    made = []
    for name in names:
        if name in known:
            continue
        near = get_close_matches(name, sorted(known), n=_NEAREST, cutoff=0.0)
        because = (
            "it does not run as a module in a forward pass"
            if name in ready.probe.silent
            else f"no such layer ran; the nearest are {', '.join(near)}"
        )
        made.append(NotApplicable(subject=name, because=because))
    return made
