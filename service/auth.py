"""Who asks? A key speaks for a principal of a tenant; the key's secret is known to its holder alone.

A key reads `lam_<prefix>_<secret>`: the prefix finds the row, and the SHA-256 of the secret proves it. The secret is
256 random bits, so a plain hash is enough: there is nothing to guess that a slow one would protect.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.contracts.api import Scope
from service.store.base import new_id
from service.store.database import Database
from service.store.system import look_up, system_session
from service.store.tables import ApiKey, Event, Principal, Tenant

KEY = re.compile(r"lam_([0-9a-f]{12})_([0-9a-f]{64})")
USE_NOTED_EVERY = timedelta(minutes=1)
IMPLIED: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"admin"}),
}
SCOPES: tuple[Scope, ...] = get_args(Scope)
log = logging.getLogger("lamina.auth")
# Built once: every request asks it.
_BY_PREFIX = (
    select(
        ApiKey.id,
        ApiKey.tenant,
        ApiKey.secret_sha256,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
        Principal.id.label("principal"),
        Principal.name,
        Principal.trusted,
        Principal.disabled_at,
        Tenant.name.label("tenant_name"),
    )
    .join(Principal, Principal.id == ApiKey.principal_id)
    .join(Tenant, Tenant.id == ApiKey.tenant)
    .where(ApiKey.prefix == bindparam("prefix"))
)


class Unauthenticated(Exception):
    """No key, or none that counts; the message may be shown to the asker."""


class NotGranted(Exception):
    """A key may not be made with these scopes, or for this principal, by this caller."""


class NotFound(LookupError):
    """There is no such tenant, principal or key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what the key at hand lets them do; `scopes` holds what the key's scopes imply as well."""

    principal: UUID
    name: str
    tenant: UUID
    tenant_name: str
    trusted: bool
    scopes: frozenset[Scope]
    key: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key just made. `secret` is the whole key as its holder sends it; it is kept nowhere."""

    row: ApiKey
    secret: str


def implied(scopes: Iterable[str]) -> frozenset[Scope]:
    """Every scope that these grant: submit grants read, admin grants only itself; what is unknown grants nothing."""
    return frozenset(got for scope in SCOPES if scope in set(scopes) for got in IMPLIED[scope])


def authenticate(database: Database, header: str | None, now: datetime) -> Caller:
    """The caller an Authorization header speaks for, by one indexed query. Raises Unauthenticated.

    Until the secret is proved every refusal reads the same: it must not tell which prefixes exist.
    """
    scheme, _, credentials = (header or "").partition(" ")
    if not header:
        raise Unauthenticated("This needs a key, and none was given.")
    given = KEY.fullmatch(credentials.strip()) if scheme.lower() == "bearer" else None
    if given is None:
        raise Unauthenticated("The Authorization header is not of the form: Bearer lam_<prefix>_<secret>.")
    row = look_up(database, _BY_PREFIX, {"prefix": given[1]})
    proof = hashlib.sha256(given[2].encode()).digest()
    if not hmac.compare_digest(proof, row.secret_sha256 if row else bytes(32)) or row is None:
        raise Unauthenticated("The key is not known here.")
    if row.revoked_at is not None:
        raise Unauthenticated("The key has been revoked.")
    if row.expires_at is not None and row.expires_at <= now:
        raise Unauthenticated(f"The key expired on {row.expires_at:%Y-%m-%d}.")
    if row.disabled_at is not None:
        raise Unauthenticated("The key's principal is disabled.")
    if row.last_used_at is None or row.last_used_at + USE_NOTED_EVERY <= now:
        _note_use(database, row.id, now)
    return Caller(
        principal=row.principal,
        name=row.name,
        tenant=row.tenant,
        tenant_name=row.tenant_name,
        trusted=row.trusted,
        scopes=implied(row.scopes),
        key=row.id,
    )


def _note_use(database: Database, key: UUID, now: datetime) -> None:
    """Remember, to the minute, when a key was last used; a busy database is not worth failing or waiting for."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - USE_NOTED_EVERY)
    patience = "SET LOCAL lock_timeout = '50ms'" if database.is_postgres else "PRAGMA busy_timeout=50"
    try:
        with system_session(database, writes=False) as session:
            connection = session.connection()
            usual = None if database.is_postgres else connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            session.execute(text(patience))
            try:
                session.execute(update(ApiKey).where(ApiKey.id == key, stale).values(last_used_at=now))
            finally:
                if usual is not None:
                    connection.exec_driver_sql(f"PRAGMA busy_timeout={usual:d}")
    except SQLAlchemyError as error:
        log.info("the last use of key %s was not noted: %s", key, type(error).__name__)


def make_key(
    session: Session,
    *,
    principal: Principal,
    label: str,
    scopes: Iterable[Scope],
    days: int | None,
    created_by: UUID,
    now: datetime,
) -> IssuedKey:
    """A new key of a principal, good for `days` (None: without end). The session is the caller's to commit."""
    prefix, secret = secrets.token_hex(6), secrets.token_hex(32)
    row = ApiKey(
        id=new_id(),
        tenant=principal.tenant,
        created_by=created_by,
        created_at=now,
        principal_id=principal.id,
        prefix=prefix,
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        label=label,
        scopes=[scope for scope in SCOPES if scope in set(scopes)],
        expires_at=None if days is None else now + timedelta(days=days),
    )
    session.add(row)
    _record(
        session, row.tenant, created_by, now, subject=("api_key", row.id), action="key made", detail={"prefix": prefix}
    )
    return IssuedKey(row=row, secret=f"lam_{prefix}_{secret}")


def grant_key(
    session: Session,
    caller: Caller,
    *,
    principal: Principal,
    label: str,
    scopes: Iterable[Scope],
    days: int,
    now: datetime,
) -> IssuedKey:
    """A key made by another key: never more than the maker holds, neither in scope nor in trust. Raises NotGranted."""
    wanted = tuple(scopes)
    if beyond := [scope for scope in SCOPES if scope in implied(wanted) - caller.scopes]:
        raise NotGranted(f"A key can only make keys with scopes it holds itself; this one lacks {', '.join(beyond)}.")
    if principal.trusted and not caller.trusted:
        raise NotGranted("Only a trusted principal can make keys for a trusted one: trust is the operator's to give.")
    return make_key(
        session, principal=principal, label=label, scopes=wanted, days=days, created_by=caller.principal, now=now
    )


def revoke_key(session: Session, key: ApiKey, *, actor: UUID, now: datetime) -> None:
    """End a key; ending it again changes nothing."""
    if key.revoked_at is None:
        key.revoked_at = now
        _record(session, key.tenant, actor, now, subject=("api_key", key.id), action="key revoked")


def make_principal(
    session: Session, *, tenant: UUID, name: str, kind: Literal["person", "service"], created_by: UUID, now: datetime
) -> Principal:
    """A new principal of a tenant, not trusted. The session is the caller's to commit."""
    row = Principal(
        id=new_id(), tenant=tenant, created_by=created_by, created_at=now, kind=kind, name=name, trusted=False
    )
    session.add(row)
    _record(session, tenant, created_by, now, subject=("principal", row.id), action="principal made")
    return row


def create_tenant(database: Database, name: str, *, now: datetime) -> UUID:
    """For the operator's command line: a tenant, or the one that already has this name."""
    with system_session(database) as session:
        found = session.scalar(select(Tenant.id).where(Tenant.name == name))
        if found is not None:
            return found
        row = Tenant(id=new_id(), name=name, stored_bytes=0, created_at=now)
        session.add(row)
        return row.id


def create_principal(
    database: Database,
    *,
    tenant: UUID,
    name: str,
    kind: Literal["person", "service"] = "person",
    trusted: bool = False,
    now: datetime,
) -> UUID:
    """For the operator's command line: a principal, or the one of this name; `trusted` gives trust, and never takes it.

    Its maker is itself: the operator is no row. Raises NotFound when there is no such tenant.
    """
    with system_session(database) as session:
        if session.get(Tenant, tenant) is None:
            raise NotFound(f"there is no tenant {tenant}")
        row = session.scalar(select(Principal).where(Principal.tenant == tenant, Principal.name == name))
        if row is None:
            row = make_principal(session, tenant=tenant, name=name, kind=kind, created_by=UUID(int=0), now=now)
            row.created_by = row.id
        if trusted:
            _trust(session, row, trusted=True, now=now)
        return row.id


def issue_key(
    database: Database,
    principal: UUID,
    *,
    label: str = "key",
    scopes: Iterable[Scope] = SCOPES,
    days: int | None = 365,
    now: datetime,
) -> str:
    """For the operator's command line: the whole text of a new key, shown this once. Raises NotFound."""
    with system_session(database) as session:
        row = _principal(session, principal)
        made = make_key(session, principal=row, label=label, scopes=scopes, days=days, created_by=row.id, now=now)
        return made.secret


def set_trust(database: Database, principal: UUID, *, trusted: bool, now: datetime) -> None:
    """For the operator's command line alone: whether a principal's models may run below sandbox level full."""
    with system_session(database) as session:
        _trust(session, _principal(session, principal), trusted=trusted, now=now)


def _principal(session: Session, principal: UUID) -> Principal:
    row = session.get(Principal, principal)
    if row is None:
        raise NotFound(f"there is no principal {principal}")
    return row


def _trust(session: Session, row: Principal, *, trusted: bool, now: datetime) -> None:
    if row.trusted != trusted:
        row.trusted = trusted
        action = "trust given" if trusted else "trust taken"
        _record(session, row.tenant, row.id, now, subject=("principal", row.id), action=action)


def _record(
    session: Session,
    tenant: UUID,
    actor: UUID,
    now: datetime,
    *,
    subject: tuple[str, UUID],
    action: str,
    detail: dict[str, str] | None = None,
) -> None:
    session.add(
        Event(
            tenant=tenant,
            created_by=actor,
            created_at=now,
            subject_type=subject[0],
            subject_id=subject[1],
            action=action,
            detail=detail or {},
        )
    )
