"""Does what is stored reach the assessment: this tenant's, of these bytes, before this time?"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert

from service.clock import FixedClock
from service.compliance.assess import assess
from service.compliance.gather import Asked, question
from service.compliance.load import Measurable, shipped
from service.compliance.sources import LedgerFacts
from service.contracts.base import digest_of
from service.contracts.compliance import Assessed, Status, Why
from service.contracts.outcome import Measurement as Made
from service.contracts.policies import PolicyContent
from service.store.base import new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Measurement, Model
from service.store.tables_compliance import Attestation, Baseline, Schedule, Slot, Waiver
from tests.conftest import MakePrincipal, MakeTenant
from tests.growth import LINEAR, processor_seconds
from tests.service.work.office import CATALOG, Office, an_office

FINE = LedgerFacts(chain_breaks=0, digest_mismatches=0, unaccounted_runs=0, retention_violations=0, checked=1)
MEASURABLE = Measurable.of(CATALOG)
DAY = timedelta(days=1)
Pair = tuple[UUID, UUID]
Assess = Callable[..., dict[str, Assessed]]


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Any) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


@pytest.fixture
def pair(office: Office) -> Pair:
    return office.ready_pair()


@pytest.fixture
def assessed(office: Office, database: Database, clock: FixedClock, pair: Pair) -> Assess:
    """Assesses the model now, over the last thirty days."""

    def assess_it(policy: PolicyContent | None = None, **changes: Any) -> dict[str, Assessed]:
        with database.session(office.tenant, writes=False) as session:
            usual: dict[str, Any] = {
                "model": session.get_one(Model, changes.pop("model", pair[0])),
                "window_from": clock.now() - 30 * DAY,
                "as_of": clock.now(),
                "policy": policy or PolicyContent(),
                "library": shipped(),
                "measurable": MEASURABLE,
                "ledger": FINE,
                "broken": frozenset(),
            }
            return {one.control.id: one for one in assess(question(session, Asked(**usual | changes)))}

    return assess_it


def accuracy(value: float, low: float, high: float, n: int = 2000) -> Made:
    return Made(metric="clean_accuracy", facets={}, value=value, low=low, high=high, n=n)


def drop(value: float, layer: str) -> Made:
    return Made(metric="completeness_error", facets={}, layer=layer, value=value, n=200)


def add(database: Database, *rows: Any) -> None:
    with system_session(database) as session:
        session.add_all(rows)


def test_a_number_reaches_its_control(office: Office, clock: FixedClock, pair: Pair, assessed: Assess) -> None:
    analysis = office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))
    clock.advance(DAY)

    one = assessed()["ROB-02"]

    assert one.status is Status.MET, one.said
    found = one.judged[0].evidence
    assert found is not None
    assert (found.analysis, found.kind, found.dataset) == (str(analysis), "accuracy", "table")
    assert found.value == pytest.approx(0.05)
    assert found.reference == 0.9  # declared in the model's facts
    assert one.judged[0].attempts == 1


def test_every_control_is_assessed_before_anything_was_measured(assessed: Assess) -> None:
    found = assessed()

    assert len(found) == 35
    assert found["XAI-07"].status is Status.NOT_APPLICABLE
    assert found["XAI-09"].status is Status.NOT_APPLICABLE
    assert found["XAI-02"].judged[0].why is Why.NONE
    assert found["LYR-01"].judged[0].why is Why.UNMEASURED
    assert found["INT-01"].status is Status.MET
    assert found["COV-01"].judged[0].why is Why.NONE
    assert found["GOV-08"].status is Status.MET


def test_what_came_at_the_end_of_the_window_belongs_to_the_next(
    office: Office, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))

    assert assessed()["ROB-02"].judged[0].why is Why.NONE
    assert assessed(as_of=clock.now() + timedelta(seconds=1))["ROB-02"].status is Status.MET


def test_another_tenants_model_of_the_same_name_is_not_seen(
    office: Office,
    database: Database,
    clock: FixedClock,
    pair: Pair,
    assessed: Assess,
    make_tenant: MakeTenant,
    make_principal: MakePrincipal,
    tmp_path: Any,
) -> None:
    office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))
    stranger = make_tenant("umbrella")
    other = an_office(database, clock, stranger, make_principal(stranger, "eve"), tmp_path / "other")
    theirs = other.ready_pair()
    clock.advance(DAY)
    spoilt = other.measure(*theirs, "accuracy", accuracy(0.1, 0.05, 0.15))
    with system_session(database) as session:
        audit = session.get_one(Analysis, spoilt).audit_id
    row = {"tenant": stranger, "created_by": other.principal, "created_at": clock.now()}
    add(database, Baseline(id=new_id(), model_name="net", audit_id=audit, reason="best", **row))
    add(database, _waiver(stranger, other.principal, clock, decided_by=new_id()))
    clock.advance(DAY)

    one = assessed()

    assert one["ROB-02"].status is Status.MET
    assert all(each.exception is None for each in one.values())
    assert one["ROB-04"].judged[0].why is Why.UNMEASURED  # this small catalogue has no corruptions


def test_a_new_version_starts_without_evidence(office: Office, clock: FixedClock, pair: Pair, assessed: Assess) -> None:
    office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))
    newer = office.model(version="2", follows=pair[0])
    office.inspect(newer)
    clock.advance(DAY)

    assert assessed(model=newer)["ROB-02"].judged[0].why is Why.SUBJECT_CHANGED


def test_the_same_bytes_under_another_version_keep_their_evidence(
    office: Office, database: Database, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))
    newer = office.model(version="2", follows=pair[0])
    office.inspect(newer)
    with system_session(database) as session:
        session.get_one(Model, newer).canonical_digest = session.get_one(Model, pair[0]).canonical_digest
    clock.advance(DAY)

    assert assessed(model=newer)["ROB-02"].status is Status.MET


def test_the_worst_layer_counts(office: Office, clock: FixedClock, pair: Pair, assessed: Assess) -> None:
    office.measure(*pair, "layer_conductance", drop(0.01, "a"), drop(0.2, "b"), drop(0.03, "c"))
    clock.advance(DAY)

    one = assessed()["XAI-01"]

    assert one.status is Status.NOT_MET
    assert one.judged[0].evidence is not None
    assert one.judged[0].evidence.layer == "b"


def test_what_does_not_verify_does_not_count(office: Office, clock: FixedClock, pair: Pair, assessed: Assess) -> None:
    analysis = office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97))
    clock.advance(DAY)

    assert assessed(broken=frozenset({analysis}))["ROB-02"].judged[0].why is Why.UNVERIFIED


def test_a_policy_moves_a_threshold_and_keeps_the_evidence(
    office: Office, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    office.measure(*pair, "layer_conductance", drop(0.03, "a"))
    clock.advance(DAY)
    stricter = PolicyContent.model_validate(
        {"overrides": [{"control": "XAI-01", "threshold": 0.02, "owner": "risk", "reason": "sums are shown to users"}]}
    )

    assert assessed()["XAI-01"].status is Status.MET
    one = assessed(stricter)["XAI-01"]
    assert (one.status, one.tailored, one.judged[0].threshold_owner) == (Status.NOT_MET, True, "risk")


def test_the_models_own_level_goes_before_the_policys(
    office: Office, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    office.measure(
        *pair,
        "robustness",
        Made(
            metric="robust_accuracy",
            facets={"norm": "linf", "goal": "untargeted", "attack": "all"},
            epsilon=0.1,
            value=0.7,
            low=0.68,
            high=0.72,
            n=2000,
        ),
        Made(metric="attack_checks_failed", facets={}, value=0, n=7),
    )
    clock.advance(DAY)
    lax = PolicyContent.model_validate({"declared": {"robust_accuracy": 0.6, "epsilon": 0.001, "accuracy": 0.1}})

    one = assessed(lax)["ROB-01"]  # the facts say epsilon 0.1

    assert one.status is Status.MET, one.said
    assert "not shown to fail by the attacks" in one.said
    assert assessed()["ROB-01"].judged[0].why is Why.NO_THRESHOLD


def test_runs_by_schedule_and_by_hand_are_told_apart(
    office: Office, database: Database, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    analyses = [office.measure(*pair, "accuracy", accuracy(0.95, 0.93, 0.97)) for _ in range(3)]
    clock.advance(2 * DAY)
    with system_session(database) as session:
        audits = [session.get_one(Analysis, each).audit_id for each in analyses]
        nominal = session.get_one(Audit, audits[0]).created_at
    row = {"tenant": office.tenant, "created_by": office.principal, "created_at": nominal}
    plan = _schedule(nominal, row)
    add(database, plan)
    add(database, *(_slot(plan.id, nominal + timedelta(hours=hour), audit, row) for hour, audit in enumerate(audits)))

    one = assessed()

    assert (one["ROB-02"].judged[0].attempts, one["ROB-02"].retried) == (3, False)
    assert one["COV-01"].status is Status.MET
    add(database, _slot(plan.id, nominal + timedelta(hours=9), None, row))
    share = assessed()["COV-01"].judged[0].evidence
    assert share is not None
    assert (share.value, share.n) == (0.75, 4)
    office.measure(*pair, "accuracy", accuracy(0.99, 0.98, 1.0))
    clock.advance(2 * DAY)
    assert assessed()["ROB-02"].retried


def test_a_kind_that_was_used_once_stays_in_use(
    office: Office, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    office.measure(*pair, "layer_conductance", drop(0.01, "a"))
    clock.advance(100 * DAY)

    assert assessed()["XAI-01"].status is Status.STALE


def test_exceptions_and_statements_reach_their_controls(
    office: Office, database: Database, clock: FixedClock, make_principal: MakePrincipal, assessed: Assess
) -> None:
    bob = make_principal(office.tenant, "bob")
    add(database, _waiver(office.tenant, office.principal, clock, decided_by=bob))
    row = {"tenant": office.tenant, "created_by": bob, "created_at": clock.now()}
    add(
        database,
        Attestation(
            id=new_id(),
            control="GOV-01",
            model_name="net",
            role="owner",
            statement="it is on record",
            expires_at=clock.now() + 100 * DAY,
            **row,
        ),
    )
    clock.advance(DAY)

    one = assessed()

    assert one["GOV-01"].status is Status.MET
    assert "bob" in one["GOV-01"].said
    assert one["ROB-04"].exception is not None
    assert one["ROB-04"].exception.decided_by == "bob"
    assert one["GOV-08"].status is Status.MET
    clock.advance(20 * DAY)
    later = assessed()
    assert later["ROB-04"].exception is None
    assert later["GOV-08"].status is Status.NOT_MET
    assert "neither renewed nor withdrawn" in later["GOV-08"].judged[0].evidence.said  # type: ignore[union-attr]  # it has one


def _waiver(tenant: UUID, asker: UUID, clock: FixedClock, *, decided_by: UUID) -> Waiver:
    now = clock.now()
    return Waiver(
        id=new_id(),
        tenant=tenant,
        created_by=asker,
        created_at=now,
        effect="waived",
        control="ROB-04",
        model_name="net",
        reason="r",
        compensating="c",
        starts_at=now,
        expires_at=now + 10 * DAY,
        decision="granted",
        decided_by=decided_by,
        decided_at=now,
    )


def _schedule(now: datetime, row: dict[str, Any]) -> Schedule:
    return Schedule(
        id=new_id(),
        name="weekly",
        purpose="audits",
        model_name="net",
        cron="0 0 * * 1",
        zone="UTC",
        start_at=now,
        catch_up="skip",
        triggers=[],
        task={},
        tzdata="2026.6",
        **row,
    )


def _slot(plan: UUID, nominal: datetime, audit: UUID | None, row: dict[str, Any]) -> Slot:
    return Slot(
        id=new_id(),
        schedule_id=plan,
        key=f"time:{nominal.isoformat()}",
        cause="time",
        nominal_at=nominal,
        window_from=nominal - DAY,
        window_to=nominal,
        state="started" if audit else "missed",
        audit_id=audit,
        **row,
    )


@pytest.mark.slow
def test_twenty_thousand_numbers_are_each_read_once(
    office: Office, database: Database, clock: FixedClock, pair: Pair, assessed: Assess
) -> None:
    analyses = [office.measure(*pair, "layer_conductance", drop(0.01, "first")) for _ in range(10)]
    with system_session(database) as session:
        audits = {each: session.get_one(Analysis, each).audit_id for each in analyses}
    few, many = (
        [
            {
                "id": new_id(),
                "tenant": office.tenant,
                "created_by": office.principal,
                "created_at": clock.now() + timedelta(seconds=number),
                "series_key": digest_of(f"{place} {metric}".encode()),
                "model_name": "net",
                "model_version": "1",
                "model_id": pair[0],
                "audit_id": audits[analysis],
                "analysis_id": analysis,
                "kind": "layer_conductance",
                "kind_version": 1,
                "metric": metric,
                "layer": f"layer {place}",
                "facets": "{}",
                "parameters_digest": digest_of(b"p"),
                "value": 0.01,
                "n": 200,
            }
            for number, analysis in enumerate(analyses)
            for place in places
            for metric in (*["layer_total"] * 8, "completeness_error", "deletion_gain")
        ]
        for places in (range(20), range(20, 200))
    )
    assert (len(few), len(few) + len(many)) == (2000, 20_000)
    clock.advance(DAY)
    seconds = []
    for rows in (few, many):
        with system_session(database) as session:
            session.execute(insert(Measurement), rows)
        seconds.append(processor_seconds(assessed))

    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    assert assessed()["XAI-01"].status is Status.MET
    assert len(asked) <= 30
    assert seconds[1] < LINEAR * seconds[0]
