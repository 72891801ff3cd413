"""Does every rule of the assessment hold, in its order? One line per branch, and what must hold for all."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.compliance.assess import WORST_FIRST, Found, Set, assess
from service.contracts.compliance import Evidence, Requirement, Status, Why, counts
from tests.service.compliance.given import AS_OF, assessed, control, excepted, judged, need, number, question

MET, NOT_MET, STALE, NO = Status.MET, Status.NOT_MET, Status.STALE, Status.INSUFFICIENT

BRANCHES: list[tuple[str, dict[str, Any], Found, Status, Why | None]] = [
    ("nothing was measured", {}, Found(), NO, Why.NONE),
    ("nothing measures it", {}, Found(missing=Why.UNMEASURED), NO, Why.UNMEASURED),
    ("another version only", {}, Found(missing=Why.SUBJECT_CHANGED), NO, Why.SUBJECT_CHANGED),
    ("other settings only", {}, Found(missing=Why.CONFIG_MISMATCH), NO, Why.CONFIG_MISMATCH),
    ("does not verify", {}, Found(missing=Why.UNVERIFIED), NO, Why.UNVERIFIED),
    ("31 days of 30", {}, Found(evidence=number(at=AS_OF - timedelta(days=30, seconds=1))), STALE, None),
    ("30 days of 30", {}, Found(evidence=number(at=AS_OF - timedelta(days=30))), MET, None),
    ("stated until now", {}, Found(evidence=number(), until=AS_OF), STALE, None),
    ("stated until later", {}, Found(evidence=number(), until=AS_OF + timedelta(seconds=1)), MET, None),
    ("stale goes before power", {}, Found(evidence=number(n=5, at=AS_OF - timedelta(days=99))), STALE, None),
    ("99 of 100 examples", {}, Found(evidence=number(n=99)), NO, Why.POWER),
    ("100 of 100 examples", {}, Found(evidence=number(n=100)), MET, None),
    ("no threshold", {"threshold": None}, Found(evidence=number()), NO, Why.NO_THRESHOLD),
    (
        "power goes before the threshold",
        {"threshold": None},
        Found(evidence=number(n=1)),
        NO,
        Why.POWER,
    ),
    (
        "nothing declared",
        {"relative_to": "declared"},
        Found(evidence=number(), reference_missing=True),
        NO,
        Why.NO_THRESHOLD,
    ),
    ("no baseline", {"relative_to": "baseline"}, Found(evidence=number(), reference_missing=True), NO, Why.NO_BASELINE),
    (
        "no baseline to divide by",
        {"relative_to": "baseline_ratio"},
        Found(evidence=number(), reference_missing=True),
        NO,
        Why.NO_BASELINE,
    ),
    (">=: all above", {}, Found(evidence=number(0.95, 0.9, 0.97)), MET, None),
    (">=: straddling", {}, Found(evidence=number(0.95, 0.899, 0.97)), NO, Why.INCONCLUSIVE),
    (">=: touching from below", {}, Found(evidence=number(0.85, 0.8, 0.9)), NO, Why.INCONCLUSIVE),
    (">=: all below", {}, Found(evidence=number(0.85, 0.8, 0.899)), NOT_MET, None),
    (">: touching from above", {"op": ">"}, Found(evidence=number(0.95, 0.9, 0.97)), NO, Why.INCONCLUSIVE),
    (">: touching from below", {"op": ">"}, Found(evidence=number(0.85, 0.8, 0.9)), NOT_MET, None),
    ("<=: all below", {"op": "<="}, Found(evidence=number(0.85, 0.8, 0.9)), MET, None),
    ("<=: straddling", {"op": "<="}, Found(evidence=number(0.9, 0.8, 0.91)), NO, Why.INCONCLUSIVE),
    ("<=: all above", {"op": "<="}, Found(evidence=number(0.95, 0.901, 0.97)), NOT_MET, None),
    ("<: touching from below", {"op": "<"}, Found(evidence=number(0.85, 0.8, 0.9)), NO, Why.INCONCLUSIVE),
    ("<: touching from above", {"op": "<"}, Found(evidence=number(0.95, 0.9, 0.97)), NOT_MET, None),
    ("ci without an interval", {}, Found(evidence=number(0.99, None, None)), NO, Why.INCONCLUSIVE),
    ("point: good", {"rule": "point"}, Found(evidence=number(0.9, 0.5, 0.99)), MET, None),
    ("point: bad", {"rule": "point"}, Found(evidence=number(0.899, 0.5, 0.99)), NOT_MET, None),
    (
        "exact: zero of zero",
        {"rule": "exact", "op": "==", "threshold": 0},
        Found(evidence=number(0, None, None)),
        MET,
        None,
    ),
    (
        "exact: one of zero",
        {"rule": "exact", "op": "==", "threshold": 0},
        Found(evidence=number(1, None, None)),
        NOT_MET,
        None,
    ),
    ("its own predicate does not hold", {}, Found(evidence=number(), applies=False), Status.NOT_APPLICABLE, None),
]


@pytest.mark.parametrize(("changes", "found", "status", "why"), [b[1:] for b in BRANCHES], ids=[b[0] for b in BRANCHES])
def test_every_branch_gives_its_status(changes: dict[str, Any], found: Found, status: Status, why: Why | None) -> None:
    one = assessed(need(**changes), found)

    assert (one.judged[0].status, one.judged[0].why) == (status, why)
    assert one.status is status
    assert one.said


@pytest.mark.parametrize(("tier", "days"), [("high", 30), ("medium", 60), ("low", 120)])
def test_evidence_keeps_longer_where_the_risk_is_less(tier: str, days: int) -> None:
    fresh = Found(evidence=number(at=AS_OF - timedelta(days=days)))
    old = Found(evidence=number(at=AS_OF - timedelta(days=days, hours=1)))

    assert judged(need(), fresh, tier=tier).status is MET
    assert judged(need(), old, tier=tier).status is STALE
    assert judged(need(), old, tier=tier).fresh_days == days


def test_stale_evidence_is_still_shown() -> None:
    one = judged(need(), Found(evidence=number(at=AS_OF - timedelta(days=45))))

    assert one.evidence is not None
    assert one.evidence.value == 0.95
    assert one.age_days == 45
    assert "45" in one.said


def test_the_order_of_the_worst() -> None:
    found = {
        NOT_MET: Found(evidence=number(0.5, 0.4, 0.6)),
        STALE: Found(evidence=number(at=AS_OF - timedelta(days=90))),
        NO: Found(),
        MET: Found(evidence=number()),
        Status.NOT_APPLICABLE: Found(applies=False),
    }
    for statuses in itertools.product(found, repeat=3):
        only = control(need(), need(), need())
        given_ = {(only.id, place): found[status] for place, status in enumerate(statuses)}
        (one,) = assess(question(only, found=given_))
        assert one.status is min(statuses, key=WORST_FIRST.index)


def test_a_control_whose_predicate_does_not_hold_is_not_judged() -> None:
    only = control(applies="family lime")
    (one,) = assess(question(only, applies={only.id: False}, found={(only.id, 0): Found(evidence=number())}))

    assert (one.status, one.judged) == (Status.NOT_APPLICABLE, ())
    assert "family lime" in one.said


def test_a_person_may_mark_a_control_as_not_applicable_and_is_named() -> None:
    only = control()
    (one,) = assess(question(only, exceptions={only.id: excepted("not_applicable")}))

    assert one.status is Status.NOT_APPLICABLE
    assert "bob" in one.said
    assert one.exception is not None


@pytest.mark.parametrize("found", [found for _, _, found, _, _ in BRANCHES])
def test_a_waiver_never_changes_a_status(found: Found) -> None:
    without = assessed(need(), found)
    waived = assessed(need(), found, exceptions={"ORG-01": excepted()})

    assert waived.exception is not None
    assert waived.model_copy(update={"exception": None}) == without


GUARD = control(need(metric="attack_checks_failed", op="==", threshold=0, rule="exact"), name="ORG-02")
GUARDED = control(name="ORG-01", guard="ORG-02")
SOUND = {("ORG-01", 0): Found(evidence=number()), ("ORG-02", 0): Found(evidence=number(0, None, None))}


def test_a_guard_that_is_met_lets_evidence_count() -> None:
    assert [one.status for one in assess(question(GUARDED, GUARD, found=SOUND))] == [MET, MET]


@pytest.mark.parametrize(
    "bad", [Found(), Found(evidence=number(1, None, None)), Found(evidence=number(0, None, None, n=1))]
)
def test_a_guard_that_is_not_met_takes_evidence_away(bad: Found) -> None:
    one, _ = assess(question(GUARDED, GUARD, found=SOUND | {("ORG-02", 0): bad}))

    assert (one.status, one.judged[0].why) == (NO, Why.GUARD)
    assert "ORG-02" in one.said


def test_an_exception_to_a_guard_does_not_open_what_it_guards() -> None:
    for effect in ("waived", "not_applicable"):
        bad = SOUND | {("ORG-02", 0): Found(evidence=number(3, None, None))}
        one, _ = assess(question(GUARDED, GUARD, found=bad, exceptions={"ORG-02": excepted(effect)}))
        assert (one.status, one.judged[0].why) == (NO, Why.GUARD)


def test_few_examples_are_told_before_the_guard() -> None:
    found = {("ORG-01", 0): Found(evidence=number(n=1))}

    assert assess(question(GUARDED, GUARD, found=found))[0].judged[0].why is Why.POWER


def test_the_worst_of_several_lines_counts_and_is_named() -> None:
    good, bad = number(layer="fc"), number(0.5, 0.4, 0.6, layer="conv")
    one = judged(need(), Found(evidence=good, others=(number(), bad)))

    assert one.status is NOT_MET
    assert one.evidence == bad
    assert "the worst of 3" in one.said
    assert "conv" in one.said


def test_a_line_with_too_few_examples_does_not_hide_one_that_fails() -> None:
    scarce, failing = number(0.1, 0.0, 0.9, n=3), number(0.8, 0.7, 0.85)

    assert judged(need(), Found(evidence=scarce, others=(failing,))).status is NOT_MET


@pytest.mark.parametrize(
    ("value", "low", "high", "n", "wanted"),
    [
        (0.95, 0.85, 0.99, 100, 400),  # (0.10 / 0.05)^2 = 4 times as many
        (0.85, 0.80, 0.95, 100, 400),  # the end above: (0.10 / 0.05)^2
        (0.91, 0.89, 0.93, 1000, 4000),
    ],
)
def test_an_open_question_tells_how_many_examples_would_close_it(
    value: float, low: float, high: float, n: int, wanted: int
) -> None:
    one = judged(need(), Found(evidence=number(value, low, high, n=n)))

    assert one.why is Why.INCONCLUSIVE
    assert one.deciding_n is not None
    assert wanted <= one.deciding_n <= wanted + 1  # rounded up
    assert "would decide" in one.said


def test_no_number_of_examples_decides_a_value_on_the_threshold() -> None:
    one = judged(need(), Found(evidence=number(0.9, 0.8, 0.95)))

    assert (one.why, one.deciding_n) == (Why.INCONCLUSIVE, None)


def test_a_robust_accuracy_that_holds_is_not_called_proven() -> None:
    one = judged(need(metric="robust_accuracy"), Found(evidence=number(metric="robust_accuracy")))

    assert one.status is MET
    assert "not shown to fail by the attacks that were run" in one.said


def test_what_the_organisation_set_is_applied_and_shown() -> None:
    own = Set(owner="risk", reason="customers compare", threshold=0.94, n=600, fresh=5)
    one = assessed(
        need(), Found(evidence=number(at=AS_OF)), set_by={("ORG-01", 0): own}, tailored=frozenset({"ORG-01"})
    )

    shown = one.judged[0]
    assert (shown.threshold, shown.requirement.n, shown.fresh_days) == (0.94, 600, 5)
    assert (shown.threshold_owner, shown.threshold_reason) == ("risk", "customers compare")
    assert shown.why is Why.POWER
    assert one.tailored


def test_a_changed_status_names_the_one_before() -> None:
    found = Found(evidence=number())

    assert assessed(need(), found, before={"ORG-01": NOT_MET}).changed_from is NOT_MET
    assert assessed(need(), found, before={"ORG-01": MET}).changed_from is None
    assert assessed(need(), found).changed_from is None


@pytest.mark.parametrize(
    ("attempts", "by_hand", "retried"), [(4, 0, False), (1, 1, False), (2, 1, True), (2, 2, True), (0, 0, False)]
)
def test_runs_beside_the_schedule_are_marked_as_retried(attempts: int, by_hand: int, retried: bool) -> None:
    found = Found(evidence=number(), attempts=attempts, by_hand=by_hand, failed_attempts=1)

    one = assessed(need(), found)

    assert one.retried is retried
    assert (one.judged[0].attempts, one.judged[0].failed_attempts) == (attempts, 1)


def test_counts_name_every_status() -> None:
    only = control()
    found = assess(question(only))

    assert counts(found) == {
        "met": 0,
        "not_met": 0,
        "stale": 0,
        "insufficient_evidence": 1,
        "not_applicable": 0,
    }


# --- what must hold for all ------------------------------------------------------------------------------------------

BEST_FIRST = tuple(reversed(WORST_FIRST))
SHARES = st.floats(0, 1)
AGES = st.integers(0, 200)


@st.composite
def numbers(draw: st.DrawFn) -> Evidence:
    low, value, high = sorted((draw(SHARES), draw(SHARES), draw(SHARES)))
    return number(value, low, high, n=draw(st.integers(1, 400)), at=AS_OF - timedelta(days=draw(AGES)))


NEEDS = st.builds(
    lambda op, threshold, rule: need(op=op, threshold=threshold, rule=rule),
    st.sampled_from(["<=", ">=", "<", ">"]),
    SHARES,
    st.sampled_from(["ci", "point"]),
)


@given(NEEDS, st.lists(numbers(), min_size=1, max_size=5), st.randoms())
def test_the_order_of_lines_does_not_matter(wanted: Requirement, found: list[Evidence], random: Any) -> None:
    shuffled = random.sample(found, len(found))

    one = judged(wanted, Found(evidence=found[0], others=tuple(found[1:])))
    other = judged(wanted, Found(evidence=shuffled[0], others=tuple(shuffled[1:])))

    assert one.status is other.status


@given(NEEDS, numbers(), numbers())
def test_another_line_never_makes_it_better(wanted: Requirement, first: Evidence, second: Evidence) -> None:
    alone = judged(wanted, Found(evidence=first)).status
    both = judged(wanted, Found(evidence=first, others=(second,))).status

    assert BEST_FIRST.index(both) >= BEST_FIRST.index(alone)


@given(NEEDS, numbers(), st.integers(0, 100))
def test_older_evidence_is_never_better(wanted: Requirement, found: Evidence, days: int) -> None:
    older = found.model_copy(update={"at": found.at - timedelta(days=days)})

    now, then = judged(wanted, Found(evidence=found)), judged(wanted, Found(evidence=older))

    assert then.status in {now.status, STALE}


@given(numbers(), SHARES, SHARES, st.sampled_from(["ci", "point"]))
def test_a_stricter_threshold_never_makes_it_better(found: Evidence, one: float, other: float, rule: str) -> None:
    order = {MET: 2, NO: 1, NOT_MET: 0, STALE: -1}
    lax, strict = sorted((one, other))

    easy = judged(need(threshold=lax, rule=rule), Found(evidence=found))
    hard = judged(need(threshold=strict, rule=rule), Found(evidence=found))

    assert order[hard.status] <= order[easy.status]


@given(NEEDS, numbers())
def test_an_interval_never_says_both(wanted: Requirement, found: Evidence) -> None:
    against: dict[Any, Any] = {"<=": ">", ">=": "<", "<": ">=", ">": "<="}
    turned = wanted.model_copy(update={"op": against[wanted.op]})

    one, other = judged(wanted, Found(evidence=found)), judged(turned, Found(evidence=found))

    if one.status in {MET, NOT_MET}:
        assert {one.status, other.status} == {MET, NOT_MET}
    else:
        assert (one.status, one.why) == (other.status, other.why)
