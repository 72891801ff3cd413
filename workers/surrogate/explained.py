"""What does a surrogate say of one example, and how far can it be trusted?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workers.surrogate.neighbourhood import Floats

Verdict = Literal["readable", "doubtful", "not locally linear", "nothing changes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWidth:
    """What another kernel width would have said: its fit, and the share of the chosen features it would keep."""

    width: float
    r2: float
    overlap: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Local:
    """The surrogate of one label.

    coefficients, errors: (K,), of the surrogate on the chosen features, 0 elsewhere, as lime has it; standard errors of
    what a run with other samples would give, infinite where a feature varies in too few of them to tell. freedom: (K,),
    how many degrees these errors have, for an interval by Student's t (`errors.half_width`). whole,
    whole_errors: (K,), of the surrogate on all features, by which ranks, stability and settling are judged. chosen: as
    lime orders them, largest absolute coefficient first.
    r2: lime's score, weighted, on the samples it was fitted to; held_out: on samples it was not fitted to;
    whole_held_out: the same of the surrogate on all features.
    prediction: f(x). local: what the surrogate says of x.
    stable_features, stable_values: VSI and CSI (Visani et al. 2020, arXiv:2001.11757), 0 to 1, over resamples; they
    flatter where features are equal. overlap: the share of the first ranks that two fresh runs are expected to have in
    common.
    gap, gap_error: between ranks k and k + 1 of |whole · z(x)|, k being how many are kept, and that difference's
    standard error; None where every feature is kept. settled: whether the gap exceeds its error, or both weigh under a
    hundredth of the largest; None where that was not asked.
    reason: the verdict in words.
    """

    coefficients: Floats
    errors: Floats
    freedom: Floats
    whole: Floats
    whole_errors: Floats
    chosen: tuple[int, ...]
    intercept: float
    r2: float
    held_out: float
    whole_held_out: float
    prediction: float
    local: float
    stable_features: float
    stable_values: float
    overlap: float
    gap: float | None
    gap_error: float | None
    settled: bool | None
    widths: tuple[OtherWidth, ...]
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explained:
    """Every label of one example.

    samples: drawn; distinct: different ones among them; lost: left out because a number of theirs is not finite.
    effective: (Σw)² / Σw², how many samples of weight one would weigh as much.
    """

    labels: tuple[Local, ...]
    samples: int
    distinct: int
    lost: int
    effective: float
