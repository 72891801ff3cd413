"""Where does the next page start? An opaque, signed place in an order, good for one tenant and one set of filters."""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from uuid import UUID

from service.store.base import EPOCH
from service.store.secrets import secret_of

__all__ = ["BadCursor", "Cursors", "Place", "secret_of"]

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
