"""Who signs for this service, and how is that checked? One Ed25519 key, whose private half is a file of ours alone.

A key's id is the SHA-256 of its raw public half (RFC 8032, 32 bytes), so that a key cannot be passed off as another.
"""

import base64
import binascii
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

FILE = "signing_key.pem"


class BadKey(ValueError):
    """A key file that is no Ed25519 key."""


class SigningKeys:
    """What signs for the service. The private half is never shown, logged or stored in the database."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = key_id_of(self.public)

    def __repr__(self) -> str:
        return f"SigningKeys({self.key_id})"

    def current(self) -> "SigningKeys":
        """Itself: what signs may also be asked which key it is now (service.evidence.own_keys)."""
        return self

    def sign(self, content: bytes) -> str:
        """The Ed25519 signature over some bytes, base64."""
        return base64.b64encode(self._private.sign(content)).decode()

    @classmethod
    def read(cls, pem: bytes, where: str) -> "SigningKeys":
        """The key of a PEM text; `where` it stands, for the message. Raises BadKey."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise BadKey(f"{where} is no private key in PEM: {error}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise BadKey(f"{where} is no Ed25519 key; this service signs with nothing else")
        return cls(private)

    @classmethod
    def made(cls) -> "SigningKeys":
        """A new key, kept nowhere."""
        return cls(Ed25519PrivateKey.generate())

    def keep(self, path: Path) -> None:
        """Write the private half to a file that is not there yet, readable by us alone. Raises FileExistsError."""
        made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            os.fsync(file.fileno())
        try:
            path.hardlink_to(made)  # atomic: of several processes at once, one wins and all read it
        finally:
            made.unlink()

    @classmethod
    def kept_in(cls, folder: Path) -> "SigningKeys":
        """The key of a folder, made once; of several processes that start together one makes it. Raises BadKey."""
        kept = folder / FILE
        if not kept.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                cls.made().keep(kept)
        return cls.read(kept.read_bytes(), f"{kept.name} in the secrets folder")


def key_id_of(public: bytes) -> str:
    """`sha256:` and the SHA-256 of a raw public key."""
    return "sha256:" + hashlib.sha256(public).hexdigest()


def signature_holds(public: bytes, signature: str, content: bytes) -> bool:
    """Whether a base64 signature over some bytes was made with the private half of a raw public key."""
    try:
        written = base64.b64decode(signature, validate=True)
        if base64.b64encode(written).decode() != signature:
            return False  # base64 has more than one text for some bytes: one signature is to have one
        Ed25519PublicKey.from_public_bytes(public).verify(written, content)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
