"""Which number answers? The latest of the exact bytes, with the right settings, and never the best."""

import json
import math
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.compliance.assess import Found
from service.compliance.candidates import Point, Pool, Runs, answer
from service.contracts.base import digest_of
from service.contracts.compliance import Requirement, Why
from service.contracts.policies import Declared
from tests.service.compliance.given import AS_OF, judged, need

SPACE = UUID(int=7)
MODEL, OTHER = uuid5(SPACE, "model"), uuid5(SPACE, "other")


def line(of: object) -> str:
    """The key of the line of something."""
    return digest_of(str(of).encode())


LINE, NEW = line("line"), line("new")
KINDS = frozenset({"accuracy"})
RATIO = need(metric="max_sensitivity", relative_to="baseline_ratio", op="<=", threshold=1.1)


def point(value: float, low: float | None = None, high: float | None = None, *, age: float = 1, **more: Any) -> Point:
    """A point of history of the audit of that age, in days."""
    named = f"{value} {low} {high} {age} {sorted(more.items())}"
    usual: dict[str, Any] = {
        "id": uuid5(SPACE, named),
        "analysis": uuid5(SPACE, f"analysis {age}"),
        "audit": uuid5(SPACE, f"audit {age}"),
        "model": MODEL,
        "model_version": "1",
        "kind": "accuracy",
        "kind_version": 1,
        "metric": "clean_accuracy",
        "layer": None,
        "class_name": None,
        "target": None,
        "epsilon": None,
        "facets": "{}",
        "dataset_name": "table",
        "dataset_role": "evaluation",
        "series_key": LINE,
        "value": value,
        "low": low,
        "high": high,
        "n": 500,
        "at": AS_OF - timedelta(days=age),
    }
    return Point(**usual | more)


def pool(*points: Point, **more: Any) -> Pool:
    found: dict[tuple[str, str], list[Point]] = {}
    for each in points:
        found.setdefault((each.kind, each.metric), []).append(each)
    usual: dict[str, Any] = {
        "models": frozenset({MODEL}),
        "as_of": AS_OF,
        "tier": "high",
        "points": found,
        "declared": Declared(),
    }
    return Pool(**usual | more)


def found_in(wanted: Requirement, *points: Point, kinds: frozenset[str] = KINDS, **more: Any) -> Found:
    return answer(wanted, kinds, pool(*points, **more), fresh=wanted.fresh)


def value_of(found: Found) -> float:
    assert found.evidence is not None
    return found.evidence.value


def test_what_no_kind_measures_is_told_as_such() -> None:
    assert found_in(need(), point(0.9), kinds=frozenset()).missing is Why.UNMEASURED


def test_nothing_is_nothing() -> None:
    assert found_in(need()) == Found(missing=Why.NONE)


def test_numbers_of_other_bytes_never_count() -> None:
    found = found_in(need(), point(0.9, model=OTHER))

    assert (found.evidence, found.missing) == (None, Why.SUBJECT_CHANGED)


def test_another_version_of_the_same_bytes_counts() -> None:
    assert value_of(found_in(need(), point(0.9, model=OTHER), models=frozenset({MODEL, OTHER}))) == 0.9


@pytest.mark.parametrize("best_first", [True, False])
def test_the_latest_counts_and_never_the_best(best_first: bool) -> None:
    values = (0.99, 0.5) if best_first else (0.5, 0.99)

    assert value_of(found_in(need(), point(values[0], age=9), point(values[1], age=2))) == values[1]


def test_of_two_analyses_of_one_audit_the_worse_counts() -> None:
    one, other = point(0.9), point(0.7, analysis=uuid5(SPACE, "second"), series_key=NEW)

    found = found_in(need(), one, other)

    assert (value_of(found), len(found.others)) == (0.7, 1)


def test_a_number_of_the_whole_goes_before_those_of_its_classes() -> None:
    found = found_in(need(), point(0.9), point(0.2, class_name="rare"))

    assert (value_of(found), found.others) == (0.9, ())


def test_every_class_counts_where_the_worst_is_asked_for() -> None:
    found = found_in(need(over="worst"), point(0.9), point(0.2, class_name="rare"))

    assert found.evidence is not None
    assert (found.evidence.value, found.evidence.facets) == (0.2, {"class": "rare"})


TWO_KINDS = frozenset({"accuracy", "other"})


def test_each_kind_counts_by_its_own_latest_audit() -> None:
    found = found_in(
        need(over="worst"), point(0.9, age=2), point(0.95, age=8, kind="other"), point(0.1, age=9), kinds=TWO_KINDS
    )

    assert {value_of(found), *(each.value for each in found.others)} == {0.9, 0.95}


def test_a_kind_that_is_stale_gives_way_to_one_that_is_fresh() -> None:
    found = found_in(need(over="worst"), point(0.9, age=2), point(0.1, age=50, kind="other"), kinds=TWO_KINDS)

    assert (value_of(found), found.others) == (0.9, ())


def test_the_latest_of_all_is_shown_where_everything_is_stale() -> None:
    found = found_in(need(over="worst"), point(0.9, age=60), point(0.1, age=50, kind="other"), kinds=TWO_KINDS)

    assert value_of(found) == 0.1


def test_settings_must_be_those_asked_for() -> None:
    wanted = need(config={"bins": "10", "noise": "gaussian"}, role="evaluation")
    right = point(0.9, age=5, facets=json.dumps({"noise": "gaussian"}))
    wrong = point(0.99, age=1, facets=json.dumps({"noise": "none"}))
    settings = {right.analysis: {"bins": 10, "seed": 1}, wrong.analysis: {"bins": 10}}

    assert value_of(found_in(wanted, right, wrong, parameters=settings)) == 0.9
    assert found_in(wanted, wrong, parameters=settings).missing is Why.CONFIG_MISMATCH
    assert found_in(need(role="training"), right).missing is Why.CONFIG_MISMATCH


def test_what_does_not_verify_does_not_count_and_is_not_passed_over() -> None:
    good, tampered = point(0.9, age=5), point(0.99, age=1)

    found = found_in(need(), good, tampered, broken=frozenset({tampered.analysis}))

    assert value_of(found) == 0.9
    assert "1 later analyses do not verify" in found.note
    assert "1 later analyses do not verify" in judged(need(), found).said
    assert found_in(need(), tampered, broken=frozenset({tampered.analysis})).missing is Why.UNVERIFIED
    earlier = found_in(need(), point(0.5, age=9), point(0.9, age=2), broken=frozenset({point(0.5, age=9).analysis}))
    assert earlier.note == ""


def test_a_number_that_was_computed_in_an_earlier_way_says_so() -> None:
    assert (
        found_in(need(), point(0.9), versions={"accuracy": 2}).note == "taken with version 1 of accuracy, which is at 2"
    )
    assert found_in(need(), point(0.9), versions={"accuracy": 1}).note == ""


# --- relative to what is declared ------------------------------------------------------------------------------------

LEVEL = need(relative_to="declared", threshold=0.0)
ROBUST = need(metric="robust_accuracy", relative_to="declared", over="worst", threshold=0.0)


def robust(value: float, epsilon: float | None, **more: Any) -> Point:
    facets = json.dumps({"norm": more.pop("norm", "linf"), "attack": "all"})
    return point(
        value,
        metric="robust_accuracy",
        epsilon=epsilon,
        facets=facets,
        series_key=line(epsilon),
        **more,
    )


def test_the_declared_level_is_taken_off_the_value_and_its_interval() -> None:
    found = found_in(LEVEL, point(0.95, 0.93, 0.97), declared=Declared(accuracy=0.9)).evidence

    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.05, 0.03, 0.07))
    assert (found.measured, found.reference) == (0.95, 0.9)


def test_without_a_declared_level_the_value_is_shown_and_decides_nothing() -> None:
    found = found_in(LEVEL, point(0.95, 0.93, 0.97))

    assert (value_of(found), found.reference_missing) == (0.95, True)
    shown = judged(LEVEL, found)
    assert shown.why is Why.NO_THRESHOLD
    assert "less the level" not in shown.said


def test_a_robust_accuracy_counts_at_the_declared_epsilon_and_norm_only() -> None:
    declared = Declared(epsilon=0.1, robust_accuracy=0.6)
    points = (robust(0.9, 0.05), robust(0.7, 0.1), robust(0.2, 0.3), robust(0.1, 0.1, norm="l2"))

    assert value_of(found_in(ROBUST, *points, declared=declared)) == pytest.approx(0.1)
    assert found_in(ROBUST, robust(0.9, 0.2), declared=declared).missing is Why.CONFIG_MISMATCH
    assert found_in(ROBUST, robust(0.9, None), declared=declared).missing is Why.CONFIG_MISMATCH
    assert found_in(ROBUST, robust(0.9, 0.1, norm="l2"), declared=declared).missing is Why.CONFIG_MISMATCH


@pytest.mark.parametrize("declared", [Declared(epsilon=0.1), Declared(robust_accuracy=0.6), Declared(accuracy=0.9)])
def test_a_robust_level_needs_its_epsilon(declared: Declared) -> None:
    found = found_in(ROBUST, robust(0.7, 0.1), declared=declared)

    assert found.reference_missing
    assert judged(ROBUST, found).why is Why.NO_THRESHOLD


# --- relative to the approved baseline -------------------------------------------------------------------------------

DROP = need(relative_to="baseline", threshold=-0.02)


def test_a_difference_joins_both_intervals() -> None:
    before = point(0.90, 0.86, 0.93, age=90)
    found = found_in(DROP, point(0.88, 0.85, 0.90), baseline={LINE: before}).evidence

    assert found is not None
    assert found.value == pytest.approx(-0.02)
    assert found.low == pytest.approx(-0.02 - math.hypot(0.03, 0.03))  # 0.88 - 0.85 and 0.93 - 0.90
    assert found.high == pytest.approx(-0.02 + math.hypot(0.02, 0.04))  # 0.90 - 0.88 and 0.90 - 0.86
    assert (found.measured, found.reference) == (0.88, 0.9)


def test_a_baseline_without_an_interval_is_a_plain_number() -> None:
    found = found_in(DROP, point(0.88, 0.85, 0.90), baseline={LINE: point(0.9, age=90)}).evidence

    assert found is not None
    assert (found.low, found.high) == pytest.approx((-0.05, 0.0))


def test_a_ratio_joins_both_intervals_on_a_logarithmic_scale() -> None:
    before, now = point(2.0, 1.0, 4.0, age=90), point(2.0, 1.0, 4.0, metric="max_sensitivity")
    found = found_in(RATIO, now, baseline={LINE: before}).evidence

    assert found is not None
    reach = math.exp(math.hypot(math.log(2), math.log(2)))
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1 / reach, reach))


@pytest.mark.parametrize(("wanted", "same"), [(DROP, 0.0), (RATIO, 1.0)])
def test_the_baseline_is_exactly_as_good_as_itself(wanted: Requirement, same: float) -> None:
    only = point(0.9, 0.5, 1.0, metric=wanted.metric)
    found = found_in(wanted, only, baseline={LINE: only}).evidence

    assert found is not None
    assert (found.value, found.low, found.high) == (same, same, same)


@pytest.mark.parametrize("wanted", [DROP, RATIO])
def test_only_the_same_line_is_compared(wanted: Requirement) -> None:
    before = point(0.9, age=90)
    here = point(0.9, metric=wanted.metric, series_key=NEW)

    found = found_in(wanted, here, baseline={LINE: before})

    assert found.reference_missing
    assert judged(wanted, found).why is Why.NO_BASELINE


def test_lines_that_the_baseline_lacks_are_told() -> None:
    known, new = point(0.9, layer="a"), point(0.1, layer="b", series_key=NEW)

    found = found_in(need(relative_to="baseline", over="worst", threshold=-0.02), known, new, baseline={LINE: known})

    assert value_of(found) == 0.0
    assert found.note == "1 of 2 lines have no counterpart in the baseline and are not compared"


def test_a_baseline_that_does_not_verify_is_none() -> None:
    before = point(0.9, age=90)

    assert found_in(DROP, point(0.9), baseline={LINE: before}, broken=frozenset({before.analysis})).reference_missing


def test_nothing_is_divided_by_zero() -> None:
    found = found_in(RATIO, point(1.0, metric="max_sensitivity"), baseline={LINE: point(0.0, age=90)})

    assert found.reference_missing


# --- totals ----------------------------------------------------------------------------------------------------------

REPLAYS = need(metric="replay_mismatches", over="total", op="==", threshold=0, rule="exact", n=3)
REPLAY = frozenset({"replay"})


def replay(value: float, age: float) -> Point:
    return point(value, age=age, kind="replay", metric="replay_mismatches")


def test_a_total_adds_up_what_is_fresh_and_counts_analyses() -> None:
    found = found_in(REPLAYS, replay(0, 1), replay(2, 5), replay(0, 20), replay(9, 40), kinds=REPLAY)

    assert found.evidence is not None
    assert (found.evidence.value, found.evidence.n, found.evidence.measured) == (2, 3, 0)
    assert len({each.measurement for each in found.evidence.added}) == 3, "every one that counts is named"
    assert found.evidence.added[-1].measurement == found.evidence.measurement, "and the latest comes last"
    assert judged(REPLAYS, found).status == "not_met"


def test_too_few_replays_are_too_few() -> None:
    assert judged(REPLAYS, found_in(REPLAYS, replay(0, 1), replay(0, 5), kinds=REPLAY)).why is Why.POWER


def test_a_total_of_stale_runs_is_stale() -> None:
    assert judged(REPLAYS, found_in(REPLAYS, replay(0, 31), replay(0, 45), kinds=REPLAY)).status == "stale"


def test_attempts_are_those_of_every_kind_that_answers() -> None:
    runs = {"accuracy": Runs(attempts=4, failed=1, by_hand=1), "other": Runs(attempts=2), "third": Runs(attempts=9)}

    found = found_in(need(), kinds=TWO_KINDS, runs=runs)

    assert (found.attempts, found.failed_attempts, found.by_hand) == (6, 1, 1)


POINTS = st.builds(
    lambda value, age, layer, model: point(value, age=age, layer=layer, model=model, series_key=line(layer)),
    st.floats(0, 1),
    st.integers(0, 60),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([MODEL, OTHER]),
)


@given(st.lists(POINTS, max_size=8), st.sampled_from(["latest", "worst"]), st.randoms())
def test_the_order_of_rows_does_not_matter(points: list[Point], over: str, random: Any) -> None:
    shuffled = random.sample(points, len(points))

    assert found_in(need(over=over), *points) == found_in(need(over=over), *shuffled)
