"""Which lines are better, worse, or cannot be told: hand-made pairs, one for every verdict."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.history.compare import badness, compare, counts, said
from service.history.difference import Z, wilson

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIRST = UUID(int=1)
SIDES = ("version 1", "version 2")


@dataclass(frozen=True)
class Point:
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 100
    metric: str = "clean_accuracy"
    layer: str | None = None
    series_key: str = "line"
    dataset_digest: str | None = "data"
    created_at: datetime = NOON
    analysis_id: UUID = FIRST


def right(successes: int, n: int = 100, **more: Any) -> Point:
    return Point(successes / n, *wilson(successes, n), n, **more)


def later(point: Point) -> Point:
    return replace(point, created_at=point.created_at + timedelta(days=1), analysis_id=uuid4())


def one(before: Point | None, after: Point | None) -> Any:
    sides = [{} if point is None else {"line": point} for point in (before, None if after is None else later(after))]
    (found,) = compare(*sides, sides=SIDES)
    return found


def test_a_fall_in_accuracy_past_chance_is_worse_and_a_rise_is_better() -> None:
    worse, better = one(right(95), right(60)), one(right(60), right(95))
    assert (worse.verdict, better.verdict) == ("worse", "improved")
    assert worse.change.how == "newcombe"
    assert worse.p_holm == worse.p_bh == worse.change.p
    assert worse.p_holm < 1e-6


def test_a_fall_that_may_be_chance_is_shown_to_be_no_difference() -> None:
    found = one(right(95), right(93))
    assert found.verdict == "no_difference_shown"
    assert "may be chance" in found.because
    assert found.change.value == pytest.approx(-0.02)


def test_lower_is_better_and_close_to_zero_is_better_turn_the_sign() -> None:
    small = Point(0.01, 0.005, 0.015, metric="completeness_error")
    large = Point(0.10, 0.095, 0.105, metric="completeness_error")
    assert one(small, large).verdict == "worse"
    assert one(large, small).verdict == "improved"


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        (None, right(9), "it was not measured on version 1"),
        (right(9), None, "it was not measured on version 2"),
        (right(90), right(20, dataset_digest="other"), "the bytes of its dataset changed"),
        (right(90, metric="layer_total"), right(20, metric="layer_total"), "no direction"),
        (right(90, metric="long_gone"), right(20, metric="long_gone"), "no longer in the vocabulary"),
    ],
)
def test_what_cannot_be_compared_says_why(before: Point | None, after: Point | None, because: str) -> None:
    found = one(before, after)
    assert found.verdict == "not_comparable"
    assert because in found.because
    assert found.p_holm is None


def test_a_measurement_is_not_compared_with_itself() -> None:
    point = right(90)
    (found,) = compare({"line": point}, {"line": point}, sides=SIDES)
    assert (found.verdict, found.because) == ("not_comparable", "it is the very same measurement")


def test_numbers_without_intervals_are_compared_as_numbers_and_counted_apart() -> None:
    found = one(Point(0.9), Point(0.8))
    assert (found.verdict, found.as_numbers, found.p_holm) == ("worse", True, None)
    assert "numbers alone" in found.because
    assert counts([found])["worse_as_numbers"] == 1
    assert counts([found])["worse"] == 0
    assert said([found]) == "1 line, 0 worse, 1 worse as numbers only"
    assert one(Point(0.9), Point(0.9)).verdict == "no_difference_shown"


def test_more_lines_looked_at_make_no_verdict_easier() -> None:
    """One line at p = 0.01 alone is worse; among ten lines without a change it may be chance."""
    half = 0.05
    change = 2.5758293 * half / Z * 2**0.5  # two symmetric intervals: z is 2.58, p is 0.01
    before = {"bad": Point(0.9, 0.9 - half, 0.9 + half, series_key="bad")}
    after = {"bad": later(Point(0.9 - change, 0.9 - change - half, 0.9 - change + half, series_key="bad"))}
    (alone,) = compare(before, after, sides=SIDES)
    assert alone.verdict == "worse"
    assert alone.p_holm == pytest.approx(0.01, rel=1e-6)
    for number in range(9):
        same = Point(0.5, 0.4, 0.6, series_key=str(number))
        before[str(number)], after[str(number)] = same, later(same)
    among = compare(before, after, sides=SIDES)
    (bad,) = [each for each in among if each.line.series_key == "bad"]
    assert bad.p_holm == pytest.approx(0.1, rel=1e-6)
    assert bad.p_bh == pytest.approx(0.1, rel=1e-6)
    assert bad.verdict == "no_difference_shown"
    assert said(among) == "10 lines, 0 worse, 10 with no difference shown"


def test_lines_that_get_no_verdict_are_not_part_of_the_family() -> None:
    before: dict[str, Point] = {"a": right(95), "b": right(95), "c": right(95)}
    after = {"a": later(right(80)), "b": later(right(80, dataset_digest="other"))}
    found = compare(before, after, sides=SIDES)
    assert found[0].p_holm == found[0].change.p  # type: ignore[union-attr]  # it was compared
    assert said(found) == "3 lines, 1 worse, 2 not comparable"


def test_the_worst_come_first() -> None:
    pairs = {
        "same": (right(90), right(90)),
        "better": (right(50), right(95)),
        "number": (Point(0.9), Point(0.1)),
        "worse": (right(95), right(60)),
        "worst": (right(95), right(10)),
        "alone": (right(95), None),
    }
    before = {key: replace(pair[0], series_key=key) for key, pair in pairs.items()}
    after = {key: later(replace(pair[1], series_key=key)) for key, pair in pairs.items() if pair[1] is not None}
    found = compare(before, after, sides=SIDES)
    assert [each.line.series_key for each in found] == ["worst", "worse", "number", "better", "same", "alone"]


def test_how_bad_a_value_is_follows_its_direction() -> None:
    assert badness("clean_accuracy", 0.2) > badness("clean_accuracy", 0.9)
    assert badness("completeness_error", 0.9) > badness("completeness_error", 0.2)
    assert badness("layer_total", 5.0) > badness("layer_total", -7.0)
