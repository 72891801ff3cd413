"""Who may use a service? Its operator says so, straight in the database: the first key, and whom to trust.

Trust is no call of the API: below sandbox level `full` it decides whose models run, so it needs the machine itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from lamina.failure import Failure, Usage, needs

with needs("api", "this command"):
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from service.auth import create_principal, create_tenant, issue_key, set_trust
    from service.clock import Clock, SystemClock
    from service.store.database import Database
    from service.store.system import system_session
    from service.store.tables import ApiKey, Principal, Tenant

KEY_DAYS = 365


@dataclass(frozen=True, slots=True)
class FirstKey:
    """A key just made; its text is shown this once."""

    tenant: str
    principal: str
    text: str

    def __repr__(self) -> str:
        return f"FirstKey(tenant={self.tenant!r}, principal={self.principal!r}, text=...)"


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The database at an SQLAlchemy URL. Raises `Failure` when it cannot be used, or was not migrated."""
    database = Database(url)
    try:
        yield database
    except SQLAlchemyError as error:
        where = database.engine.url.render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        raise Failure(
            f"the database {where} cannot be used: {cause}. Is it running, and was `lamina migrate` run?"
        ) from error
    finally:
        database.close()


def bootstrap(
    database: Database, *, tenant: str, principal: str, another: bool = False, clock: Clock | None = None
) -> FirstKey | None:
    """Make tenant, principal and a key with every scope; None when the principal has a key that counts already.

    What exists is kept as it is, trust included.
    """
    now = (clock or SystemClock()).now()
    owner = create_tenant(database, tenant, now=now)
    found = _find(database, owner, principal)
    if found is None:
        found = create_principal(database, tenant=owner, name=principal, kind="person", now=now)
    counts = (
        ApiKey.principal_id == found,
        ApiKey.revoked_at.is_(None),
        (ApiKey.expires_at.is_(None)) | (ApiKey.expires_at > now),
    )
    with system_session(database) as session:
        if not another and session.scalar(select(ApiKey.id).where(*counts).limit(1)) is not None:
            return None
    return FirstKey(tenant, principal, issue_key(database, found, label="first key", days=KEY_DAYS, now=now))


def trust(database: Database, *, tenant: str, principal: str, trusted: bool = True, clock: Clock | None = None) -> None:
    """Trust a principal, or no longer. Raises `Usage` when there is none of that name."""
    with system_session(database) as session:
        owner = session.scalar(select(Tenant.id).where(Tenant.name == tenant))
    if owner is None:
        raise Usage(f"there is no tenant called {tenant!r}")
    found = _find(database, owner, principal)
    if found is None:
        raise Usage(f"tenant {tenant!r} has no principal called {principal!r}; `lamina principal list` shows them")
    set_trust(database, found, trusted=trusted, now=(clock or SystemClock()).now())


def _find(database: Database, tenant: UUID, principal: str) -> UUID | None:
    with system_session(database) as session:
        return session.scalar(select(Principal.id).where(Principal.tenant == tenant, Principal.name == principal))
