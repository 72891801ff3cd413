"""Alerts, webhooks, recipients and messages by the command: made, listed, tried, seen, sent again, disabled."""

import json
from uuid import UUID

import pytest
from sqlalchemy import select

from service.alerts.wanted import Wanted
from service.store.system import system_session
from service.store.tables import Work
from service.work.alerting import open_alert
from tests.lamina.bureau import Bureau, bureau
from tests.lamina.typed import lamina

__all__ = ["bureau"]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
URL = "https://hooks.example.org/in"


def done(*words: str) -> str:
    found = lamina(*words)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_webhook_lives_and_ends(bureau: Bureau) -> None:
    secret = done("webhook", "add", URL, "--least", "high").strip()
    assert secret.startswith("whsec_")
    (made,) = json.loads(done("webhook", "list", "--json"))
    assert (made["url"], made["least"], "secret" in made) == (URL, "high", False)
    assert done("webhook", "rotate", made["id"]).strip() not in ("", secret)
    message = done("webhook", "try", made["id"]).split()[-1]
    (sent,) = json.loads(done("delivery", "list", "--webhook", made["id"], "--json"))
    assert (sent["id"], sent["event"], sent["state"]) == (message, "test", "queued")
    refused = lamina("delivery", "again", message)
    assert (refused.exit_code, "failed for good" in refused.stderr) == (3, True)
    with system_session(bureau.office.database) as session:
        session.scalars(select(Work).where(Work.subject_id == UUID(message))).one().state = "failed"
    assert done("delivery", "again", message).startswith("queued: message ")
    assert "failed" in done("delivery", "list")
    assert done("webhook", "disable", made["id"]) == f"disabled: {URL}\n"
    assert "disabled" in done("webhook", "list")


def test_what_cannot_be_sent_to_is_refused(bureau: Bureau) -> None:
    refused = lamina("webhook", "add", "http://hooks.example.org/in")
    assert (refused.exit_code, "/url" in refused.stderr) == (3, True), refused.stderr
    assert lamina("webhook", "add", URL, "--least", "urgent").exit_code == 2
    assert bureau.who == "ada"


def test_without_a_mail_server_nobody_is_named(bureau: Bureau) -> None:
    refused = lamina("recipient", "add", "ada@example.org")
    assert (refused.exit_code, "LAMINA_SMTP_HOST" in refused.stderr) == (3, True), refused.stderr
    assert json.loads(done("recipient", "list", "--json")) == []
    assert bureau.who == "ada"


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the operator had set one; nothing is sent here."""
    monkeypatch.setattr("service.http.recipients.mail_server", lambda _settings: object())


def test_a_recipient_lives_and_ends(bureau: Bureau, mail_server: None) -> None:
    made = json.loads(done("recipient", "add", "ada@example.org", "--json"))
    assert "ada@example.org" in done("recipient", "list")
    assert done("recipient", "try", made["id"]).startswith("queued: message ")
    assert len(json.loads(done("delivery", "list", "--recipient", made["id"], "--json"))) == 1
    assert done("recipient", "disable", made["id"]) == "disabled: ada@example.org\n"
    assert bureau.who == "ada"


def test_an_alert_is_listed_and_seen(bureau: Bureau) -> None:
    office = bureau.office
    with office.database.session(office.tenant) as session:
        due = Wanted(key="k", severity="high", text="ROB-03 of net is not met.", model_name="net")
        open_alert(session, due, tenant=office.tenant, now=office.clock.now())
    assert "ROB-03 of net is not met." in done("alert", "list", "--open")
    assert json.loads(done("alert", "list", "--closed", "--json")) == []
    (alert,) = json.loads(done("alert", "list", "--json"))
    assert done("alert", "seen", alert["id"]) == "seen: ROB-03 of net is not met.\n"
    (again,) = json.loads(done("alert", "list", "--json"))
    assert again["acknowledged_by"] == str(office.principal)
