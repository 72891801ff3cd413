"""A mail server of ours on loopback: it answers as it is told, and keeps what it took over."""

import base64
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.alerts.smtp import MailServer, Security
from service.clock import SystemClock


class Taker(socketserver.ThreadingTCPServer):
    """`answers`: verb -> answers in turn, the last one stays; `drips`: verbs answered a letter at a time."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: Path | None = None, *, first_secured: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.answers: dict[str, list[str]] = {}
        self.drips: set[str] = set()
        self.took: list[bytes] = []
        self.said: list[str] = []
        self.secured_when: dict[str, bool] = {}
        self.passwords: list[str] = []
        self.offers_starttls = certificate is not None and not first_secured
        self.first_secured = first_secured
        self.context = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)

    def handle_error(self, *_given: object) -> None:
        """A client that breaks off is what some tests are about."""

    def server(self, security: Security = "none", **changes: str) -> MailServer:
        """Itself, as an operator would set it."""
        host, port = str(self.server_address[0]), int(self.server_address[1])
        return MailServer(host=host, port=port, security=security, sender="lamina@example.org", **changes)


class _Conversation(socketserver.StreamRequestHandler):
    server: Taker

    def setup(self) -> None:
        self.secured = False
        super().setup()
        if self.server.first_secured:
            self._secure()

    def _secure(self) -> None:
        assert self.server.context is not None
        self.request = self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.secured = True

    def handle(self) -> None:
        with suppress(OSError):
            self._answer("CONNECT", "220 here")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line.split(" ")[0].split(":")[0].upper()
                self.server.said.append(line)
                self.server.secured_when[verb] = self.secured
                if verb == "QUIT":
                    self._answer(verb, "221 bye")
                    return
                self._do(verb, line)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        with suppress(OSError):
            self.connection.close()

    def _do(self, verb: str, line: str) -> None:
        if verb == "EHLO":
            lines = ["250-here", "250-AUTH PLAIN"] if self.secured else ["250-here"]
            lines += ["250-STARTTLS"] if self.server.offers_starttls and not self.secured else []
            self._answer(verb, "\r\n".join([*lines, "250 8BITMIME"]))
        elif verb == "STARTTLS":
            self._answer(verb, "220 go on")
            self._secure()
        elif verb == "AUTH":
            self.server.passwords.append(base64.b64decode(line.split(" ")[2]).decode())
            self._answer(verb, "235 known")
        elif verb == "DATA":
            self._answer(verb, "354 go on")
            content = b""
            while (each := self.rfile.readline()) not in (b".\r\n", b""):
                content += each.removeprefix(b".")
            self.server.took.append(content)
            self._answer("END", "250 taken")
        else:
            self._answer(verb, "250 fine")

    def _answer(self, verb: str, usual: str) -> None:
        answers = self.server.answers.get(verb, [usual])
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if verb not in self.server.drips:
            self.wfile.write(f"{said}\r\n".encode())
            return
        for letter in f"{said[:3]}-{'x' * 3000}".encode():
            self.wfile.write(bytes([letter]))
            time.sleep(0.02)


@contextmanager
def running(taker: Taker) -> Iterator[Taker]:
    """Serve until the block ends."""
    thread = threading.Thread(target=taker.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield taker
    finally:
        taker.shutdown()
        taker.server_close()
        thread.join(timeout=60)


def certificate(folder: Path, *, address: str = "127.0.0.1") -> Path:
    """A file with a key and a certificate of its own making for an address."""
    key, now = generate_private_key(SECP256R1()), SystemClock().now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / f"{address}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file
