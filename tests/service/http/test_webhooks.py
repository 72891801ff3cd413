"""Webhooks over HTTP: the secret shown when it is made, never kept; a repeated request makes no second receiver."""

import json
from uuid import UUID

import pytest
from sqlalchemy import func, select

from service.http import deliveries, webhooks
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Event, IdempotencyKey, Work
from service.store.tables_compliance import Delivery, Webhook
from tests.service.http.asking import Asker, problem, sent
from tests.service.http.conftest import MakeAsker

HOOK = {"url": "https://hooks.example.org/in?token=theirs", "least": "high"}


def test_a_webhook_is_made_turned_tried_and_disabled(ask: Asker) -> None:
    answer = ask.post("/v1/webhooks", HOOK)
    made = sent(answer, 201)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert sent(ask.get(answer.headers["Location"])) == made
    turned = sent(ask.send("POST", f"/v1/webhooks/{made['id']}/rotation"))
    assert turned["secret"] not in ("", secret)
    message = sent(ask.send("POST", f"/v1/webhooks/{made['id']}/test"), 202)
    assert (message["webhook"], message["state"]) == (made["id"], "queued")
    assert sent(ask.send("DELETE", f"/v1/webhooks/{made['id']}"))["disabled_at"] is not None
    problem(ask.send("POST", f"/v1/webhooks/{made['id']}/test"), "conflict")


def test_a_repeated_request_makes_no_second_receiver_and_keeps_no_secret(ask: Asker, database: Database) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (sent(ask.post("/v1/webhooks", HOOK, headers=key), 201) for _ in range(2))
    assert first == second
    with system_session(database) as session:
        assert session.scalar(select(func.count(Webhook.id))) == 1
        noted = session.scalars(select(IdempotencyKey)).one()
    assert first["secret"] not in json.dumps([noted.body, noted.location])


def test_what_one_person_asked_is_no_answer_to_another(ask: Asker, make_asker: MakeAsker, tenant: UUID) -> None:
    key = {"Idempotency-Key": "once"}
    sent(ask.post("/v1/webhooks", HOOK, headers=key), 201)
    other = make_asker(tenant, "carol")
    problem(other.post("/v1/webhooks", HOOK, headers=key), "idempotency-mismatch")


def test_there_are_only_so_many_receivers(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_ENABLED", 2)
    made = [sent(ask.post("/v1/webhooks", HOOK), 201)["id"] for _ in range(2)]
    assert "2 webhooks are enabled" in problem(ask.post("/v1/webhooks", HOOK), "conflict").detail
    ask.delete(f"/v1/webhooks/{made[0]}")
    sent(ask.post("/v1/webhooks", HOOK), 201)


def test_trials_do_not_pile_up(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_TRIALS", 2)
    made, other = (sent(ask.post("/v1/webhooks", HOOK), 201)["id"] for _ in range(2))
    for _ in range(2):
        sent(ask.send("POST", f"/v1/webhooks/{made}/test"), 202)
    assert "on their way already" in problem(ask.send("POST", f"/v1/webhooks/{made}/test"), "conflict").detail
    sent(ask.send("POST", f"/v1/webhooks/{other}/test"), 202)


def test_a_message_is_not_sent_again_while_it_waits_to_be(ask: Asker, database: Database) -> None:
    made = sent(ask.post("/v1/webhooks", HOOK), 201)["id"]
    message = sent(ask.send("POST", f"/v1/webhooks/{made}/test"), 202)["id"]
    problem(ask.send("POST", f"/v1/deliveries/{message}/replay"), "conflict")
    with system_session(database) as session:
        session.scalars(select(Work).where(Work.subject_id == UUID(message))).one().state = "failed"
    sent(ask.send("POST", f"/v1/deliveries/{message}/replay"), 202)
    assert "on their way" in problem(ask.send("POST", f"/v1/deliveries/{message}/replay"), "conflict").detail
    with system_session(database) as session:
        assert session.scalar(select(func.count(Delivery.id))) == 2


@pytest.mark.parametrize(
    "url",
    ["https://a..example.org/", "https://" + "a" * 64 + ".org/", "https://example.org/ü", "http://example.org/"],
)
def test_what_cannot_be_sent_to_is_refused_at_once(ask: Asker, url: str) -> None:
    problem(ask.post("/v1/webhooks", {**HOOK, "url": url}), "invalid", "/url")


def test_the_log_tells_the_host_alone(ask: Asker, database: Database) -> None:
    made = sent(ask.post("/v1/webhooks", {**HOOK, "url": "https://hooks.example.org:8443/in?token=theirs"}), 201)
    with system_session(database) as session:
        (event,) = session.scalars(select(Event).where(Event.subject_id == UUID(made["id"]))).all()
    assert (event.action, event.detail) == ("made", {"host": "hooks.example.org"})
