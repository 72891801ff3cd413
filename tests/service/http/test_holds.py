import threading
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
from service.store.tables_compliance import LegalHold
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem, sent
from tests.service.http.conftest import MakeAsker
from tests.service.work.world import World

ON_THE_MODEL = {"model_name": "net", "reason": "claim 117"}
LIFT = {"reason": "settled"}


@pytest.fixture
def ann(ask: Asker, world: World) -> Asker:
    """Who places, where there is a model."""
    world.ready_pair()
    return ask


@pytest.fixture
def carol(make_asker: MakeAsker, ask: Asker) -> Asker:
    """Who lifts."""
    return make_asker(ask.tenant, "carol", ("read", "submit"))


def placed(ann: Asker, **changes: Any) -> str:
    return str(sent(ann.post("/v1/holds", {**ON_THE_MODEL, **changes}), 201)["id"])


def lifted(who: Asker, hold: str, body: dict[str, str] = LIFT) -> Any:
    return who.post(f"/v1/holds/{hold}/lifting", body)


def test_a_hold_is_in_force_at_once_and_ends_by_another_person(ann: Asker, carol: Asker) -> None:
    answer = ann.post("/v1/holds", ON_THE_MODEL)
    made = sent(answer, 201)

    assert (made["state"], made["placed_by_name"]) == ("in_force", "bob")
    assert (made["model_name"], made["audit"]) == ("net", None)
    assert ann.get(answer.headers["Location"]).json == made
    found = sent(lifted(carol, made["id"]))
    assert (found["state"], found["lifted_by_name"], found["lift_reason"]) == ("lifted", "carol", "settled")
    assert (found["reason"], found["placed_by_name"]) == ("claim 117", "bob")
    assert ann.get(answer.headers["Location"]).json == found


def test_who_places_a_hold_does_not_lift_it(ann: Asker) -> None:
    hold = placed(ann)

    found = problem(lifted(ann, hold), "conflict")

    assert found.detail == "who placed a legal hold does not lift it; another person must."
    assert sent(ann.get(f"/v1/holds/{hold}"))["state"] == "in_force"


def test_a_service_neither_places_nor_lifts(ann: Asker, database: Database, app: Flask, clock: FixedClock) -> None:
    who = {"created_by": ann.principal, "now": clock.now()}
    with database.session(ann.tenant) as session:
        row = auth.make_principal(session, tenant=ann.tenant, name="robot", kind="service", **who)
    key = auth.issue_key(database, row.id, scopes=("read", "submit"), now=clock.now())
    robot = Asker(app.test_client(), key, ann.tenant, row.id)

    assert "belongs to a service" in problem(robot.post("/v1/holds", ON_THE_MODEL), "forbidden").detail
    problem(lifted(robot, placed(ann)), "forbidden")


def test_a_hold_is_lifted_once(ann: Asker, carol: Asker, make_asker: MakeAsker) -> None:
    hold = placed(ann)
    dave = make_asker(ann.tenant, "dave")
    answers: list[int] = []
    both = threading.Barrier(2)

    def lift(who: Asker) -> None:
        both.wait()
        answers.append(lifted(who, hold).status_code)

    threads = [threading.Thread(target=lift, args=(who,)) for who in (carol, dave)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(answers) == [200, 409]
    assert "lifted already" in problem(lifted(carol, hold), "conflict").detail


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"model_name": None}, ""),
        ({"audit": str(NOBODYS)}, ""),
        ({"model_name": None, "audit": str(NOBODYS)}, "/audit"),
        ({"model_name": "nett"}, "/model_name"),
        ({"reason": "  "}, "/reason"),
        ({"lifted_by": str(NOBODYS)}, "/lifted_by"),
    ],
)
def test_what_cannot_be_held_is_refused_at_its_place(ann: Asker, changes: dict[str, Any], pointer: str) -> None:
    problem(ann.post("/v1/holds", {**ON_THE_MODEL, **changes}), "invalid", pointer)
    assert sent(ann.get("/v1/holds"))["items"] == []


def test_lifting_says_why(ann: Asker, carol: Asker) -> None:
    problem(lifted(carol, placed(ann), {"reason": " "}), "invalid", "/reason")


def test_holds_are_listed_by_what_they_are_on_and_by_state(ask: Asker, carol: Asker, world: World) -> None:
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(*world.ready_pair())))
    first = placed(ask)
    second = placed(ask, model_name=None, audit=audit)
    sent(lifted(carol, first))

    def listed(query: str = "") -> list[str]:
        return [item["id"] for item in sent(ask.get(f"/v1/holds{query}"))["items"]]

    assert listed() == [second, first]
    assert listed("?model_name=net") == listed("?state=lifted") == [first]
    assert listed(f"?audit={audit}") == listed("?state=in_force") == [second]
    assert sent(ask.get(f"/v1/holds/{second}"))["audit_title"] is not None


def test_the_same_key_places_once(ann: Asker) -> None:
    first, again = (ann.post("/v1/holds", ON_THE_MODEL, headers={"Idempotency-Key": "one"}) for _ in range(2))

    assert sent(first, 201) == sent(again, 201)
    assert len(sent(ann.get("/v1/holds"))["items"]) == 1


def test_both_steps_are_in_the_log_and_the_last_binds_the_row(ann: Asker, carol: Asker, database: Database) -> None:
    hold = placed(ann)
    sent(lifted(carol, hold))

    with system_session(database) as session:
        statement = select(Event).where(Event.subject_id == UUID(hold)).order_by(Event.id)
        first, last = session.scalars(statement).all()
        row = session.get_one(LegalHold, UUID(hold))
    assert (first.action, first.created_by, first.detail["model"]) == ("placed", ann.principal, "net")
    assert (last.action, last.created_by) == ("lifted", carol.principal)
    assert last.detail["evidence"] == {evidence_key(row): evidence_digest(row)}
    assert first.detail["evidence"] != last.detail["evidence"]
