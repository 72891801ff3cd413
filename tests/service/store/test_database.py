"""Connections: what happens to those that die, and what a transaction that only reads leaves behind."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import NoResultFound, OperationalError

from service.store import database as module
from service.store.database import Database
from service.store.migrate import upgrade
from service.store.system import look_up, system_session
from service.store.tables import Tenant
from tests.servers import Servers

TENANTS = select(Tenant.id)


@pytest.fixture
def postgres(servers: Servers) -> Iterator[Database]:
    url = servers.fresh_database(upgrade)
    database = Database(url)
    yield database
    database.close()
    servers.drop(url)


def cut(database: Database) -> None:
    """End every connection to the database but the one that says so, as a restart of the server does."""
    other = create_engine(database.url)
    with other.begin() as connection:
        ended = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    other.dispose()
    assert set(ended) == {(True,)}


def ask(database: Database, writes: bool) -> None:
    with database.session(uuid4(), writes=writes) as session:
        assert session.scalars(TENANTS).all() == []


@pytest.mark.stack
@pytest.mark.parametrize("writes", [True, False])
def test_a_connection_that_died_at_rest_is_replaced_before_it_is_used(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(module, "TRUSTED_SECONDS", 0.0)
    ask(postgres, writes)
    look_up(postgres, TENANTS, {})
    cut(postgres)

    ask(postgres, writes)
    assert look_up(postgres, TENANTS, {}) is None


@pytest.mark.stack
@pytest.mark.parametrize("writes", [True, False])
def test_one_that_died_as_it_was_used_fails_once(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(module, "TRUSTED_SECONDS", 3600.0)
    ask(postgres, writes)
    cut(postgres)

    with pytest.raises(OperationalError):
        ask(postgres, writes)
    ask(postgres, writes)


@pytest.mark.stack
def test_reading_is_one_transaction_that_leaves_nothing_open(postgres: Database) -> None:
    state = text("SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    with postgres.session(uuid4(), writes=False) as session:
        began = {session.connection().exec_driver_sql("SELECT now()").scalar_one() for _ in range(3)}
        assert len(began) == 1, "the time of the transaction, not of the statement"
    with pytest.raises(NoResultFound), system_session(postgres, writes=False) as session:
        session.get_one(Tenant, uuid4())
    other = create_engine(postgres.url)
    with other.begin() as connection:
        assert set(connection.scalars(state)) == {"idle"}
    other.dispose()
