"""Does a message get there whole, to nobody else, and never holds us up?"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from service.alerts.address import Refused, address_of, is_open, place_of
from service.alerts.send import headers_of, post, secret_for
from service.store.base import new_id

HERE = frozenset({"127.0.0.1"})
Answer = Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """A server of ours that answers as it is told and keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Answer = lambda handler: handler.send_response(204)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                outer.answer(self)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)

    return answer


def test_a_message_is_signed_as_the_reference_verifies_it(receiver: Receiver) -> None:
    secret = secret_for("the service's", new_id(), 1)
    body = b'{"type":"alert.opened"}'
    now = datetime.now(UTC)
    assert post(receiver.url, body, headers_of(secret, "msg_1", now, body), allowed=HERE).delivered
    (path, headers, came) = receiver.got[0]
    assert path == "/hook?a=1"
    assert Webhook(secret).verify(came.decode(), headers) == {"type": "alert.opened"}
    assert headers["host"].startswith("127.0.0.1:")


def test_secrets_differ_by_webhook_and_generation_and_come_again() -> None:
    webhook = new_id()
    made = {secret_for("s", webhook, 1), secret_for("s", webhook, 2), secret_for("s", new_id(), 1)}
    assert len(made) == 3
    assert secret_for("s", webhook, 1) in made
    assert all(each.startswith("whsec_") for each in made)


@pytest.mark.parametrize(
    ("answer", "said", "again"),
    [
        (status(500), "it answered 500", True),
        (status(410), "it answered 410", False),
        (status(302, Location="http://127.0.0.1/elsewhere"), "it answered 302: redirects are not followed", True),
    ],
)
def test_what_did_not_get_there_says_why(receiver: Receiver, answer: Answer, said: str, again: bool) -> None:
    receiver.answer = answer
    found = post(receiver.url, b"{}", {}, allowed=HERE)
    assert (found.delivered, found.said, found.again) == (False, said, again)
    assert len(receiver.got) == 1


def test_a_receiver_that_drips_is_cut_off(receiver: Receiver) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        for letter in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500:
            try:
                handler.wfile.write(bytes([letter]))
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.02)

    receiver.answer = drip
    began = time.monotonic()
    found = post(receiver.url, b"{}", {}, allowed=HERE, deadline_seconds=0.4)
    assert time.monotonic() - began < 30
    assert (found.delivered, found.said) == (False, "no whole answer in 0.4 s")


def test_nobody_there_is_worth_another_try() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = post(f"http://127.0.0.1:{port}/", b"{}", {}, allowed=HERE)
    assert (found.said, found.again) == ("no connection: ConnectionRefusedError", True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "ff02::1",
        "64:ff9b::a00:1", "2002:a00:1::", "192.0.2.1", "::", "192.0.0.8", "168.63.129.16", "192.88.99.1", "fec0::1",
        "3fff::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_out_in_the_open(address: str) -> None:
    assert not is_open(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_that_are(address: str) -> None:
    assert is_open(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/", "by https alone"),
        ("ftp://example.org/", "begins with https"),
        ("https://", "begins with https"),
        ("https://user:word@example.org/", "no user, password or fragment"),
        ("https://example.org/#a", "no user, password or fragment"),
        ("https://exa mple.org/", "without spaces"),
        ("https://example.org:99999/", "this is no URL"),
        ("https://localhost/", "a name of this network alone"),
        ("https://metadata.google.internal/", "a name of this network alone"),
        ("https://10.0.0.1/", "not out in the open"),
        ("https://[::1]/", "not out in the open"),
        ("https://2130706433/", "a name of this network alone"),
        ("https://a..example.org/", "has 1 to 63 letters"),
        ("https://" + "a" * 64 + ".example.org/", "has 1 to 63 letters"),
        ("https://.example.org/", "has 1 to 63 letters"),
        ("https://example.org/\u00fc", "of ASCII"),
        ("https://\u2460\u2461.example.org/", "of ASCII"),
    ],
)
def test_urls_that_are_not_sent_to(url: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        place_of(url, frozenset())


def names(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    return lambda host, port, **_kind: [(0, 0, 0, "", (each, port)) for each in addresses]


def test_a_name_with_one_private_answer_among_others_is_refused() -> None:
    place = place_of("https://example.org/", frozenset())
    assert address_of(place, frozenset(), names("93.184.216.34")) == "93.184.216.34"
    with pytest.raises(Refused, match=r"example.org leads to 10.0.0.1"):
        address_of(place, frozenset(), names("93.184.216.34", "10.0.0.1"))


def test_a_name_that_cannot_even_be_asked_for_is_told_as_one() -> None:
    def unable(host: str, port: int, **_kind: int) -> list[tuple[Any, ...]]:
        raise UnicodeError("label empty or too long")

    found = post("https://xn--a.example.org/", b"{}", {}, allowed=frozenset(), resolve=unable)
    assert (found.delivered, found.said) == (False, "the host cannot be resolved: UnicodeError")


def test_the_name_is_asked_for_once_so_that_its_second_answer_cannot_be_another() -> None:
    asked: list[str] = []

    def turning(host: str, port: int, **_kind: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", ("10.0.0.1" if len(asked) == 1 else "127.0.0.1", port))]

    found = post("https://example.org/", b"{}", {}, allowed=frozenset(), resolve=turning)
    assert (found.delivered, found.again, asked) == (False, False, ["example.org"])
