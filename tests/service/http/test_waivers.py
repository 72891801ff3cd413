import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from service import auth
from service.clock import FixedClock
from service.store.database import Database
from service.store.ledger import evidence_digest, evidence_key
from service.store.system import system_session
from service.store.tables import Event
from service.store.tables_compliance import Attestation, Waiver
from tests.service.http.asking import NOBODYS, Asker, problem, sent
from tests.service.http.conftest import MakeAsker

ASKED: dict[str, Any] = {
    "control": "ROB-04",
    "model_name": "net",
    "reason": "The scanner is replaced in January.",
    "compensating": "A person reads the scans.",
}
GRANT = {"decision": "granted", "comment": "until then"}
REFUSE = {"decision": "refused", "comment": "not needed"}


@pytest.fixture
def ann(ask: Asker) -> Asker:
    """Who asks."""
    return ask


@pytest.fixture
def carol(make_asker: MakeAsker, ann: Asker) -> Asker:
    """Who decides."""
    return make_asker(ann.tenant, "carol", ("read", "submit"))


@pytest.fixture
def robot(database: Database, app: Flask, clock: FixedClock, ann: Asker) -> Asker:
    """A service with a key."""
    with database.session(ann.tenant) as session:
        row = auth.make_principal(
            session, tenant=ann.tenant, name="robot", kind="service", created_by=ann.principal, now=clock.now()
        )
    key = auth.issue_key(database, row.id, scopes=("read", "submit"), now=clock.now())
    return Asker(app.test_client(), key, ann.tenant, row.id)


def asked(ann: Asker, **changes: Any) -> str:
    return str(sent(ann.post("/v1/waivers", {**ASKED, **changes}), 201)["id"])


def decided(who: Asker, waiver: str, decision: dict[str, str]) -> Any:
    return who.post(f"/v1/waivers/{waiver}/decision", decision)


def test_a_waiver_waits_for_another_person(ann: Asker, carol: Asker, clock: FixedClock) -> None:
    answer = ann.post("/v1/waivers", ASKED)
    made = sent(answer, 201)

    assert (made["state"], made["effect"], made["requested_by_name"]) == ("asked", "waived", "bob")
    assert made["expires_at"] == "2026-05-30T12:00:00Z"  # 90 days after 1 March
    assert ann.get(answer.headers["Location"]).json == made
    granted = sent(decided(carol, made["id"], GRANT))
    assert (granted["state"], granted["decided_by_name"], granted["comment"]) == ("in_force", "carol", "until then")
    clock.advance(timedelta(days=90))
    ended = sent(ann.get(f"/v1/waivers/{made['id']}"))
    assert (ended["state"], ended["decision"]) == ("expired", "granted")


def test_who_asks_does_not_decide(ann: Asker) -> None:
    waiver = asked(ann)

    for decision in (GRANT, REFUSE):
        found = problem(decided(ann, waiver, decision), "conflict")
        assert found.detail == "who asks for an exception does not decide on it; another person must."
    assert sent(ann.get(f"/v1/waivers/{waiver}"))["decision"] is None


def test_a_service_neither_asks_nor_decides_nor_attests(ann: Asker, robot: Asker) -> None:
    waiver = asked(ann)

    assert "belongs to a service" in problem(robot.post("/v1/waivers", ASKED), "forbidden").detail
    problem(decided(robot, waiver, GRANT), "forbidden")
    problem(robot.send("POST", f"/v1/waivers/{waiver}/withdrawal"), "forbidden")
    problem(robot.post("/v1/attestations", STATED), "forbidden")


def test_it_is_decided_once(ann: Asker, carol: Asker, make_asker: MakeAsker) -> None:
    waiver = asked(ann)
    dave = make_asker(ann.tenant, "dave")
    sent(decided(carol, waiver, REFUSE))

    for who in (carol, dave):
        found = problem(decided(who, waiver, GRANT), "conflict")
        assert found.detail == "this waiver is refused already; ask for another."
    problem(ann.send("POST", f"/v1/waivers/{waiver}/withdrawal"), "conflict")


def test_of_two_deciders_at_once_one_is_told(ann: Asker, carol: Asker, make_asker: MakeAsker) -> None:
    waiver = asked(ann)
    dave = make_asker(ann.tenant, "dave")
    answers: list[Any] = []
    both = threading.Barrier(2)

    def decide(who: Asker, decision: dict[str, str]) -> None:
        both.wait()
        answers.append(decided(who, waiver, decision).status_code)

    threads = [threading.Thread(target=decide, args=pair) for pair in ((carol, GRANT), (dave, REFUSE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(answers) == [200, 409]


def test_a_refusal_says_why(ann: Asker, carol: Asker) -> None:
    problem(decided(carol, asked(ann), {"decision": "refused", "comment": " "}), "invalid", "/comment")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"control": "ROB-99"}, "/control"),
        ({"control": "rob"}, "/control"),
        ({"expires_at": "2026-08-29T00:00:00Z"}, "/expires_at"),  # 180.5 days
        ({"expires_at": "2026-03-01T12:00:00Z"}, "/expires_at"),  # now
        ({"expires_at": "2026-02-01T12:00:00Z"}, "/expires_at"),
        ({"starts_at": "2026-02-01T12:00:00Z"}, "/starts_at"),
        ({"starts_at": "2026-05-01T12:00:00Z", "expires_at": "2026-04-01T12:00:00Z"}, "/expires_at"),
        ({"starts_at": "2026-08-29T00:00:00Z"}, "/starts_at"),  # 180.5 days
        ({"starts_at": "9999-12-31T00:00:00Z"}, "/starts_at"),
        ({"reason": "  "}, "/reason"),
        ({"compensating": ""}, "/compensating"),
        ({"effect": "deleted"}, "/effect"),
        ({"renews": str(NOBODYS)}, "/renews"),
        ({"expires_at": "2026-05-01"}, "/expires_at"),
        ({"decided_by": str(NOBODYS)}, "/decided_by"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(ann: Asker, changes: dict[str, str], pointer: str) -> None:
    problem(ann.post("/v1/waivers", {**ASKED, **changes}), "invalid", pointer)


def test_a_hundred_and_eighty_days_are_the_most(ann: Asker) -> None:
    asked(ann, expires_at="2026-08-28T12:00:00Z")


def test_nobody_decides_on_what_is_over(ann: Asker, carol: Asker, clock: FixedClock) -> None:
    late, withdrawn = asked(ann), asked(ann)
    sent(ann.send("POST", f"/v1/waivers/{withdrawn}/withdrawal"))

    assert "withdrawn before" in problem(decided(carol, withdrawn, GRANT), "conflict").detail
    clock.advance(timedelta(days=90))
    assert "ended already" in problem(decided(carol, late, GRANT), "conflict").detail
    assert sent(ann.get(f"/v1/waivers/{late}"))["state"] == "expired"


def test_a_renewal_follows_and_is_decided_again(ann: Asker, carol: Asker, clock: FixedClock) -> None:
    first = asked(ann)
    problem(ann.post("/v1/waivers", {**ASKED, "renews": first}), "invalid", "/renews")  # nobody granted it
    sent(decided(carol, first, GRANT))

    second = sent(ann.post("/v1/waivers", {**ASKED, "renews": first}), 201)

    assert (second["renewals"], second["state"], second["starts_at"]) == (1, "asked", "2026-05-30T12:00:00Z")
    assert second["expires_at"] == "2026-08-28T12:00:00Z"
    problem(ann.post("/v1/waivers", {**ASKED, "renews": first, "control": "ROB-02"}), "invalid", "/renews")
    assert sent(decided(carol, second["id"], GRANT))["state"] == "granted"
    clock.advance(timedelta(days=91))
    assert sent(ann.get(f"/v1/waivers/{second['id']}"))["state"] == "in_force"


def test_any_person_ends_an_exception_early(ann: Asker, carol: Asker, clock: FixedClock) -> None:
    waiver = asked(ann)
    sent(decided(carol, waiver, GRANT))
    clock.advance(timedelta(days=1))

    first = sent(carol.send("POST", f"/v1/waivers/{waiver}/withdrawal"))
    clock.advance(timedelta(days=1))
    again = sent(ann.send("POST", f"/v1/waivers/{waiver}/withdrawal"))

    assert first == again
    assert (first["state"], first["withdrawn_at"]) == ("withdrawn", "2026-03-02T12:00:00Z")


def test_the_same_key_asks_once(ann: Asker, carol: Asker) -> None:
    headers = {"Idempotency-Key": "one"}

    first = ann.post("/v1/waivers", ASKED, headers=headers)
    again = ann.post("/v1/waivers", ASKED, headers=headers)

    assert first.json == again.json
    assert len(sent(ann.get("/v1/waivers"))["items"]) == 1
    for _ in range(2):
        answer = carol.post(f"/v1/waivers/{sent(first, 201)['id']}/decision", GRANT, headers={"Idempotency-Key": "two"})
        assert sent(answer)["state"] == "in_force"


def test_waivers_are_listed_by_control_and_model(ann: Asker) -> None:
    first, second = asked(ann), asked(ann, control="ROB-02", model_name=None)

    assert [item["id"] for item in sent(ann.get("/v1/waivers"))["items"]] == [second, first]
    assert [item["id"] for item in sent(ann.get("/v1/waivers?control=ROB-02"))["items"]] == [second]
    assert [item["id"] for item in sent(ann.get("/v1/waivers?model_name=net"))["items"]] == [first]
    page = sent(ann.get("/v1/waivers?limit=1"))
    assert [item["id"] for item in sent(ann.get(f"/v1/waivers?limit=1&cursor={page['next']}"))["items"]] == [first]


def _events(database: Database, subject: str) -> list[Event]:
    with system_session(database) as session:
        return list(session.scalars(select(Event).where(Event.subject_id == UUID(subject)).order_by(Event.id)))


@pytest.mark.parametrize("ending", ["granted", "refused", "withdrawn"])
def test_every_change_is_in_the_log_bound_to_the_row(ann: Asker, carol: Asker, database: Database, ending: str) -> None:
    waiver = asked(ann)
    if ending == "withdrawn":
        sent(ann.send("POST", f"/v1/waivers/{waiver}/withdrawal"))
    else:
        sent(decided(carol, waiver, GRANT if ending == "granted" else REFUSE))

    first, last = _events(database, waiver)

    assert (first.action, first.created_by) == ("asked for", ann.principal)
    assert (last.action, last.created_by) == (ending, ann.principal if ending == "withdrawn" else carol.principal)
    with system_session(database) as session:
        row = session.get_one(Waiver, UUID(waiver))
        assert last.detail["evidence"] == {evidence_key(row): evidence_digest(row)}


# --- attestations ----------------------------------------------------------------------------------------------------

STATED: dict[str, Any] = {
    "control": "GOV-01",
    "model_name": "net",
    "role": "product owner",
    "statement": "Purpose and limits are on record.",
    "expires_at": "2026-12-31T00:00:00Z",
}


def test_a_person_attests_for_a_while(ann: Asker, clock: FixedClock) -> None:
    answer = ann.post("/v1/attestations", STATED)
    made = sent(answer, 201)

    assert (made["state"], made["stated_by_name"], made["role"]) == ("current", "bob", "product owner")
    assert ann.get(answer.headers["Location"]).json == made
    clock.advance(timedelta(days=305))
    assert sent(ann.get(answer.headers["Location"]))["state"] == "expired"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"control": "ROB-01"}, "/control"),  # measured
        ({"control": "INT-01"}, "/control"),
        ({"control": "GOV-99"}, "/control"),
        ({"expires_at": "2027-03-03T00:00:00Z"}, "/expires_at"),  # 366.5 days
        ({"expires_at": "2026-03-01T12:00:00Z"}, "/expires_at"),
        ({"statement": " "}, "/statement"),
        ({"role": ""}, "/role"),
        ({"document_digest": "sha256:no"}, "/document_digest"),
    ],
)
def test_an_attestation_that_cannot_be_is_refused(ann: Asker, changes: dict[str, str], pointer: str) -> None:
    problem(ann.post("/v1/attestations", {**STATED, **changes}), "invalid", pointer)


def test_an_attestation_needs_an_end(ann: Asker) -> None:
    endless = {name: value for name, value in STATED.items() if name != "expires_at"}

    problem(ann.post("/v1/attestations", endless), "invalid", "/expires_at")


def test_only_who_stated_it_takes_it_back(ann: Asker, carol: Asker, database: Database, clock: FixedClock) -> None:
    made = sent(ann.post("/v1/attestations", STATED), 201)
    path = f"/v1/attestations/{made['id']}/withdrawal"

    assert "only who stated it" in problem(carol.send("POST", path), "conflict").detail
    clock.advance(timedelta(hours=1))
    first, again = sent(ann.send("POST", path)), sent(ann.send("POST", path))

    assert first == again
    assert first["state"] == "withdrawn"
    stated, withdrawn = _events(database, made["id"])
    assert (stated.action, withdrawn.action) == ("stated", "withdrawn")
    with system_session(database) as session:
        row = session.get_one(Attestation, UUID(made["id"]))
        assert withdrawn.detail["evidence"] == {evidence_key(row): evidence_digest(row)}


def test_attestations_are_listed_by_control_and_model(ann: Asker) -> None:
    first = sent(ann.post("/v1/attestations", STATED), 201)["id"]
    second = sent(ann.post("/v1/attestations", {**STATED, "control": "GOV-02", "model_name": None}), 201)["id"]

    def listed(query: str) -> list[str]:
        return [item["id"] for item in sent(ann.get(f"/v1/attestations{query}"))["items"]]

    assert listed("") == [second, first]
    assert listed("?control=GOV-02") == [second]
    assert listed("?model_name=net") == [first]


Send = Callable[[Asker], Any]
NEEDS_SUBMIT: list[Send] = [
    lambda who: who.post("/v1/waivers", ASKED),
    lambda who: who.post("/v1/attestations", STATED),
    lambda who: who.post("/v1/policies", {"name": "p", "content": {}}),
]


@pytest.mark.parametrize("send", NEEDS_SUBMIT)
def test_reading_is_not_enough_to_change_anything(send: Send, ann: Asker, make_asker: MakeAsker) -> None:
    problem(send(make_asker(ann.tenant, "reader", ["read"])), "forbidden")
