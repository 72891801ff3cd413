"""How is a ratio measured that a neighbour's load cannot bend? Ours, the peer and the floor in turn, round after round.

A round takes ours and the floor twice and the peer once, and keeps the quicker of the two; ratios are medians of the
rounds' ratios. Each begins as a freshly forked child does, with no freed pages at hand.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch

from workers.numerics.memory import give_back_freed_pages

Run = Callable[[], object]


def seconds(run: Run) -> float:
    """What one call takes."""
    give_back_freed_pages()
    start = perf_counter()
    run()
    return perf_counter() - start


def compared(
    name: str,
    what: str,
    *,
    ours: Run,
    peer: tuple[str, Run],
    floor: Run | None,
    rounds: int,
    versions: Mapping[str, str],
) -> dict[str, object]:
    """A row of `benchmarks/results.json`. peer: what it is, and the call. floor: None where there is none."""
    ours()
    if floor is not None:
        floor()
    mine, least, theirs = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        first, other, beneath = seconds(ours), seconds(peer[1]), seconds(floor) if floor else 1.0
        mine.append(min(first, seconds(ours)))
        least.append(min(beneath, seconds(floor) if floor else 1.0))
        theirs.append(other)
    return {
        "name": name, "what": what, "value": median(mine), "unit": "s", "peer": peer[0], "peer_value": median(theirs),
        "ratio": median(p / o for p, o in zip(theirs, mine, strict=True)),
        "floor_value": median(least) if floor else None,
        "floor_ratio": median(o / f for o, f in zip(mine, least, strict=True)) if floor else None,
        "runs": rounds, "spread": [min(mine), median(mine), max(mine)], "device": "cpu", "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, **versions},
    }  # fmt: skip
