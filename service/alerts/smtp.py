"""How does a mail get to the operator's mail server? Over a connection that is secured and checked, in ten seconds.

A server that has taken a mail over answers for it from then on. If its answer is lost the mail is sent again, with the
same Message-ID: at least once, and rarely twice.
"""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

from service.alerts.send import Sent, cut

CONNECT_SECONDS = 2.0
MOST_ADDRESSES = 2
TALK_SECONDS = 6.0
PERMANENT = 500

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mails are handed over, as the operator set it. `ca`: a file of authorities; empty: the system's."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""


class _Step(Exception):
    """A step did not go as it must; `sent` says which, and whether later may be better."""

    def __init__(self, sent: Sent) -> None:
        super().__init__(sent.said)
        self.sent = sent


class _Talk(smtplib.SMTP):
    """A conversation over a connection that is there already."""

    def __init__(self, server: MailServer, plain: socket.socket, context: ssl.SSLContext | None) -> None:
        self._plain, self._context = plain, context if server.security == "tls" else None
        host, *_ = plain.getsockname()
        name = f"[IPv6:{host}]" if ":" in host else f"[{host}]"  # no name is looked up for a greeting
        super().__init__(server.host, server.port, local_hostname=name, timeout=TALK_SECONDS)

    def _get_socket(self, host: str, _port: int, _timeout: float) -> socket.socket:
        return self._plain if self._context is None else self._context.wrap_socket(self._plain, server_hostname=host)


def send(server: MailServer, mail: EmailMessage, *, talk_seconds: float = TALK_SECONDS) -> Sent:
    """Try to hand a mail over. Never raises for what the other side does."""
    try:
        plain = _connected(server)
    except OSError as error:
        return Sent(delivered=False, said=f"no connection to the mail server: {type(error).__name__}")
    late = threading.Event()
    with _cut_after(plain, talk_seconds, late):
        try:
            return _talk(server, plain, mail, late)
        except _Step as step:
            found = step.sent
        except smtplib.SMTPResponseException as error:
            found = _refused("the greeting", error.smtp_code, config=True)
        except ssl.SSLCertVerificationError as error:
            found = Sent(delivered=False, said=f"the mail server's certificate is not good: {error.verify_message}")
        except (OSError, ValueError) as error:
            found = Sent(delivered=False, said=f"the mail connection failed: {type(error).__name__}")
    return Sent(delivered=False, said=f"the mail server took over {talk_seconds:g} s") if late.is_set() else found


def _connected(server: MailServer) -> socket.socket:
    """A connection to the first address that takes one."""
    failed: OSError = OSError("it has no address")
    found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    for _family, _kind, _protocol, _name, address in found[:MOST_ADDRESSES]:
        try:
            return socket.create_connection((str(address[0]), server.port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failed = error
    raise failed


@contextmanager
def _cut_after(plain: socket.socket, seconds: float, late: threading.Event) -> Iterator[None]:
    """Whatever drips in: the connection is cut when the time is over, and closed at the end."""
    plain.settimeout(seconds)
    handle = plain.dup()  # securing a connection takes it away from `plain`
    timer = threading.Timer(seconds, cut, [handle, late])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for each in (handle, plain):
            with suppress(OSError):
                each.close()


def _talk(server: MailServer, plain: socket.socket, mail: EmailMessage, late: threading.Event) -> Sent:
    context = None if server.security == "none" else ssl.create_default_context(cafile=server.ca or None)
    talk = _Talk(server, plain, context)
    try:
        _step("EHLO", talk.ehlo(), config=True)
        if server.security == "starttls":
            _secured(talk, context)
        if server.user:
            _known(talk, server)
        _step("MAIL", talk.mail(server.sender))
        _step("RCPT", talk.rcpt(str(mail["To"])))
        code, _ = talk.data(mail.as_bytes())
        # An answer that we cut off may look whole: it counts only if it was there in time.
        if late.is_set():
            return Sent(delivered=False, said="the answer to the mail came too late")
        _step("DATA", (code, b""))
        with suppress(OSError):
            talk.quit()
        return Sent(delivered=True, said="delivered", status=code)
    except smtplib.SMTPDataError as error:
        raise _Step(_refused("DATA", error.smtp_code)) from error
    finally:
        talk.close()


def _secured(talk: _Talk, context: ssl.SSLContext | None) -> None:
    if not talk.has_extn("starttls"):
        raise _Step(Sent(delivered=False, said="the mail server offers no STARTTLS, and nothing is sent in the clear"))
    _step("STARTTLS", talk.starttls(context=context), config=True)
    _step("EHLO", talk.ehlo(), config=True)


def _known(talk: _Talk, server: MailServer) -> None:
    try:
        talk.login(server.user, server.password)
    except smtplib.SMTPResponseException as error:
        raise _Step(_refused("the password", error.smtp_code, config=True)) from error
    except smtplib.SMTPNotSupportedError as error:
        raise _Step(Sent(delivered=False, said="the mail server takes no password of the kinds known here")) from error


def _step(what: str, answer: tuple[int, bytes], *, config: bool = False) -> None:
    if not 200 <= answer[0] < 300:
        raise _Step(_refused(what, answer[0], config=config))


def _refused(what: str, code: int, *, config: bool = False) -> Sent:
    """Refused for good with 5xx; where the operator's settings may be at fault, later may be better all the same."""
    said = f"the mail server answered {code} to {what}"
    return Sent(delivered=False, said=said, status=code, again=config or code < PERMANENT)
