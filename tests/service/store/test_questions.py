"""Do pages hold every row once and in order, and does history say what it should?"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text

from service.contracts.base import digest_of
from service.contracts.problem import Reason
from service.store import questions
from service.store.base import new_id
from service.store.questions import After
from service.store.questions_points import Points, condition, measurements_page
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Measurement
from service.work import finish
from service.work.shown import audit_state
from tests.service.work.test_claim import take, works_of
from tests.service.work.world import World

D1, D2 = digest_of(b"one"), digest_of(b"two")
LINE, OTHER_LINE = digest_of(b"line"), digest_of(b"other line")


@pytest.fixture
def world(database: Any, clock: Any, tenant: UUID, principal: UUID) -> World:
    return World(database, clock, tenant, principal)


class History:
    """Points of one analysis of one audit, made to order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.audit = world.audit(*world.ready_pair())
        with system_session(world.database) as session:
            self.analysis = session.scalars(select(Analysis.id).where(Analysis.audit_id == self.audit)).one()
            self.model = session.scalars(select(Audit.model_id).where(Audit.id == self.audit)).one()

    def point(self, value: float, *, after: float = 0, **changes: Any) -> UUID:
        row = {
            "id": new_id(),
            "tenant": self.world.tenant,
            "created_by": self.world.principal,
            "created_at": self.world.clock.now() + timedelta(seconds=after),
            "series_key": LINE,
            "model_name": "net",
            "model_version": "1",
            "model_id": self.model,
            "audit_id": self.audit,
            "analysis_id": self.analysis,
            "kind": "k",
            "kind_version": 1,
            "metric": "layer_total",
            "layer": "fc1",
            "facets": "{}",
            "dataset_digest": D1,
            "parameters_digest": D1,
            "value": value,
            "n": 1,
            **changes,
        }
        with system_session(self.world.database) as session:
            session.execute(insert(Measurement), [row])
        return row["id"]

    def ask(self, limit: int = 100, after: After | None = None, newest_first: bool = True, **points: Any) -> Any:
        with self.world.database.session(self.world.tenant, writes=False) as session:
            return measurements_page(session, Points(**points), limit=limit, after=after, newest_first=newest_first)

    def values(self, **points: Any) -> list[float]:
        return [point.measurement.value for point in self.ask(**points).rows]


@pytest.fixture
def history(world: World) -> History:
    return History(world)


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_of_points_join_up_even_where_times_are_equal(history: History, newest_first: bool) -> None:
    for value in range(7):
        history.point(float(value), after=value // 3)
    seen, after = [], None
    while True:
        page = history.ask(limit=2, after=after, newest_first=newest_first)
        seen += [point.measurement.value for point in page.rows]
        after = page.next
        if after is None:
            break
    assert seen == ([6.0, 5, 4, 3, 2, 1, 0] if newest_first else [0.0, 1, 2, 3, 4, 5, 6])


def test_a_page_that_is_just_full_says_that_it_is_the_last(history: History) -> None:
    history.point(1.0)
    history.point(2.0)
    assert history.ask(limit=2).next is None
    assert history.ask(limit=1).next is not None


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ({}, [4, 3, 2, 1]),
        ({"model_name": "net"}, [3, 2, 1]),
        ({"model_version": "2"}, [2]),
        ({"kind": "lime"}, [3]),
        ({"metric": "layer_total"}, [4, 2, 1]),
        ({"layer": "fc2"}, [3]),
        ({"series_key": OTHER_LINE}, [2]),
        ({"model_name": "net", "metric": "layer_total", "layer": "fc1"}, [2, 1]),
        ({"audit": UUID(int=0)}, []),
    ],
    ids=str,
)
def test_every_condition_that_is_given_must_hold(history: History, asked: dict[str, Any], values: list[float]) -> None:
    history.point(1.0, after=1)
    history.point(2.0, after=2, model_version="2", series_key=OTHER_LINE)
    history.point(3.0, after=3, kind="lime", metric="completeness_error", layer="fc2")
    history.point(4.0, after=4, model_name="other")
    assert history.values(**asked) == values


def test_from_is_included_and_to_is_not(history: History) -> None:
    for second in range(4):
        history.point(float(second), after=second)
    start = history.world.clock.now()
    since, until = start + timedelta(seconds=1), start + timedelta(seconds=3)
    assert history.values(since=since, until=until) == [2.0, 1.0]
    assert history.values(audit=history.audit, until=since) == [0.0]


def test_a_change_of_the_datasets_bytes_is_marked_on_its_line_only(history: History) -> None:
    history.point(1.0, after=1)
    history.point(2.0, after=2, dataset_digest=D2)
    history.point(3.0, after=2, dataset_digest=D2)
    history.point(4.0, after=3, dataset_digest=D1)
    history.point(9.0, after=4, dataset_digest=D2, series_key=OTHER_LINE)
    marked = {point.measurement.value: point.dataset_changed for point in history.ask(limit=3).rows}
    marked |= {
        point.measurement.value: point.dataset_changed for point in history.ask(limit=2, newest_first=False).rows
    }
    assert marked == {1.0: False, 2.0: True, 3.0: False, 4.0: True, 9.0: False}


def test_a_point_shows_its_ids_as_they_were_written(history: History) -> None:
    written = history.point(1.0)
    (point,) = history.ask().rows
    row = point.measurement
    assert (row.id, row.audit_id, row.analysis_id, row.model_id) == (
        written,
        history.audit,
        history.analysis,
        history.model,
    )
    assert row.created_at == history.world.clock.now()


@pytest.mark.parametrize(
    "asked",
    [
        {"model_name": "net", "metric": "layer_total"},
        {"model_name": "net", "metric": "layer_total", "layer": "fc1"},
        {"series_key": LINE},
        {"model_name": "net"},
        {},
    ],
    ids=str,
)
def test_sqlite_reads_a_page_along_an_index_and_never_sorts(history: History, asked: dict[str, Any]) -> None:
    if history.world.database.is_postgres:
        return  # its planner follows statistics, which a handful of rows has not
    history.point(1.0)
    statement = (
        select(Measurement.id)
        .where(Measurement.tenant == history.world.tenant, *map(condition, asked))
        .order_by(Measurement.created_at.desc(), Measurement.id.desc())
        .params(**asked)
    )
    with history.world.database.engine.connect() as connection:
        compiled = statement.compile(connection, compile_kwargs={"literal_binds": False})
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {compiled}",
            tuple(_bound(compiled)),
        ).all()
    assert "USE TEMP B-TREE" not in str(plan)
    assert "USING" in str(plan)


def _bound(compiled: Any) -> list[Any]:
    processors = compiled._bind_processors
    given = compiled.params
    return [processors[name](given[name]) if name in processors else given[name] for name in compiled.positiontup]


def test_pages_of_models_join_up_and_can_be_asked_by_name(world: World) -> None:
    made = []
    for number in range(5):
        made.append(world.model("net", str(number)))
        world.clock.advance(timedelta(seconds=number % 2))
    world.model("other", "1")
    seen: list[UUID] = []
    after: After | None = None
    while True:
        with world.database.session(world.tenant, writes=False) as session:
            page = questions.models_page(session, limit=2, after=after, name="net")
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
    assert seen == made[::-1]


def test_audits_are_found_by_the_state_they_show(world: World) -> None:
    pair = world.ready_pair()
    queued, running, finished, cancelled, waiting = (
        *(world.audit(*pair) for _ in range(4)),
        world.audit(world.model(version="2"), pair[1]),
    )
    assert take(world, works_of(world, running)[0]) is not None
    held = take(world, works_of(world, finished)[0])
    assert held is not None
    with system_session(world.database) as session:
        finish.fail(session, held, Reason(code="broken", detail="It broke."), world.clock.now())
    world.cancel(cancelled)
    expected = {
        "queued": {queued, waiting},
        "running": {running},
        "finished": {finished},
        "cancelled": {cancelled},
    }
    for state, audits in expected.items():
        with world.database.session(world.tenant, writes=False) as session:
            page = questions.audits_page(session, limit=10, state=state)
            assert {row.id for row in page.rows} == audits
            assert {audit_state(row).value for row in page.rows} == {state}


def test_a_list_of_audits_loads_no_outcome(world: World) -> None:
    world.audit(*world.ready_pair())
    with world.database.session(world.tenant, writes=False) as session:
        (row,) = questions.audits_page(session, limit=10).rows
        with pytest.raises(Exception, match="raiseload"):
            _ = row.analyses[0].outcome


def test_a_deleted_blob_is_not_found(world: World) -> None:
    kept = world.hold("bytes")
    with world.database.session(world.tenant) as session:
        found = questions.blob(session, world.tenant, kept.digest)
        assert found is not None
        found.deleted_at = world.clock.now()
    with world.database.session(world.tenant) as session:
        assert questions.blob(session, world.tenant, kept.digest) is None


def test_history_survives_a_reader_beside_a_writer(history: History) -> None:
    history.point(1.0)
    with system_session(history.world.database) as writer:
        writer.execute(text("UPDATE measurement SET value = 2.0"))
        assert history.values() == [1.0], "a reader neither waits for a writer nor sees what is not committed"
    assert history.values() == [2.0]
