"""Does a layer's own line, from its activation at the baseline to that at the input, begin with a jump?

The path of the input may be smooth where a layer's own line is not: a layer that gives zeros at the baseline, and whose
reader normalises them, makes its whole change as soon as it has left zero, and no number of steps follows that
(`workers.sweep.jump`). Each layer is looked at by itself, with a few examples, once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from workers.suffix.rerun import Rerun
from workers.sweep.jump import MOST
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import ChangingGraph

_EARLY, _FEW = 1e-3, 4
"""How far along the line is looked, and over how many examples."""

_ROUNDING = 64
"""Units in the last place of the target by which two passes may differ."""

_REMEMBERED = 4


@dataclass(slots=True, eq=False)
class _Looked:
    """Reasons by tap, of examples and baselines that are these very tensors."""

    of: tuple[Tensor, ...]
    reasons: dict[str, str] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[nn.Module, list[_Looked]] = WeakKeyDictionary()
"""A layer is asked about by applies, quote, plan and compute, and looked at once."""


def why_own_line_jumps(ready: Prepared, tap: Tap) -> str:
    """Why integrals along the line of `tap` are refused; empty where they are not."""
    of, looked = (*ready.x, *ready.origin), _KNOWN.setdefault(ready.model, [])
    known = next((each for each in looked if _same(each.of, of)), None)
    if known is None:
        known = _Looked(of)
        looked.append(known)
        del looked[:-_REMEMBERED]
    if tap.key not in known.reasons:
        known.reasons[tap.key] = _why(ready, tap)
    return known.reasons[tap.key]


def _same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _why(ready: Prepared, tap: Tap) -> str:
    try:
        share = early_share(ready, tap)
    except ChangingGraph as error:
        return str(error)
    if share <= MOST:
        return ""
    return (
        f"0.1 % of the way from its activation at the baseline the output has made {100 * share:.0f} % of its change,"
        " and no number of steps follows that: what reads it normalises zeros; ask for another baseline, or for"
        " layer_conductance, which follows the path of the input"
    )


def early_share(ready: Prepared, tap: Tap) -> float:
    """The share of the target's change along the line of `tap` that its first thousandth makes; median over examples.

    0 where the target does not change along it by more than rounding. Raises ChangingGraph.
    """
    few = ready.examples(min(_FEW, ready.probe.rows or _FEW))
    rerun, count = Rerun(few.model, few.probe), len(few)
    origin = tuple(base.expand_as(x) if x.is_floating_point() else x for base, x in zip(few.origin, few.x, strict=True))
    end = rerun.record(few.x, [tap])
    start = rerun.record(origin, [tap]).values[tap.key]
    early = torch.lerp(start, end.values[tap.key], _EARLY)
    with torch.no_grad():
        first, soon, last = (
            few.target.select(output, count).double().cpu()
            for output in (rerun.output(tap, few.x, start), rerun.output(tap, few.x, early), end.output)
        )
    change, made = (last - first).abs(), (soon - first).abs()
    floor = _ROUNDING * torch.finfo(start.dtype).eps * torch.stack([first, last]).abs().amax(0)
    moved = change > floor
    if not bool(moved.any()):
        return 0.0
    return float(((made - floor).clamp(min=0)[moved] / change[moved]).median())
