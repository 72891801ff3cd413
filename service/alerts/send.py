"""How does a message get there, once, without leading us anywhere? Signed, to the checked address, in ten seconds.

Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, which is `v1,` and the base64 of
HMAC-SHA256 over id, timestamp and body joined by dots. Redirects are not followed.
"""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.alerts.address import Refused, Resolve, address_of, place_of

PREFIX = "whsec_"
DEADLINE_SECONDS = 10.0
MOST_READ = 4096
GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a try: an HTTP status, or why there is none. `again`: trying later can help."""

    delivered: bool
    said: str
    status: int | None = None
    again: bool = True


def secret_for(service_secret: str, webhook: UUID, generation: int) -> str:
    """A webhook's secret: derived, so that it is stored nowhere; another generation has another."""
    key = hashlib.sha256(b"lamina webhook\0" + service_secret.encode()).digest()
    made = hmac.digest(key, webhook.bytes + generation.to_bytes(8, "big"), "sha256")
    return PREFIX + base64.b64encode(made).decode()


def headers_of(secret: str, message: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that prove who sent a body, and when."""
    stamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = base64.b64encode(hmac.digest(key, f"{message}.{stamp}.".encode() + body, "sha256")).decode()
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signed}"}


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    allowed: Collection[str],
    resolve: Resolve = socket.getaddrinfo,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Sent:
    """Try to deliver a body. Never raises for what the other side does."""
    try:
        place = place_of(url, allowed)
        address = address_of(place, allowed, resolve)
    except Refused as error:
        return Sent(delivered=False, said=str(error), again=False)
    except (OSError, UnicodeError) as error:  # a name that cannot be asked for is a UnicodeError
        return Sent(delivered=False, said=f"the host cannot be resolved: {type(error).__name__}")
    try:
        plain = socket.create_connection((address, place.port), timeout=deadline_seconds)
    except OSError as error:
        return Sent(delivered=False, said=f"no connection: {type(error).__name__}")
    late = threading.Event()
    handle = plain.dup()  # securing a connection takes it away from `plain`
    timer = threading.Timer(deadline_seconds, cut, [handle, late])
    timer.daemon = True
    timer.start()
    wire = plain
    try:
        if place.secure:
            wire = _secured(plain, place.host)
        connection = http.client.HTTPConnection(place.host, place.port)
        connection.sock = wire
        sent = {"Content-Type": "application/json", "User-Agent": "lamina", "Connection": "close", **headers}
        connection.request("POST", place.path, body, sent)
        answer = connection.getresponse()
        answer.read(MOST_READ)
        found = _told(answer.status)
    except (OSError, http.client.HTTPException, ValueError) as error:
        found = Sent(delivered=False, said=f"the connection failed: {type(error).__name__}")
    finally:
        timer.cancel()
        for each in (handle, wire, plain):
            with suppress(OSError):
                each.close()
    # Headers that are cut off look like headers that have ended: an answer counts only if it was whole in time.
    return Sent(delivered=False, said=f"no whole answer in {deadline_seconds:g} s") if late.is_set() else found


def _told(status: int) -> Sent:
    if 200 <= status < 300:
        return Sent(delivered=True, said="delivered", status=status)
    if 300 <= status < 400:
        return Sent(delivered=False, said=f"it answered {status}: redirects are not followed", status=status)
    return Sent(delivered=False, said=f"it answered {status}", status=status, again=status != GONE)


def _secured(plain: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def cut(handle: socket.socket, late: threading.Event) -> None:
    """The time is over, whatever drips in. `handle`: a copy of the connection's own, which stays whatever wraps it."""
    late.set()
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
