"""Baselines are approved by people who did not run them, one at a time, and every approval is in the log."""

import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service.contracts.history import BaselineSubmission
from service.contracts.outcome import Measurement
from service.history.baselines import NotNow, approve
from service.store.base import new_id
from service.store.ledger import evidence_digest, evidence_key
from service.store.system import system_session
from service.store.tables import Event, Principal
from service.store.tables_compliance import Baseline, Slot
from tests.service.history.conftest import Story
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.http.conftest import MakeAsker


def point(value: float = 1.0, layer: str = "a") -> Measurement:
    return Measurement(metric="layer_total", layer=layer, value=value, low=value - 0.1, high=value + 0.1, n=9)


def body(audit: UUID, **changes: Any) -> dict[str, Any]:
    return {"model_name": "net", "audit": str(audit), "reason": "It was looked at.", **changes}


def test_an_approved_audit_counts_until_the_next_one_and_stays(story: Story, carol: Asker) -> None:
    first, second = story.audit("1", point()), story.audit("2", point())

    made = carol.post("/v1/baselines", body(first))
    assert (made.status_code, made.headers["Location"]) == (201, f"/v1/baselines/{made.json['id']}")
    assert made.json["state"] == "current"
    assert (made.json["model_version"], made.json["approved_by_name"]) == ("1", "carol")

    later = carol.post("/v1/baselines", body(second)).json
    shown = carol.get("/v1/baselines?model_name=net").json["items"]
    assert [(each["audit"], each["state"]) for each in shown] == [(str(second), "current"), (str(first), "replaced")]
    assert shown[1]["replaced_at"] == shown[0]["approved_at"]
    current = carol.get("/v1/baselines?model_name=net&state=current").json["items"]
    assert [each["id"] for each in current] == [later["id"]]
    assert carol.get(made.headers["Location"]).json["state"] == "replaced"
    assert carol.get("/v1/baselines?model_name=other").json["items"] == []


def test_the_log_binds_the_new_baseline_and_the_one_it_replaces(story: Story, carol: Asker) -> None:
    for version in ("1", "2"):
        assert carol.post("/v1/baselines", body(story.audit(version, point()))).status_code == 201

    with system_session(story.world.database) as session:
        rows = session.scalars(select(Baseline).order_by(Baseline.created_at)).all()
        event = session.scalars(select(Event).where(Event.subject_id == rows[1].id)).one()
        assert event.action == "approved"
        assert event.detail["evidence"] == {evidence_key(row): evidence_digest(row) for row in rows}


def test_who_ran_an_audit_does_not_approve_it(ask: Asker, story: Story, carol: Asker) -> None:
    story.world.principal = ask.principal
    audit = story.audit("1", point())
    refused = problem(ask.post("/v1/baselines", body(audit)), "conflict")
    assert "who submitted the audit" in refused.detail
    assert carol.post("/v1/baselines", body(audit)).status_code == 201


def test_who_made_or_fired_its_schedule_does_not_approve_it(
    story: Story, ask: Asker, carol: Asker, make_asker: MakeAsker
) -> None:
    audit = story.audit("1", point())
    monthly = {"name": "m", "model_name": "net", "cron": "0 6 1 * *", "zone": "UTC", "task": {"purpose": "report"}}
    schedule = UUID(ask.post("/v1/schedules", monthly).json["id"])
    now = story.world.clock.now()
    at = {"created_at": now, "nominal_at": now, "window_from": now, "window_to": now}
    what = {"id": new_id(), "key": "now:a", "cause": "run now", "state": "started", "audit_id": audit}
    with system_session(story.world.database) as session:
        session.add(Slot(tenant=ask.tenant, created_by=carol.principal, schedule_id=schedule, **what, **at))
    for who in (ask, carol):
        assert "its schedule" in problem(who.post("/v1/baselines", body(audit)), "conflict").detail
    assert make_asker(ask.tenant, "dave").post("/v1/baselines", body(audit)).status_code == 201


def test_a_service_approves_nothing(story: Story, carol: Asker) -> None:
    audit = story.audit("1", point())
    with system_session(story.world.database) as session:
        session.execute(update(Principal).where(Principal.id == carol.principal).values(kind="service"))
    problem(carol.post("/v1/baselines", body(audit)), "forbidden")


def test_what_measured_nothing_has_not_ended_or_is_the_baseline_already_is_refused(story: Story, carol: Asker) -> None:
    empty = story.audit("1")
    assert "measured nothing" in problem(carol.post("/v1/baselines", body(empty)), "conflict").detail
    model = story._registered("2")
    running = story.world.audit(model, story.dataset)
    assert "has not ended" in problem(carol.post("/v1/baselines", body(running)), "conflict").detail
    story.world.cancel(running)
    assert "was cancelled" in problem(carol.post("/v1/baselines", body(running)), "conflict").detail
    done = story.audit("1", point())
    assert carol.post("/v1/baselines", body(done)).status_code == 201
    assert "already" in problem(carol.post("/v1/baselines", body(done)), "conflict").detail


def test_an_unknown_audit_anothers_audit_and_another_models_audit_are_faults(
    story: Story, carol: Asker, stranger: Asker
) -> None:
    audit = story.audit("1", point())
    unknown = problem(carol.post("/v1/baselines", body(NOBODYS)), "invalid", "/audit")
    theirs = problem(stranger.post("/v1/baselines", body(audit)), "invalid", "/audit")
    assert unknown.errors == theirs.errors
    problem(carol.post("/v1/baselines", body(audit, model_name="other")), "invalid", "/model_name")
    problem(carol.post("/v1/baselines", body(audit, reason="")), "invalid", "/reason")


@pytest.mark.slow
def test_of_two_people_who_approve_at_once_one_is_told(story: Story, carol: Asker) -> None:
    audits = [story.audit(str(version), point()) for version in range(1, 5)]
    said: list[str] = []
    gate = threading.Barrier(4)

    def run(audit: UUID) -> None:
        wanted = BaselineSubmission(model_name="net", audit=audit, reason="me")
        gate.wait()
        try:
            with story.world.database.session(carol.tenant) as session:
                approve(session, wanted, tenant=carol.tenant, principal=carol.principal, now=story.world.clock.now())
            said.append("approved")
        except NotNow:
            said.append("not now")

    threads = [threading.Thread(target=run, args=(audit,)) for audit in audits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(said) == 4
    with system_session(story.world.database) as session:
        rows = session.scalars(select(Baseline)).all()
    assert len(rows) == said.count("approved")
    assert sum(row.replaced_at is None for row in rows) == 1
