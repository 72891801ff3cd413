"""How do two writers of different rows take turns? By one lock for a tenant and a matter, until the transaction ends.

SQLite has one writer at a time anyway. On Postgres the row of the tenant would not do: who stores bytes locks theirs
first and the tenant's then, and the two orders would lock each other out.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

LEGAL_HOLDS = "legal holds"
"""Placing and lifting them, and giving up bytes that none forbids to."""


def take_turns(session: Session, tenant: UUID, matter: str) -> None:
    """Wait for whoever of the tenant has the matter in hand; what they wrote is seen by statements from here on."""
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:matter, 0))")
        session.connection().execute(lock, {"matter": f"{matter} {tenant}"})
