"""Which bytes does a tenant hold, and may it hold more? One guarded UPDATE counts, so no cap can be raced past."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.blobs import Stored
from service.store.tables import Blob, Tenant


class OverQuota(RuntimeError):
    """The tenant has as much as it may; nothing was added."""


class NotHeld(LookupError):
    """The tenant does not hold these bytes, or has deleted them."""


def hold(session: Session, *, tenant: UUID, principal: UUID, stored: Stored, most_bytes: int, now: datetime) -> Blob:
    """Count stored bytes as the tenant's; bytes it already holds cost nothing. Raises OverQuota beyond `most_bytes`.

    The caller's transaction must end when OverQuota is raised: the row is not taken back here.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row: dict[str, Any] = {
        "tenant": tenant,
        "digest": stored.digest,
        "size": stored.size,
        "references": 0,
        "deleted_at": None,
        "created_by": principal,
        "created_at": now,
    }
    statement = insert(Blob).on_conflict_do_update(
        index_elements=["tenant", "digest"],
        set_={"deleted_at": None, "created_by": principal, "created_at": now},
        where=Blob.deleted_at.is_not(None),
    )
    added = session.scalars(statement.returning(Blob.digest), [row]).one_or_none()
    if added is not None:
        _count(session, tenant, stored.size, most_bytes)
    held = session.get(Blob, (tenant, stored.digest), populate_existing=True)
    assert held is not None, "a row just written or found is there"
    return held


def refer(session: Session, tenant: UUID, digest: str, by: int = 1) -> None:
    """Count a use of held bytes (+1), or its end (-1). Raises NotHeld when they are not there to be used."""
    found = session.scalar(
        update(Blob)
        .where(Blob.tenant == tenant, Blob.digest == digest, Blob.deleted_at.is_(None), Blob.references + by >= 0)
        .values(references=Blob.references + by)
        .returning(Blob.digest)
        .execution_options(synchronize_session=False)
    )
    if found is None:
        raise NotHeld(f"{digest} is not held; upload it first")


def tombstone(session: Session, tenant: UUID, digest: str, *, now: datetime, uses: int = 0) -> bool:
    """Give bytes up: the row stays with the time of deletion, the size is given back. False if gone or in use.

    `uses`: how many uses the caller knows of and gives up with them; with one more they stay. The bytes themselves go
    with `BlobStore.delete`, once this is committed.
    """
    size = session.scalar(
        update(Blob)
        .where(Blob.tenant == tenant, Blob.digest == digest, Blob.deleted_at.is_(None), Blob.references == uses)
        .values(deleted_at=now)
        .returning(Blob.size)
        .execution_options(synchronize_session=False)
    )
    if size is None:
        return False
    _count(session, tenant, -size, None)
    return True


def _count(session: Session, tenant: UUID, size: int, most_bytes: int | None) -> None:
    statement = update(Tenant).where(Tenant.id == tenant).values(stored_bytes=Tenant.stored_bytes + size)
    if most_bytes is not None:
        statement = statement.where(Tenant.stored_bytes + size <= most_bytes)
    counted = session.scalar(statement.returning(Tenant.id).execution_options(synchronize_session=False))
    if counted is None:
        raise OverQuota(
            f"{size} more bytes are over the {most_bytes} this tenant may store; delete some, or ask for more"
        )
