"""Which report may this link open, and until when? What it says is in it, under a signature only this service makes."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.contracts.compliance_reports import LinkView, ReportForm
from service.store.base import EPOCH

MAC_BYTES = 32
PATH = "/report-views"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a link that counts may read."""

    tenant: UUID
    report: UUID
    form: ReportForm
    expires_at: datetime


class Links:
    """Signs and checks links, with a key of its own that is derived from the service's secret."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"lamina link\0" + secret.encode()).digest()

    def sign(self, payload: bytes) -> bytes:
        """The MAC of a link's words."""
        return hmac.digest(self._key, payload, "sha256")


def written(links: Links, *, tenant: UUID, report: UUID, form: ReportForm, hours: int, now: datetime) -> LinkView:
    """A link to one form of a report for so many hours, to the second."""
    seconds = (now + timedelta(hours=hours) - EPOCH) // timedelta(seconds=1)
    payload = json.dumps([tenant.hex, report.hex, form, seconds], separators=(",", ":")).encode()
    token = base64.urlsafe_b64encode(links.sign(payload) + payload).decode().rstrip("=")
    return LinkView(url=f"{PATH}?token={token}", expires_at=EPOCH + timedelta(seconds=seconds))


def opened(links: Links, token: str, *, now: datetime) -> Opened | None:
    """What a link may read; None when it was not made here, was changed, or has expired."""
    try:
        content = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    mac, payload = content[:MAC_BYTES], content[MAC_BYTES:]
    if not hmac.compare_digest(mac, links.sign(payload)):
        return None
    tenant, report, form, seconds = json.loads(payload)
    expires_at = EPOCH + timedelta(seconds=seconds)
    return (
        Opened(tenant=UUID(tenant), report=UUID(report), form=form, expires_at=expires_at) if now < expires_at else None
    )
