"""In which words is each kind of tampering told? One of each, in a small world, with everything that is said of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.evidence.ledger_check import check_tenant
from service.evidence.log_check import Finding
from service.store.base import new_id
from service.store.database import Database
from service.store.tables import Analysis, Artifact, Event, Model
from service.store.tables import Measurement as Point
from service.store.tables_compliance import Chain, SigningKey, TreeHead
from tests.service.evidence.tampering import looking, owned
from tests.service.work.office import Office, an_office

OTHER = "sha256:" + "ab" * 32
NOT_SEALED = "what the event says is not what was sealed: it was changed afterwards"
NOT_JOINED = "the event does not join the one before it: one of their hashes was changed"
CHANGED = "it is not what the log says of it: it was changed"
UNSPOKEN = "no event speaks of it: it was put in past the service"
FRONTIER = "its frontier is not that of the log, which ends at {} events"
NO_SIGNATURE = "its signature does not hold: it was changed, or its key was, or is not a known one"
Way = Callable[[Session], list[tuple[str, Any, str]]]


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    """An analysis with two numbers and a file, in a log of which two heads were signed."""
    made = an_office(database, clock, tenant, principal, tmp_path)
    points = [Measurement(metric="clean_accuracy", value=value, low=None, high=None, n=50) for value in (0.5, 0.75)]
    made.measure(*made.ready_pair(), "accuracy", *points)
    made.appender.head(tenant)
    made.appender.head(tenant)
    return made


def only(session: Session, table: Any, *where: Any) -> Any:
    return session.scalars(select(table).where(*where).order_by(table.id)).first()


def size_of(session: Session) -> int:
    return session.scalars(select(Chain.size)).one()


def a_column(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Analysis)
    row.outcome = {**row.outcome, "answer": 41}
    return [("analysis", row.id, CHANGED)]


def a_row_taken_out(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Artifact)
    session.delete(row)
    return [("artifact", row.id, "the log speaks of it, and it is gone")]


def a_row_put_in(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Model)
    names = [column.name for column in Model.__table__.columns]
    copy = Model(**{**{name: getattr(row, name) for name in names}, "id": new_id(), "version": "2"})
    session.add(copy)
    session.flush()
    return [("model", copy.id, UNSPOKEN)]


def a_number(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Point)
    row.value += 1e-9
    return [("measurement", row.id, CHANGED)]


def a_number_taken_out(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Point)
    session.delete(row)
    return [("measurement", f"of analysis {row.analysis_id}", "the log speaks of other numbers than the 1 here")]


def what_an_event_says(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, Event, Event.chain_number == 2)
    row.action = "never"
    return [("event", 2, NOT_SEALED)]


def an_event_taken_out(session: Session) -> list[tuple[str, Any, str]]:
    """The one that tells of the first head, which the second head covers."""
    first, second = session.scalars(select(TreeHead).order_by(TreeHead.size)).all()
    session.execute(delete(Event).where(Event.chain_number == first.size))
    return [
        ("event", first.size, f"event {first.size} is missing"),
        ("event", first.size + 1, NOT_JOINED),
        ("chain", first.tenant, FRONTIER.format(size_of(session))),
        ("tree_head", first.id, UNSPOKEN),
        ("tree_head", second.id, f"a signed head speaks of {second.size} events, and the log has no such place"),
    ]


def a_leaf(session: Session) -> list[tuple[str, Any, str]]:
    """The last, which no head covers."""
    size = size_of(session)
    row = only(session, Event, Event.chain_number == size - 1)
    row.leaf_hash = OTHER
    said = [("event", size - 1, NOT_SEALED), ("event", size - 1, NOT_JOINED)]
    return [*said, ("chain", row.tenant, FRONTIER.format(size))]


def a_hash_of_the_chain(session: Session) -> list[tuple[str, Any, str]]:
    only(session, Event, Event.chain_number == 3).chain_hash = OTHER
    return [("event", 3, NOT_JOINED), ("event", 4, NOT_JOINED)]


def how_far_it_is_sealed(session: Session) -> list[tuple[str, Any, str]]:
    row = session.scalars(select(Chain)).one()
    size, row.size = row.size, row.size + 1
    return [("chain", row.tenant, f"its size is not that of the log, which ends at {size} events")]


def a_head(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, TreeHead)
    row.root = OTHER
    said = f"the root over the first {row.size} events is not the one that was signed"
    return [("tree_head", row.id, each) for each in (NO_SIGNATURE, said, CHANGED)]


def a_head_taken_out(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, TreeHead)
    session.delete(row)
    return [("tree_head", row.id, "the log speaks of it, and it is gone")]


def a_key(session: Session) -> list[tuple[str, Any, str]]:
    row = only(session, SigningKey)
    row.public_key = bytes(32)
    heads = session.scalars(select(TreeHead.id)).all()
    said = "it is not the key that its id says: it was changed"
    return [("signing_key", row.id, said), *(("tree_head", head, NO_SIGNATURE) for head in heads)]


def the_last_event(session: Session) -> list[tuple[str, Any, str]]:
    session.execute(delete(Event).where(Event.chain_number == size_of(session) - 1))
    size, row = size_of(session) - 1, session.scalars(select(Chain.tenant)).one()
    last = session.scalars(select(TreeHead.id).order_by(TreeHead.size.desc()).limit(1)).one()
    names = ("size", "chain_hash", "frontier")
    said = [f"its {name} is not that of the log, which ends at {size} events" for name in names]
    return [*(("chain", row, each) for each in said), ("tree_head", last, UNSPOKEN)]


WAYS: dict[str, Way] = {
    "a column of evidence": a_column,
    "a row taken out": a_row_taken_out,
    "a row put in": a_row_put_in,
    "a number": a_number,
    "a number taken out": a_number_taken_out,
    "what an event says": what_an_event_says,
    "an event taken out": an_event_taken_out,
    "the last event": the_last_event,
    "a leaf": a_leaf,
    "a hash of the chain": a_hash_of_the_chain,
    "how far it is sealed": how_far_it_is_sealed,
    "a head": a_head,
    "a head taken out": a_head_taken_out,
    "a key": a_key,
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_kind_is_named_in_its_own_words(office: Office) -> None:
    wrong = {}
    with owned(office.database) as connection:
        for name, way in WAYS.items():
            with looking(connection) as session:
                assert check_tenant(session, office.blobs, office.tenant) == []
                expected = sorted(Finding(table, str(row), said) for table, row, said in way(session))
                session.flush()
                session.expire_all()
                found = check_tenant(session, office.blobs, office.tenant)
                if found != expected:
                    wrong[name] = {"unexpected": set(found) - set(expected), "missed": set(expected) - set(found)}
    assert wrong == {}
