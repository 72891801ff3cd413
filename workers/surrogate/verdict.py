"""May these weights be read?

Every threshold stands here with its reason. Shares of weight (Σ|coefficient|), not counts of features, decide: where
three features matter and ten are shown, which seven others are shown is chance, and does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.surrogate.explained import Verdict

NOTHING = 1e-6
"""Share of its own size by which a label may change and still not change: the rounding of a float32 network."""
NOT_LINEAR = 0.25
"""Held-out R² of all features: a surrogate that misses three quarters of what changes describes something else."""
HALF = 0.5
"""Held-out R²: of what is told and what is missed, the larger part should be told."""
UNSURE = 0.25
"""Share of the weight shown that lies within its own error."""
KEPT = 0.5
"""Share of the weight shown that another run, or another kernel width, shows too."""
DRAWS = 2.0
"""Independent draws for each number that the surrogate has: of half as many, intervals that should hold 95 of 100 times
held 85 times and fewer (measured with 16 features)."""
LOST = 0.1
"""Share of samples without a number: they are seldom a random part of the neighbourhood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the verdict on one label is made of.

    change: of the label over the samples, as a share of its size. held_out: R² of the features chosen; whole: of all
    features. off: |f(x) - surrogate(x)| in standard deviations of the label over the samples. unsure: share of weight
    within its error. kept: expected share of weight that another run keeps. by_width: the least that another width
    keeps, and that width, None where none could be asked. unknowns: of the surrogate on all features. draws:
    independent ones, a pair being one.
    """

    change: float
    held_out: float
    whole: float
    off: float
    unsure: float
    kept: float
    by_width: tuple[float, float] | None
    features: int
    unknowns: int
    distinct: int
    draws: int
    lost: float


def verdict(signs: Signs) -> tuple[Verdict, str]:
    """The verdict and its reason in words."""
    if signs.change <= NOTHING:
        return "nothing changes", "Nothing changes: whatever is left out of the example, the network says the same."
    if signs.whole < NOT_LINEAR:
        return "not locally linear", (
            "Not locally linear here; do not read these weights: on samples it was not fitted to, a linear surrogate "
            f"of all features tells {_share(signs.whole)} of what changes."
        )
    doubts = _doubts(signs)
    if doubts:
        return "doubtful", f"Doubtful, because {'; '.join(doubts)}."
    return "readable", (
        f"Readable: on samples it was not fitted to, the surrogate tells {_share(signs.held_out)} of what changes."
    )


def _doubts(signs: Signs) -> list[str]:
    found = []
    if signs.distinct <= signs.unknowns:
        found.append(f"{signs.distinct} different samples cannot tell {signs.unknowns} numbers")
    elif signs.draws < DRAWS * signs.unknowns:
        found.append(
            f"{signs.draws} independent draws are few for {signs.unknowns} numbers, so that intervals are too narrow"
        )
    if signs.lost > LOST:
        found.append(f"the network gave no number for {_share(signs.lost)} of the samples")
    if signs.whole < HALF:
        found.append(f"a linear surrogate tells no more than {_share(signs.whole)} of what changes")
    elif signs.held_out < HALF:
        found.append(
            f"the {signs.features} features shown tell {_share(signs.held_out)} of what changes, and all of them "
            f"{_share(signs.whole)}: show more"
        )
    if signs.off > 1:
        found.append("at the example itself it is further from the network than the samples spread")
    if signs.unsure > UNSURE:
        found.append(f"{_share(signs.unsure)} of the weight shown lies within its own error")
    if signs.kept < KEPT:
        found.append(f"another run would keep {_share(signs.kept)} of the weight shown")
    if signs.by_width is not None and signs.by_width[0] < KEPT:
        kept, width = signs.by_width
        found.append(f"with the kernel width {width:.3g} only {_share(kept)} of the weight shown would be kept")
    return found


def _share(value: float) -> str:
    return "nothing" if value <= 0 else f"{100 * value:.0f} %"
