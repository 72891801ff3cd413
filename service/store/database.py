"""How does one talk to the database? A request through its tenant's session, and nothing wider.

Two walls keep tenants apart: every statement of `session(tenant)` is filtered here by SQLAlchemy, on both databases,
and on Postgres the transaction also sets `app.tenant`, which row-level security policies read.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Executable, Select, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, sessionmaker, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption

from service.store.base import Owned

TRUSTED_SECONDS = 1.0
"""A connection that was used this lately is taken to be alive still."""
_TENANTS_KEPT = 64
_FILTERED: WeakKeyDictionary[Executable, dict[UUID, Executable]] = WeakKeyDictionary()


class WrongTenant(RuntimeError):
    """A row of one tenant was about to be written in another's session: a bug, stopped before it is one."""


class Unfiltered(RuntimeError):
    """A statement that the tenant filter cannot reach was about to run in a tenant's session."""


class TenantSession(Session):
    """A session that sees and writes one tenant's rows."""


@event.listens_for(TenantSession, "do_orm_execute")
def _only_this_tenant(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        raise Unfiltered("a tenant's session takes statements about mapped classes only: it cannot filter others")
    if state.is_insert:
        _inserts_stay_home(state)
    elif state.is_select or state.is_update or state.is_delete:
        state.statement = _of_tenant(state.statement, state.session.info["tenant"])


def _of_tenant(statement: Executable, tenant: UUID) -> Executable:
    """The statement with the filter that leaves a tenant's rows.

    Kept as long as the statement itself is: for one that is built once, SQLAlchemy need not find out each time anew
    that it has compiled it before, which takes as long as to ask a small question.
    """
    kept = _FILTERED.setdefault(statement, {})
    filtered = kept.get(tenant)
    if filtered is None:
        if len(kept) >= _TENANTS_KEPT:
            kept.clear()
        filtered = kept[tenant] = statement.options(_rows_of(tenant))
    return filtered


@lru_cache(maxsize=1024)
def _rows_of(tenant: UUID) -> ExecutableOption:
    return with_loader_criteria(Owned, lambda table: table.tenant == tenant, include_aliases=True)


def _inserts_stay_home(state: ORMExecuteState) -> None:
    given: Any = state.parameters or []
    inserted = [given] if isinstance(given, dict) else given
    tenant = state.session.info["tenant"]
    owned = state.bind_mapper is not None and issubclass(state.bind_mapper.class_, Owned)
    if owned and (not inserted or any(row.get("tenant") != tenant for row in inserted)):
        raise WrongTenant(f"an INSERT in a session of {tenant} must give that tenant with every row, as parameters")


@event.listens_for(TenantSession, "after_begin")
def _tell_postgres(session: Session, _transaction: Any, connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        begin_seeing(connection, session.info["tenant"])


@event.listens_for(TenantSession, "before_flush")
def _writes_stay_home(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Owned) and row.tenant != session.info["tenant"]:
            raise WrongTenant(f"{type(row).__name__} of tenant {row.tenant} in a session of {session.info['tenant']}")


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN below, not the driver's lazy one
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def open_engine(url: str) -> Engine:
    """An engine for SQLite (WAL, every commit durable) or Postgres."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False})
        event.listen(engine, "connect", _sqlite_pragmas)
        event.listen(engine, "begin", _begin)
        return engine
    engine = create_engine(url, pool_size=8, max_overflow=8)
    event.listen(engine, "connect", _plan_each_time)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", partial(_ask_after_rest, engine))
    return engine


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _ask_after_rest(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """Find out whether a connection is alive before it is used, as `pool_pre_ping` does for each and every use."""
    since = record.info.get("rests_since")
    if since is None or time.monotonic() - since < TRUSTED_SECONDS:
        return
    try:
        alive = engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        alive = False
    if not alive:
        raise InvalidatePoolError


def _plan_each_time(connection: Any, _record: Any) -> None:
    # A plan that fits every value takes half as long again to walk through a model's lines as one for this model.
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def begin_seeing(connection: Connection, tenant: UUID | None) -> None:
    """Say in a Postgres transaction that begins whose rows it sees; None: everyone's.

    On a connection that only reads, the driver has begun nothing yet, and one round trip does both.
    """
    setting, value = ("app.system", "on") if tenant is None else ("app.tenant", tenant.hex)
    begin = "" if connection.get_execution_options().get("writes", True) else "BEGIN; "
    driver: Any = connection.connection.driver_connection
    driver.execute(f"{begin}SELECT set_config('{setting}', '{value}', true)", prepare=False)


def _begin(connection: Any) -> None:
    # A reader that later writes would fail with "database is locked" at once; writers queue from the start instead.
    mode = "IMMEDIATE" if connection.get_execution_options().get("writes", True) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


class Database:
    """One engine and the sessions of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        # On SQLite these transactions do not queue with the writers; on Postgres `begin_seeing` begins them.
        by_hand = {"isolation_level": "AUTOCOMMIT"} if self.is_postgres else {}
        self.reads = self.engine.execution_options(writes=False, **by_hand)
        self._tenant_sessions = sessionmaker(self.engine, class_=TenantSession, expire_on_commit=False)

    @property
    def is_postgres(self) -> bool:
        """Whether row-level security can stand behind the filter."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def session(self, tenant: UUID, *, writes: bool = True) -> Iterator[TenantSession]:
        """One transaction that sees `tenant`'s rows only; committed at the end, rolled back on an exception."""
        bind = self.engine if writes else self.reads
        with self._tenant_sessions(bind=bind, info={"tenant": tenant}) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def rows(session: Session, statement: Select[Any]) -> list[Any]:
    """The rows of a statement that selects one entity, each once."""
    return list(session.scalars(statement).unique())
