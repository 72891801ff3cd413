"""Is a replay held against what it repeats, by the right rule, and is what is otherwise named?"""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from service.clock import FixedClock
from service.contracts.outcome import Measurement as Point
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Event, Measurement
from service.work import finish
from service.work.refusals import Conflict
from service.work.replays import replay
from tests.service.work import world as plain
from tests.service.work.office import Office, an_office

POINTS = (
    Point(metric="layer_total", layer="a", facets={}, value=1.0, n=3),
    Point(metric="layer_total", layer="b", facets={}, value=0.5, n=3),
)


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


@pytest.fixture
def first(office: Office) -> UUID:
    model, dataset = office.ready_pair()
    return office.measure(model, dataset, "layer_conductance", *POINTS)


def again(
    office: Office, first: UUID, *points: Point, capability: str = "AVX2", file: str = "arrays.json"
) -> Measurement:
    """The replay, ended with these numbers on such a machine."""
    with office.database.session(office.tenant) as session:
        audit = replay(session, first, catalog=office.catalog, settings=office.settings, **office._who()).id
        analysis = session.scalars(select(Analysis.id).where(Analysis.audit_id == audit)).one()
    held = office.claim_subject(analysis)
    assert held is not None
    office.keep(file)
    made = plain.result(*points, files=("arrays.json",))
    machine = made.provenance.machine.model_copy(update={"cpu_capability": capability})
    made = made.model_copy(update={"provenance": made.provenance.model_copy(update={"machine": machine})})
    with system_session(office.database) as session:
        finish.succeed_analysis(
            session,
            held,
            result=made,
            stored={"arrays.json": plain.stored(file)},
            provenance=made.provenance,
            now=office.clock.now(),
            settings=office.settings,
        )
    with system_session(office.database) as session:
        return session.scalars(
            select(Measurement).where(Measurement.analysis_id == analysis, Measurement.kind == "replay")
        ).one()


def events(office: Office) -> list[Event]:
    with system_session(office.database) as session:
        return list(session.scalars(select(Event).where(Event.action == "replayed")))


def test_what_comes_alike_has_no_mismatch(office: Office, first: UUID) -> None:
    found = again(office, first, *POINTS)
    assert (found.metric, found.value, found.n) == ("replay_mismatches", 0.0, 4)  # two numbers, outcome, file
    assert found.facets == '{"of":"layer_conductance","rule":"bitwise"}'
    assert events(office)[0].detail["mismatches"] == []


def test_the_last_bit_counts_on_the_same_machine_and_the_file_does(office: Office, first: UUID) -> None:
    moved = POINTS[1].model_copy(update={"value": 0.5000000000000001})
    found = again(office, first, POINTS[0], moved, file="other bytes")
    assert found.value == 2.0
    assert events(office)[0].detail["mismatches"] == ["layer_total at b: 0.5 and 0.5000000000000001", "arrays.json"]


@pytest.mark.parametrize(("value", "mismatches"), [(0.5009, 0.0), (0.502, 1.0)])
def test_another_machine_has_a_tolerance(office: Office, first: UUID, value: float, mismatches: float) -> None:
    moved = POINTS[1].model_copy(update={"value": value})
    found = again(office, first, POINTS[0], moved, capability="AVX512", file="other bytes")
    assert found.value == mismatches
    assert '"rule":"tolerance"' in found.facets


def test_a_number_that_is_missing_is_a_mismatch(office: Office, first: UUID) -> None:
    assert again(office, first, POINTS[0]).value == 1.0


def test_what_did_not_end_well_is_not_repeated(office: Office) -> None:
    model, dataset = office.ready_pair()
    first = office.measure(model, dataset, "layer_conductance", *POINTS)
    pending = office.audit(model, dataset)
    with office.database.session(office.tenant) as session:
        analysis = session.scalars(select(Analysis.id).where(Analysis.audit_id == pending)).one()
        with pytest.raises(Conflict, match="only an analysis that ended with an outcome"):
            replay(session, analysis, catalog=office.catalog, settings=office.settings, **office._who())
        session.get_one(Analysis, first).kind_version = 7
        with pytest.raises(Conflict, match="it was made by version 7 of layer_conductance"):
            replay(session, first, catalog=office.catalog, settings=office.settings, **office._who())
