"""Can a tenant's session see, change or write another tenant's rows? In no way that we could think of."""

import gc
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, delete, exists, func, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import aliased, selectinload

from service.clock import FixedClock
from service.contracts.base import digest_of
from service.store import database as module
from service.store.base import Base, new_id
from service.store.database import Database, TenantSession, Unfiltered, WrongTenant
from service.store.migrate import upgrade
from service.store.system import look_up, system_session
from service.store.tables import Analysis, Audit, Blob, Model, Principal, Work
from tests.conftest import MakeTenant
from tests.servers import Servers

DIGEST = digest_of(b"")


class Two:
    """Two tenants with the same things: a principal, a blob, a model, an audit with one analysis."""

    def __init__(self, database: Database, clock: FixedClock, tenants: tuple[UUID, UUID]) -> None:
        self.database, self.clock = database, clock
        self.own, self.other = tenants
        self.rows = {tenant: self._fill(tenant) for tenant in tenants}

    def _fill(self, tenant: UUID) -> dict[type[Base], Any]:
        owned = {"tenant": tenant, "created_by": tenant, "created_at": self.clock.now()}
        model, audit, analysis, work = new_id(), new_id(), new_id(), new_id()
        made: dict[type[Base], Any] = {
            Principal: Principal(id=new_id(), kind="person", name="ada", **owned),
            Blob: Blob(digest=DIGEST, size=0, **owned),
            Work: Work(id=work, type="analysis", subject_id=analysis, queue="cpu", max_attempts=3, **owned),
            Model: Model(id=model, name="net", version="1", source_digest=DIGEST, facts={}, **owned),
            Audit: Audit(id=audit, title="audit", model_id=model, remaining=1, **owned),
            Analysis: Analysis(
                id=analysis,
                audit_id=audit,
                position=0,
                kind="k",
                kind_version=1,
                queue="cpu",
                parameters={},
                parameters_digest=DIGEST,
                work_id=work,
                **owned,
            ),
        }
        with system_session(self.database) as session:
            for row in made.values():
                session.add(row)
                session.flush()
        return made


@pytest.fixture
def two(database: Database, clock: FixedClock, make_tenant: MakeTenant) -> Two:
    return Two(database, clock, (make_tenant("own"), make_tenant("other")))


def read_by_id(session: TenantSession, kind: Any, other: Any) -> Any:
    return session.get(kind, (other.tenant, other.digest) if kind is Blob else other.id)


def read_all(session: TenantSession, kind: Any, other: Any) -> Any:
    return [row for row in session.scalars(select(kind)).unique() if row.tenant == other.tenant]


def read_alias(session: TenantSession, kind: Any, other: Any) -> Any:
    alias = aliased(kind)
    return session.scalars(select(alias).where(alias.tenant == other.tenant)).unique().all()


def read_column(session: TenantSession, kind: Any, other: Any) -> Any:
    return session.scalars(select(kind.created_by).where(kind.tenant == other.tenant)).all()


def count(session: TenantSession, kind: Any, other: Any) -> Any:
    return session.scalar(select(func.count()).select_from(kind).where(kind.tenant == other.tenant))


def ask_whether(session: TenantSession, kind: Any, other: Any) -> Any:
    alias = aliased(kind)
    return session.scalars(select(kind.tenant).where(exists().where(alias.tenant == other.tenant))).all()


def read_through_a_subquery(session: TenantSession, kind: Any, other: Any) -> Any:
    inner = select(kind.created_by).where(kind.tenant == other.tenant).subquery()
    return session.execute(select(inner)).all()


def read_through_a_union(session: TenantSession, kind: Any, other: Any) -> Any:
    alias = aliased(kind)
    both = select(kind.tenant).union_all(select(alias.tenant))
    return [tenant for tenant in session.scalars(both) if tenant == other.tenant]


def read_through_a_join(session: TenantSession, kind: Any, other: Any) -> Any:
    alias = aliased(kind)
    return (
        session.execute(select(alias.tenant).join(kind, alias.created_at == kind.created_at))
        .all()
        .count((other.tenant,))
    )


def update_all(session: TenantSession, kind: Any, other: Any) -> Any:
    changed = session.execute(
        update(kind).values(created_at=kind.created_at).returning(kind.tenant),
        execution_options={"synchronize_session": False},
    ).all()
    return [row for row in changed if row.tenant == other.tenant]


def update_another(session: TenantSession, kind: Any, other: Any) -> Any:
    return session.execute(update(kind).where(kind.tenant == other.tenant).values(created_by=new_id())).rowcount


def delete_another(session: TenantSession, kind: Any, other: Any) -> Any:
    return session.execute(delete(kind).where(kind.tenant == other.tenant)).rowcount


WAYS = [
    read_by_id,
    read_all,
    read_alias,
    read_column,
    count,
    ask_whether,
    read_through_a_subquery,
    read_through_a_union,
    read_through_a_join,
    update_all,
    update_another,
    delete_another,
]


def test_another_tenants_rows_are_not_reached_in_any_of_these_ways(two: Two) -> None:
    for way in WAYS:
        for kind, other in two.rows[two.other].items():
            with two.database.session(two.own) as session:
                assert not way(session, kind, other), f"{way.__name__} {kind.__name__}"
                session.rollback()
        with two.database.session(two.own) as session:
            at_home = way(session, Analysis, two.rows[two.own][Analysis])
            assert at_home, f"{way.__name__} must find something at home, or it shows nothing"
            session.rollback()


def test_a_relationship_does_not_lead_out(two: Two) -> None:
    with system_session(two.database) as session:
        stranger = two.rows[two.other][Model]
        session.execute(update(Audit).where(Audit.tenant == two.own).values(model_id=stranger.id))
        session.execute(update(Analysis).where(Analysis.tenant == two.other).values(position=7))
        own = session.scalars(select(Audit).where(Audit.tenant == two.own)).unique().one()
        session.execute(update(Analysis).where(Analysis.tenant == two.other).values(audit_id=own.id))
    with two.database.session(two.own) as session:
        audit = session.scalars(select(Audit).options(selectinload(Audit.analyses))).unique().one()
        assert audit.model is None
        assert [analysis.tenant for analysis in audit.analyses] == [two.own]
    with two.database.session(two.own) as session:  # loaded when touched
        audit = session.scalars(select(Audit)).unique().one()
        assert [analysis.tenant for analysis in audit.analyses] == [two.own]


def test_a_row_for_another_tenant_is_not_written(two: Two) -> None:
    owned = {"tenant": two.other, "created_by": two.own, "created_at": two.clock.now()}
    row = {"id": new_id(), "kind": "person", "name": "mallory", **owned}
    with pytest.raises(WrongTenant), two.database.session(two.own) as session:
        session.add(Principal(**row))
    with pytest.raises(WrongTenant), two.database.session(two.own) as session:
        session.execute(insert(Principal), [row])
    with pytest.raises(WrongTenant), two.database.session(two.own) as session:
        session.execute(insert(Principal).values(**row))
    with pytest.raises(WrongTenant), two.database.session(two.own) as session:
        session.scalars(select(Principal)).one().tenant = two.other
    with system_session(two.database) as session:
        assert session.scalars(select(Principal.name).where(Principal.name == "mallory")).all() == []
        assert session.scalars(select(Principal.tenant).where(Principal.tenant == two.other)).all() == [two.other]


def test_a_row_for_the_own_tenant_is_written(two: Two) -> None:
    owned = {"tenant": two.own, "created_by": two.own, "created_at": two.clock.now()}
    with two.database.session(two.own) as session:
        session.execute(insert(Principal), [{"id": new_id(), "kind": "person", "name": "grace", **owned}])
        assert set(session.scalars(select(Principal.name))) == {"ada", "grace"}


def test_statements_the_filter_cannot_reach_are_refused(two: Two) -> None:
    for statement in (text("SELECT * FROM principal"), select(Base.metadata.tables["principal"])):
        with pytest.raises(Unfiltered), two.database.session(two.own) as session:
            session.execute(statement)


def test_a_statement_built_once_shows_each_tenant_its_own(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TENANTS_KEPT", 2)
    everyone = select(Principal.tenant)
    for tenant in (two.own, two.other, new_id(), two.other, two.own, two.own):
        with two.database.session(tenant) as session:
            assert set(session.scalars(everyone)) <= {tenant}
            assert set(session.scalars(everyone)) == {tenant} & {two.own, two.other}
    assert len(module._FILTERED[everyone]) <= 2


def test_a_statement_that_is_built_each_time_leaves_nothing_behind(two: Two) -> None:
    def ask(name: str) -> None:
        with two.database.session(two.own) as session:
            session.scalars(select(Principal).where(Principal.name == name)).all()

    ask("the first")
    gc.collect()
    kept = len(module._FILTERED)
    for number in range(20):
        ask(str(number))
    gc.collect()
    assert len(module._FILTERED) <= kept


@pytest.mark.stack
def test_raw_sql_of_an_unprivileged_role_meets_row_level_security(servers: Servers, clock: FixedClock) -> None:
    url = servers.fresh_database(upgrade)
    database = Database(url)
    role = f"lamina_app_{new_id().hex}"
    try:
        tenants = (new_id(), new_id())
        two = Two(database, clock, tenants)
        with database.engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} NOLOGIN NOBYPASSRLS"))
            connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"))
        with database.engine.connect() as connection:
            for table in ("principal", "blob", "model", "audit", "analysis", "work"):
                with connection.begin():
                    connection.execute(text(f"SET LOCAL ROLE {role}"))
                    ask = text(f"SELECT tenant FROM {table}")
                    assert connection.execute(ask).all() == [], "no tenant said, no row seen"
                    connection.execute(text("SELECT set_config('app.tenant', :t, true)"), {"t": str(two.own)})
                    assert connection.scalars(ask).all() == [two.own]
                    theirs = {"t": two.other}
                    assert (
                        connection.execute(
                            text(f"UPDATE {table} SET created_at = 0 WHERE tenant = :t"), theirs
                        ).rowcount
                        == 0
                    )
                    assert connection.execute(text(f"DELETE FROM {table} WHERE tenant = :t"), theirs).rowcount == 0
                    connection.execute(text("SELECT set_config('app.system', 'on', true)"))
                    assert set(connection.scalars(ask)) == set(tenants)
        with database.engine.begin() as connection:
            connection.execute(text(f"SET LOCAL ROLE {role}"))
            connection.execute(text("SELECT set_config('app.tenant', :t, true)"), {"t": str(two.own)})
            write = (
                'INSERT INTO blob (tenant, digest, size, "references", created_by, created_at)'
                " VALUES (:t, 'sha256:1', 1, 0, :t, 0)"
            )
            with pytest.raises(ProgrammingError, match="row-level security"), connection.begin_nested():
                connection.execute(text(write), {"t": two.other})
    finally:
        with database.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
        database.close()
        servers.drop(url)


@pytest.mark.stack
def test_the_service_works_as_a_role_that_row_level_security_binds(servers: Servers, clock: FixedClock) -> None:
    url = servers.fresh_database(upgrade)
    owner = create_engine(url)
    role = f"lamina_bound_{new_id().hex}"
    bound = Database(
        make_url(url).update_query_dict({"options": f"-c role={role}"}).render_as_string(hide_password=False)
    )
    try:
        with owner.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} NOLOGIN NOBYPASSRLS"))
            connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
            connection.execute(text(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"))
        two = Two(bound, clock, (new_id(), new_id()))
        with bound.session(two.own) as session:
            assert session.scalars(select(Principal.tenant)).all() == [two.own]
        with system_session(bound) as session:
            assert set(session.scalars(select(Principal.tenant))) == {two.own, two.other}
        assert look_up(bound, select(Principal.tenant).where(Principal.tenant == two.other), {}) == (two.other,)
        # By SQL that no filter of ours reaches, where one transaction after the other uses one connection.
        for tenant in (two.own, two.other):
            with bound.session(tenant, writes=False) as session:
                assert session.connection().exec_driver_sql("SELECT tenant FROM principal").all() == [(tenant,)]
        with system_session(bound, writes=False) as session:
            assert session.connection().exec_driver_sql("SELECT count(*) FROM principal").scalar_one() == 2
        for engine in (bound.engine, bound.reads):
            with engine.begin() as connection:
                assert connection.execute(text("SELECT * FROM principal")).all() == []
    finally:
        bound.close()
        with owner.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
        owner.dispose()
        servers.drop(url)
