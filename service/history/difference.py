"""How far apart are two estimates, and could that be chance? From their values, intervals and sample sizes alone.

Two proportions: Newcombe 1998, Statistics in Medicine 17:873, method 10, which squares and adds the distances to the
Wilson bounds. Any other two intervals: the same with the bounds as they are (Zou and Donner 2008, Statistics in
Medicine 27:1693), which for symmetric ones is the normal approximation. Both take the two samples for independent;
measured on the same examples they seldom are, and then the interval is wider than it had to be.
"""

from collections.abc import Callable
from math import copysign, erfc, inf, isclose, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
FURTHEST_Z = 38.0
"""Past this the probability is no longer a positive double."""
How = Literal["newcombe", "intervals", "numbers"]


class Estimate(NamedTuple):
    """A measured value; `low` and `high` bound it at 95 %, both or neither given."""

    value: float
    low: float | None
    high: float | None
    n: int


class Difference(NamedTuple):
    """After less before, in the metric's unit.

    `low` and `high` bound it at 95 %, `p` is two-sided and belongs to the same interval: it is 0.05 where the interval
    ends at zero. All three are None where `how` is "numbers": then nothing is known of chance.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    how: How


def difference(before: Estimate, after: Estimate) -> Difference:
    """What changed from one estimate to the other."""
    change = after.value - before.value
    counts = _successes(before), _successes(after)
    if counts[0] is not None and counts[1] is not None:
        return _newcombe(counts[0], before.n, counts[1], after.n)
    if not (_is_bounded(before) and _is_bounded(after)):
        return Difference(change, None, None, None, "numbers")
    down = _squares(_below(after), _above(before))
    up = _squares(_above(after), _below(before))
    towards_zero = down if change > 0 else up
    p = erfc(abs(change) / towards_zero * Z / sqrt(2)) if towards_zero > 0 else (0.0 if change else 1.0)
    return Difference(change, change - down, change + up, p, "intervals")


def magnitude(estimate: Estimate) -> Estimate:
    """The distance from zero, for metrics that should be close to it; an interval over zero begins there."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return Estimate(abs(estimate.value), None, None, estimate.n)
    ends = sorted((abs(low), abs(high)))
    return Estimate(abs(estimate.value), 0.0 if low <= 0 <= high else ends[0], ends[1], estimate.n)


def wilson(successes: int, n: int, z: float = Z) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927, JASA 22:209). Raises ValueError unless 0 <= successes <= n."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    p = successes / n
    return p - _reach(p, n, z, -1), p + _reach(p, n, z, 1)


def _newcombe(before: int, before_n: int, after: int, after_n: int) -> Difference:
    p, q = after / after_n, before / before_n
    change = p - q

    def down(z: float) -> float:
        return _squares(_reach(p, after_n, z, -1), _reach(q, before_n, z, 1))

    def up(z: float) -> float:
        return _squares(_reach(p, after_n, z, 1), _reach(q, before_n, z, -1))

    z = _where(down if change > 0 else up, abs(change))
    return Difference(change, change - down(Z), change + up(Z), erfc(z / sqrt(2)), "newcombe")


def _where(reach: Callable[[float], float], distance: float) -> float:
    """The z at which an interval's reach, which grows with z, is a distance; inf past what a double can tell.

    Regula falsi with the Illinois step: Dowell and Jarratt 1971, BIT 11:168.
    """
    if distance == 0:
        return 0.0
    low, high = 0.0, FURTHEST_Z
    at_low, at_high = -distance, reach(high) - distance
    if at_high < 0:
        return inf
    for _ in range(60):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        here = reach(middle) - distance
        if abs(here) <= 1e-12 * distance:
            return middle
        if here < 0:
            low, at_low, at_high = middle, here, at_high / 2
        else:
            high, at_high, at_low = middle, here, at_low / 2
    return middle


def _reach(p: float, n: int, z: float, side: Literal[-1, 1]) -> float:
    """How far Wilson's bound lies from the proportion: below it (-1) or above (1)."""
    far = 0.0 if side < 0 else 1.0
    if p == far:
        return 0.0
    shrink = 1 + z * z / n
    half = z / shrink * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    centre = (p + z * z / (2 * n)) / shrink
    return copysign(1.0, side) * (centre - p) + half


def _successes(estimate: Estimate) -> int | None:
    """How many of n, where the estimate is a proportion with Wilson's interval at 95 %; None where it is not."""
    if estimate.low is None or estimate.high is None or estimate.n < 1 or not 0 <= estimate.value <= 1:
        return None
    count = round(estimate.value * estimate.n)
    if not isclose(count / estimate.n, estimate.value, rel_tol=1e-9, abs_tol=1e-12):
        return None
    low, high = wilson(count, estimate.n)
    same = isclose(low, estimate.low, abs_tol=1e-9) and isclose(high, estimate.high, abs_tol=1e-9)
    return count if same else None


def _is_bounded(estimate: Estimate) -> bool:
    """Whether its interval says anything: one without width, as of five equal values, says nothing of the sixth."""
    return estimate.low is not None and estimate.high is not None and estimate.low < estimate.high


def _below(estimate: Estimate) -> float:
    return max(0.0, estimate.value - (estimate.value if estimate.low is None else estimate.low))


def _above(estimate: Estimate) -> float:
    return max(0.0, (estimate.value if estimate.high is None else estimate.high) - estimate.value)


def _squares(first: float, second: float) -> float:
    return sqrt(first * first + second * second)
