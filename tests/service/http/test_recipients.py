import json
from uuid import UUID

import pytest
from flask import Flask
from pydantic import ValidationError
from sqlalchemy import select

from service.app import create_app
from service.clock import FixedClock
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Event
from tests.service.http.asking import Asker, problem, sent
from tests.service.work.world import CATALOG

ADA = {"address": "ada@example.org", "least": "high"}


def test_a_recipient_is_named_tried_and_disabled(ask: Asker) -> None:
    answer = ask.post("/v1/mail-recipients", ADA)
    made = sent(answer, 201)
    assert (made["address"], made["least"]) == ("ada@example.org", "high")
    assert (made["failures"], made["disabled_at"]) == (0, None)
    assert sent(ask.get(answer.headers["Location"])) == made
    message = sent(ask.send("POST", f"/v1/mail-recipients/{made['id']}/test"), 202)
    assert (message["recipient"], message["webhook"], message["state"]) == (made["id"], None, "queued")
    assert [each["id"] for each in sent(ask.get(f"/v1/deliveries?recipient={made['id']}"))["items"]] == [message["id"]]
    assert sent(ask.get(f"/v1/deliveries?webhook={made['id']}"))["items"] == []
    assert sent(ask.send("DELETE", f"/v1/mail-recipients/{made['id']}"))["disabled_at"] is not None
    problem(ask.send("POST", f"/v1/mail-recipients/{made['id']}/test"), "conflict")
    assert [each["id"] for each in sent(ask.get("/v1/mail-recipients"))["items"]] == [made["id"]]


@pytest.mark.parametrize(
    "address",
    [
        "ada",
        "ada@localhost",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\n",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        '"ada"@example.org',
        "ada@exa mple.org",
        "ada@-example.org",
        "ada@example..org",
        "ädä@example.org",
        f"{'a' * 65}@example.org",
        f"ada@{'a.' * 130}org",
    ],
)
def test_what_is_no_plain_address_is_refused(ask: Asker, address: str) -> None:
    problem(ask.post("/v1/mail-recipients", {"address": address}), "invalid", "/address")


def test_without_a_mail_server_nobody_is_named(
    ask: Asker, settings: Settings, database: Database, clock: FixedClock
) -> None:
    bare = settings.model_copy(update={"smtp_host": ""})
    app: Flask = create_app(bare, database=database, clock=clock, catalog=CATALOG, broker_ping=lambda: "ok")
    there = Asker(app.test_client(), ask.key, ask.tenant, ask.principal)
    found = problem(there.post("/v1/mail-recipients", ADA), "conflict")
    assert found.detail == "No mail server is set, so no alert could be mailed."
    assert "LAMINA_SMTP_HOST" in (found.remedy or "")
    assert sent(there.get("/v1/mail-recipients"))["items"] == []


def test_the_log_tells_of_a_recipient_without_the_address(ask: Asker, database: Database) -> None:
    made = sent(ask.post("/v1/mail-recipients", ADA), 201)
    with system_session(database) as session:
        (event,) = session.scalars(select(Event).where(Event.subject_id == UUID(made["id"]))).all()
    assert (event.action, event.detail) == ("named", {"domain": "example.org"})
    assert "ada" not in json.dumps(event.detail)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"smtp_host": "mail.example.org"}, "smtp_host needs smtp_sender"),
        ({"smtp_host": "mail.example.org", "smtp_sender": "x\r\n@example.org"}, "smtp_host needs smtp_sender"),
        ({"smtp_user": "ada"}, "smtp_user and smtp_password go together"),
        ({"smtp_user": "ada", "smtp_password": "w", "smtp_security": "none"}, "in the clear"),
        ({"smtp_user": "ada", "smtp_password": "wörd"}, "are ASCII"),
        ({"smtp_security": "ssl"}, "smtp_security"),
    ],
)
def test_a_mail_server_that_is_half_set_is_found_at_the_start(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        Settings.model_validate(given)
    assert "input_value" not in str(refused.value)  # it would hold the password
