"""Which layers or inputs get numbers, and why do the others get none?"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from service.contracts.outcome import NotApplicable
from workers.attribution.outcome import Places
from workers.sweep.method import Method
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Chosen:
    """taps: those that get numbers, in order of running, with those that only pass on another's tensor.
    others: what was asked for and gets none, with the reason."""

    taps: tuple[Tap, ...]
    others: tuple[NotApplicable, ...]

    def keys(self, ready: Prepared) -> tuple[str, ...]:
        """The taps that must be computed for these."""
        return tuple(dict.fromkeys(ready.probe.own(tap).key for tap in self.taps))


def chosen(ready: Prepared, method: Method, places: Places, names: tuple[str, ...]) -> Chosen:
    """names: layers asked for by key, name or module; all of `places` where empty."""
    every = tuple(map(ready.probe.tap, ready.inputs)) if places == "inputs" else ready.layers
    asked = [tap for tap in every if not names or {tap.key, tap.layer, tap.module} & set(names)]
    taps, others = [], [*_unknown(ready, every, names)]
    for tap in asked:
        reason = _because(tap) if tap.status != "on_path" else method.obstacle(ready, ready.probe.own(tap))
        if reason:
            others.append(NotApplicable(subject=tap.key, because=reason[:4000]))
        else:
            taps.append(tap)
    if not names and places == "layers":
        others += [
            NotApplicable(subject=name, because="it does not run as a module in a forward pass")
            for name in ready.probe.silent
        ]
    return Chosen(tuple(taps), tuple(others))


def _unknown(ready: Prepared, every: tuple[Tap, ...], names: tuple[str, ...]) -> list[NotApplicable]:
    known = {name for tap in every for name in (tap.key, tap.layer, tap.module)}
    made = []
    for name in names:
        if name in known:
            continue
        if name in ready.probe.silent:
            reason = "it does not run as a module in a forward pass"
        else:
            near = get_close_matches(name, sorted(known), n=_NEAREST, cutoff=0.0)
            reason = f"no such layer ran; the nearest are {', '.join(near)}"
        made.append(NotApplicable(subject=name, because=reason))
    return made


def _because(tap: Tap) -> str:
    return f"{tap.reason}: its attribution is zero" if tap.status in ("off_path", "constant") else tap.reason
