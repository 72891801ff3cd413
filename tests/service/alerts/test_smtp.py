"""Is a mail handed over whole, secured, to a server that was checked, and is a bad server told in words?"""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.alerts.mail import mail_of
from service.alerts.send import post
from service.alerts.smtp import CONNECT_SECONDS, MOST_ADDRESSES, TALK_SECONDS, send
from tests.service.alerts.mailserver import Taker, certificate, running

DELIVERY = UUID("0193530a-6c1e-7b5c-9d0a-4f2f9a3b1c2d")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def body(**changes: Any) -> str:
    data = {
        "id": "a1",
        "key": "control:net:ROB-03:not_met",
        "severity": "high",
        "text": "ROB-03 of net is not met in the newest report.",
        "model_name": "net",
        "detail": {},
    }
    return json.dumps({"type": "alert.opened", "timestamp": "", "data": data | changes})


def a_mail(**changes: Any) -> EmailMessage:
    return mail_of(body(**changes), delivery=DELIVERY, to="ada@example.org", sender="lamina@example.org", at=AT)


@pytest.fixture
def taker() -> Iterator[Taker]:
    with running(Taker()) as made:
        yield made


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path)


def test_a_mail_states_facts_and_arrives_as_it_was_written(taker: Taker) -> None:
    assert send(taker.server(), a_mail()).delivered
    (took,) = taker.took
    mail = message_from_bytes(took, policy=default)
    assert mail["Subject"] == "Lamina: high, opened: ROB-03 of net is not met in the newest report."
    assert (mail["From"], mail["To"]) == ("lamina@example.org", "ada@example.org")
    assert mail["Message-ID"] == f"<{DELIVERY}@example.org>"
    assert mail["Date"].datetime == AT
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    lines = mail.get_content().splitlines()
    assert lines[0] == "ROB-03 of net is not met in the newest report."
    assert "at        2026-03-01 12:00 UTC" in lines
    assert "model     net" in lines
    assert [line for line in taker.said if line[:4] in ("MAIL", "mail", "rcpt", "RCPT")] == [
        "mail FROM:<lamina@example.org>",
        "rcpt TO:<ada@example.org>",
    ]


def test_the_same_message_is_the_same_mail_at_every_try() -> None:
    assert a_mail().as_bytes() == a_mail().as_bytes()


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85", "\r\n\r\n"])
def test_no_word_of_an_alert_ends_a_header(taker: Taker, end: str) -> None:
    words = f"net{end}Bcc: eve@example.org"
    assert send(taker.server(), a_mail(text=words, model_name=words, key=words)).delivered
    mail = message_from_bytes(taker.took[0], policy=default)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Lamina: high, opened: net Bcc: eve@example.org"
    assert len(mail.keys()) == len(set(mail.keys()))
    assert "rcpt TO:<eve@example.org>" not in taker.said


def test_other_letters_and_a_lonely_dot_arrive(taker: Taker) -> None:
    assert send(taker.server(), a_mail(text="Prüfung 测试 fehlt.", model_name=".")).delivered
    mail = message_from_bytes(taker.took[0], policy=default)
    assert mail["Subject"].endswith("Prüfung 测试 fehlt.")
    assert mail.get_content().startswith("Prüfung 测试 fehlt.")


def test_everything_after_starttls_is_secured_the_password_too(pem: Path) -> None:
    with running(Taker(pem)) as taker:
        found = send(taker.server("starttls", ca=str(pem), user="ada", password="w0rd"), a_mail())
        assert (found.delivered, found.status) == (True, 250)
        assert taker.passwords == ["\0ada\0w0rd"]
        secured = {verb for verb, was in taker.secured_when.items() if was}
        assert {"AUTH", "MAIL", "RCPT", "DATA"} <= secured


def test_a_connection_can_be_secured_from_its_first_byte(pem: Path) -> None:
    with running(Taker(pem, first_secured=True)) as taker:
        assert send(taker.server("tls", ca=str(pem)), a_mail()).delivered
        assert set(taker.secured_when.values()) == {True}


def test_nothing_is_sent_in_the_clear_where_starttls_is_asked_for(taker: Taker) -> None:
    found = send(taker.server("starttls", user="ada", password="word"), a_mail())
    assert (found.delivered, found.again) == (False, True)
    assert found.said == "the mail server offers no STARTTLS, and nothing is sent in the clear"
    assert (taker.took, taker.passwords) == ([], [])
    assert not any(line.lower().startswith("mail") for line in taker.said)


@pytest.mark.parametrize("known", [False, True])
def test_a_certificate_of_nobody_known_or_of_another_host_is_refused(tmp_path: Path, known: bool) -> None:
    other = certificate(tmp_path, address="127.0.0.2")
    with running(Taker(other)) as taker:
        found = send(taker.server("starttls", ca=str(other) if known else ""), a_mail())
        assert not found.delivered
        said = "IP address mismatch" if known else "self-signed certificate"
        assert found.said.startswith("the mail server's certificate is not good: ")
        assert said in found.said
        assert taker.took == []


@pytest.mark.parametrize(
    ("verb", "answer", "said", "again"),
    [
        ("CONNECT", "554 no", "the mail server answered 554 to the greeting", True),
        ("EHLO", "550 no", "the mail server answered 550 to EHLO", True),
        ("MAIL", "451 later", "the mail server answered 451 to MAIL", True),
        ("MAIL", "553 no", "the mail server answered 553 to MAIL", False),
        ("RCPT", "450 later", "the mail server answered 450 to RCPT", True),
        ("RCPT", "550 nobody", "the mail server answered 550 to RCPT", False),
        ("DATA", "452 full", "the mail server answered 452 to DATA", True),
        ("END", "421 later", "the mail server answered 421 to DATA", True),
        ("END", "554 no", "the mail server answered 554 to DATA", False),
    ],
)
def test_what_was_not_taken_over_says_at_which_step(
    taker: Taker, verb: str, answer: str, said: str, again: bool
) -> None:
    taker.answers[verb] = [answer]
    found = send(taker.server(), a_mail())
    assert (found.delivered, found.said, found.again) == (False, said, again)
    assert found.status == int(answer[:3])


def test_a_password_that_is_refused_is_told_without_it(pem: Path) -> None:
    with running(Taker(pem)) as taker:
        taker.answers["AUTH"] = ["535 no"]
        server = taker.server("starttls", ca=str(pem), user="ada", password="pw-9")
        found = send(server, a_mail())
        assert (found.said, found.again) == ("the mail server answered 535 to the password", True)
        assert "pw-9" not in repr(server)


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "RCPT", "END"])
def test_a_server_that_drips_is_cut_off(taker: Taker, verb: str) -> None:
    taker.drips.add(verb)
    began = time.monotonic()
    found = send(taker.server(), a_mail(), talk_seconds=0.3)
    assert time.monotonic() - began < 30
    assert not found.delivered
    assert found.again
    assert found.said in ("the mail server took over 0.3 s", "the answer to the mail came too late")


def test_a_server_that_drips_over_tls_is_cut_off_too(pem: Path) -> None:
    with running(Taker(pem, first_secured=True)) as taker:
        taker.drips.add("CONNECT")
        began = time.monotonic()
        found = send(taker.server("tls", ca=str(pem)), a_mail(), talk_seconds=0.3)
        assert time.monotonic() - began < 30
        assert found.said == "the mail server took over 0.3 s"


def test_a_receiver_of_webhooks_that_drips_over_tls_is_cut_off_too(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with running(Taker(pem, first_secured=True)) as taker:
        taker.drips.add("CONNECT")
        taker.answers["CONNECT"] = ["HTTP/1.1 200 OK"]
        began = time.monotonic()
        url = f"https://127.0.0.1:{taker.server_address[1]}/"
        found = post(url, b"{}", {}, allowed=frozenset({"127.0.0.1"}), deadline_seconds=0.3)
        assert time.monotonic() - began < 30
        assert (found.delivered, found.said) == (False, "no whole answer in 0.3 s")


def test_a_lost_goodbye_does_not_undo_what_was_taken_over(taker: Taker) -> None:
    taker.answers["QUIT"] = ["nonsense"]
    assert send(taker.server(), a_mail()).delivered
    assert len(taker.took) == 1


def test_nobody_there_is_worth_another_try() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        taker = Taker()
        taker.server_close()
        found = send(taker.server(), a_mail())
    assert (found.said, found.again) == ("no connection to the mail server: ConnectionRefusedError", True)


def test_a_try_takes_ten_seconds_at_most() -> None:
    assert MOST_ADDRESSES * CONNECT_SECONDS + TALK_SECONDS <= 10
