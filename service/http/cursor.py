"""Where does the next page start? An opaque, signed place in an order, good for one tenant and one set of filters."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from service.settings import Settings
from service.store.base import EPOCH
from service.store.secrets import secrets_folder

Place = tuple[datetime, UUID]
MAC_BYTES = 16


class BadCursor(ValueError):
    """A cursor that was not made here, or for another tenant, or for other filters."""


class Cursors:
    """Writes and reads cursors. What a cursor is good for is under its signature, not in it: it tells nothing."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(b"lamina cursor\0" + key.encode()).digest()

    def write(self, place: Place, *, tenant: UUID, filters: str) -> str:
        """The cursor of the page after `place`."""
        microseconds = (place[0] - EPOCH) // timedelta(microseconds=1)
        payload = json.dumps([microseconds, place[1].hex], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(payload, tenant, filters) + payload).decode().rstrip("=")

    def read(self, text: str, *, tenant: UUID, filters: str) -> Place:
        """The place a cursor stands for. Raises BadCursor."""
        try:
            content = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (binascii.Error, UnicodeEncodeError) as error:
            raise BadCursor("is not a cursor") from error
        signature, payload = content[:MAC_BYTES], content[MAC_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload, tenant, filters)):
            raise BadCursor("is not a cursor of this list with these filters; start again without it")
        microseconds, number = json.loads(payload)
        return EPOCH + timedelta(microseconds=microseconds), UUID(hex=number)

    def _sign(self, payload: bytes, tenant: UUID, filters: str) -> bytes:
        message = b"\0".join((tenant.bytes, hashlib.sha256(filters.encode()).digest(), payload))
        return hmac.digest(self._key, message, "sha256")[:MAC_BYTES]


def secret_of(settings: Settings) -> str:
    """The secret that signs cursors: the setting, or one made once and kept beside the data, readable by us alone.

    Several API processes on one database need the same secret: on Postgres set LAMINA_CURSOR_KEY.
    """
    if settings.cursor_key:
        return settings.cursor_key
    folder = secrets_folder(settings)
    if folder is None:
        return secrets.token_hex(32)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "cursor_key"
    made = folder / f"cursor_key.{secrets.token_hex(8)}"
    if not kept.exists():
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        try:
            kept.hardlink_to(made)  # atomic: of several processes starting together, one wins and all read it
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return kept.read_text().strip()
