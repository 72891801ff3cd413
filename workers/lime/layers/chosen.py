"""Which layers are read, and why are others not?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from service.contracts.outcome import NotApplicable
from workers.pictures.layers import spread
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared

MOST_LAYERS = 64
"""Of those not named: more rows than these nobody reads, and each is a surrogate with its stability."""

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Chosen:
    """taps: read, in order of running, each tensor once. others: asked for and not read, with the reason."""

    taps: tuple[Tap, ...]
    others: tuple[NotApplicable, ...]


def chosen(ready: Prepared, names: Sequence[str], needed: Sequence[str] = ()) -> Chosen:
    """names: layers by key, name or module; all, or evenly 64 of more, where empty. needed: read in any case.

    A layer that gives the tensor of an earlier one is that one.
    """
    asked = [tap for tap in ready.layers if not names or _is_one_of(tap, {*names, *needed})]
    own = {_owner(ready, tap).key: _owner(ready, tap) for tap in asked}
    refused = [NotApplicable(subject=key, because=tap.reason) for key, tap in own.items() if not _readable(tap)]
    able = sorted((tap for tap in own.values() if _readable(tap)), key=ready.layers.index)
    refused += _unknown(ready, (*names, *needed))
    if names:
        return Chosen(tuple(able), tuple(refused))
    always = [tap for tap in able if _is_one_of(tap, set(needed))]
    others = [tap for tap in able if tap not in always]
    thin = [others[at] for at in thinned([tap.cut for tap in others], max(0, MOST_LAYERS - len(always)))]
    kept = tuple(tap for tap in able if tap in always or tap in thin)
    left = [tap.key for tap in able if tap not in kept]
    because = f"{len(left)} of {len(able)} layers are left out, evenly over depth; name those that are meant as layers"
    more = [NotApplicable(subject=_listed(left), because=because)] if left else []
    return Chosen(kept, (*refused, *more))


def _is_one_of(tap: Tap, names: set[str]) -> bool:
    return not names.isdisjoint({tap.key, tap.layer, tap.module})


def _owner(ready: Prepared, tap: Tap) -> Tap:
    """The layer that gave the tensor first; inputs are none."""
    return tap if tap.same_as is None or tap.same_as in ready.probe.inputs else ready.probe.tap(tap.same_as)


def _readable(tap: Tap) -> bool:
    return tap.layout is not None and tap.status in ("on_path", "off_path")


def thinned(cuts: Sequence[bool], most: int) -> tuple[int, ...]:
    """Which of these layers to keep, so many at most: cuts first, each sort evenly over depth."""
    kept = _evenly([at for at, cut in enumerate(cuts) if cut], most)
    kept += _evenly([at for at, cut in enumerate(cuts) if not cut], most - len(kept))
    return tuple(sorted(kept))


def _evenly(layers: Sequence[int], most: int) -> list[int]:
    """The first and the last among them; the last alone where there is room for one."""
    if len(layers) <= most:
        return list(layers)
    if most < 2:
        return list(layers[-1:]) * most
    return [layers[at] for at in spread(len(layers), most)]


def _unknown(ready: Prepared, names: Iterable[str]) -> list[NotApplicable]:
    known = {name for tap in ready.layers for name in (tap.key, tap.layer, tap.module)}
    made = []
    for name in dict.fromkeys(names):
        if name in known:
            continue
        if name in ready.probe.silent:
            because = "it does not run as a module in a forward pass"
        else:
            near = get_close_matches(name, sorted(known), n=_NEAREST, cutoff=0.0)
            because = f"no such layer ran; the nearest are {', '.join(near)}"
        made.append(NotApplicable(subject=name, because=because))
    return made


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 600 else f"{text[:590]} ..."
