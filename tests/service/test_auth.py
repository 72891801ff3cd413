import hashlib
import logging
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, select

from service import auth
from service.auth import Caller, NotFound, NotGranted, Unauthenticated, authenticate
from service.clock import FixedClock
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import ApiKey, Event, Principal, Tenant
from tests.service.http.asking import NOBODYS


@pytest.fixture
def key(database: Database, clock: FixedClock, principal: UUID) -> str:
    """A key that may do everything, good for a year."""
    return auth.issue_key(database, principal, label="mine", now=clock.now())


def ask(database: Database, key: str, clock: FixedClock) -> Caller:
    return authenticate(database, f"Bearer {key}", clock.now())


def test_a_key_speaks_for_its_principal(
    database: Database, clock: FixedClock, key: str, principal: UUID, tenant: UUID
) -> None:
    caller = ask(database, key, clock)

    assert (caller.principal, caller.tenant, caller.name, caller.tenant_name) == (principal, tenant, "ada", "acme")
    assert caller.scopes == {"read", "submit", "admin"}
    assert not caller.trusted


def test_the_scheme_may_be_written_in_any_case(
    database: Database, clock: FixedClock, key: str, principal: UUID
) -> None:
    assert authenticate(database, f"bEARER {key}", clock.now()).principal == principal


def test_only_the_hash_of_the_secret_is_kept(database: Database, key: str) -> None:
    secret = key.rpartition("_")[2]
    with system_session(database) as session:
        row = session.scalars(select(ApiKey)).one()
        texts = [str(value) for value in vars(row).values()]
        assert row.secret_sha256 == hashlib.sha256(secret.encode()).digest()
    assert not any(secret in text for text in texts)


def test_keys_are_never_logged(
    database: Database, clock: FixedClock, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(database, key, clock)
        with pytest.raises(Unauthenticated) as refused:
            ask(database, key[:-1] + ("0" if key[-1] != "0" else "1"), clock)

    assert key.rpartition("_")[2][:-1] not in caplog.text + str(refused.value)


def test_a_wrong_secret_reads_like_an_unknown_prefix(database: Database, clock: FixedClock, key: str) -> None:
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    unknown = "lam_000000000000_" + "0" * 64
    said = set()
    for bad in (wrong, unknown):
        with pytest.raises(Unauthenticated) as refused:
            ask(database, bad, clock)
        said.add(str(refused.value))

    assert said == {"The key is not known here."}


def test_a_wrong_secret_of_a_revoked_key_is_told_no_more(database: Database, clock: FixedClock, key: str) -> None:
    with system_session(database) as session:
        auth.revoke_key(session, session.scalars(select(ApiKey)).one(), actor=NOBODYS, now=clock.now())

    with pytest.raises(Unauthenticated, match="not known"):
        ask(database, key[:-1] + ("0" if key[-1] != "0" else "1"), clock)
    with pytest.raises(Unauthenticated, match="revoked"):
        ask(database, key, clock)


def test_a_key_ends_on_its_day(database: Database, clock: FixedClock, principal: UUID) -> None:
    key = auth.issue_key(database, principal, days=30, now=clock.now())
    clock.advance(timedelta(days=30) - timedelta(microseconds=1))
    assert ask(database, key, clock).principal == principal

    clock.advance(timedelta(microseconds=1))
    with pytest.raises(Unauthenticated, match="expired on 2026-03-31"):
        ask(database, key, clock)


def test_a_key_without_days_does_not_end(database: Database, clock: FixedClock, principal: UUID) -> None:
    key = auth.issue_key(database, principal, days=None, now=clock.now())
    clock.advance(timedelta(days=100_000))

    assert ask(database, key, clock).principal == principal


def test_a_disabled_principals_keys_do_not_count(
    database: Database, clock: FixedClock, key: str, principal: UUID
) -> None:
    with system_session(database) as session:
        session.get_one(Principal, principal).disabled_at = clock.now()

    with pytest.raises(Unauthenticated, match="disabled"):
        ask(database, key, clock)


@pytest.mark.parametrize(
    ("held", "grants"),
    [
        (["read"], {"read"}),
        (["submit"], {"read", "submit"}),
        (["admin"], {"admin"}),
        (["admin", "submit"], {"read", "submit", "admin"}),
        (["root"], set()),
        ([], set()),
    ],
)
def test_submit_implies_read_and_nothing_else_implies_anything(held: list[str], grants: set[str]) -> None:
    assert auth.implied(held) == grants


def test_asking_takes_one_query_once_the_use_is_noted(database: Database, clock: FixedClock, key: str) -> None:
    ask(database, key, clock)
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))

    ask(database, key, clock)

    assert len([statement for statement in seen if "api_key" in statement]) == 1
    assert not [statement for statement in seen if statement.startswith(("UPDATE", "INSERT"))]


def test_a_busy_database_does_not_hold_up_a_caller(database: Database, clock: FixedClock, key: str) -> None:
    with system_session(database) as session:
        # Held by someone else: the row on Postgres, the whole file on SQLite.
        session.scalars(select(ApiKey).with_for_update()).one()

        assert ask(database, key, clock).name == "ada"

    with system_session(database) as session:
        assert session.scalars(select(ApiKey.last_used_at)).one() is None
        if not database.is_postgres:
            assert session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_a_key_grants_no_more_than_it_holds(
    database: Database, clock: FixedClock, tenant: UUID, principal: UUID
) -> None:
    reader = auth.issue_key(database, principal, scopes=["admin", "read"], now=clock.now())
    caller = ask(database, reader, clock)
    with database.session(tenant) as session, pytest.raises(NotGranted, match="lacks submit"):
        auth.grant_key(
            session,
            caller,
            principal=session.get_one(Principal, principal),
            label="more",
            scopes=["submit"],
            days=1,
            now=clock.now(),
        )


def test_the_operator_makes_what_is_missing_and_keeps_what_is_there(database: Database, clock: FixedClock) -> None:
    now = clock.now()
    tenants = {auth.create_tenant(database, "umbrella", now=now) for _ in range(2)}
    (tenant,) = tenants
    people = {auth.create_principal(database, tenant=tenant, name="eve", now=now) for _ in range(2)}
    (person,) = people

    with system_session(database) as session:
        assert session.get_one(Tenant, tenant).name == "umbrella"
        row = session.get_one(Principal, person)
        assert (row.name, row.kind, row.trusted, row.created_by) == ("eve", "person", False, person)


def test_trust_is_given_and_taken_with_an_event(database: Database, clock: FixedClock, principal: UUID) -> None:
    for trusted in (True, True, False):
        auth.set_trust(database, principal, trusted=trusted, now=clock.now())

    with system_session(database) as session:
        actions = session.scalars(select(Event.action).where(Event.subject_id == principal).order_by(Event.id)).all()
        assert actions == ["trust given", "trust taken"]
        assert session.get_one(Principal, principal).trusted is False


def test_finding_a_principal_again_does_not_take_its_trust(database: Database, clock: FixedClock, tenant: UUID) -> None:
    trusted = auth.create_principal(database, tenant=tenant, name="eve", trusted=True, now=clock.now())
    auth.create_principal(database, tenant=tenant, name="eve", now=clock.now())

    with system_session(database) as session:
        assert session.get_one(Principal, trusted).trusted is True


def test_what_does_not_exist_is_said_so(database: Database, clock: FixedClock) -> None:
    now = clock.now()
    with pytest.raises(NotFound, match="tenant"):
        auth.create_principal(database, tenant=NOBODYS, name="eve", now=now)
    with pytest.raises(NotFound, match="principal"):
        auth.issue_key(database, NOBODYS, now=now)
    with pytest.raises(NotFound, match="principal"):
        auth.set_trust(database, NOBODYS, trusted=True, now=now)
