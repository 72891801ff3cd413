"""Does the log bind what was written, to the column?"""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from service.clock import FixedClock
from service.store.base import new_id
from service.store.database import Database
from service.store.ledger import (
    EVIDENCE,
    evidence_digest,
    evidence_key,
    evidence_of,
    group_size,
    points_evidence,
    points_key,
    record,
)
from service.store.tables import Analysis, Event, Measurement, Model
from service.store.tables_compliance import Attestation


@pytest.fixture
def attestation(tenant: UUID, principal: UUID, clock: FixedClock) -> Attestation:
    return Attestation(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=clock.now(),
        control="GOV-01",
        model_name=None,
        role="owner",
        statement="it is so",
        document_digest=None,
        document_title="",
        expires_at=clock.now() + timedelta(days=30),
        withdrawn_at=None,
    )


def test_an_event_holds_the_digest_of_every_row_it_is_about(
    database: Database, attestation: Attestation, clock: FixedClock
) -> None:
    with database.session(attestation.tenant) as session:
        session.add(attestation)
        record(
            session,
            [attestation],
            tenant=attestation.tenant,
            actor=attestation.created_by,
            now=clock.now(),
            subject_type="attestation",
            subject_id=attestation.id,
            action="attested",
            detail={"why": "asked"},
        )
    with database.session(attestation.tenant) as session:
        event = session.scalars(select(Event).where(Event.action == "attested")).one()
        row = session.get_one(Attestation, attestation.id)
        assert event.detail == {"why": "asked", "evidence": {evidence_key(row): evidence_digest(row)}}
        assert evidence_key(row) == f"attestation:{row.id}"
        before = evidence_digest(row)
        row.statement = "it was so"
        assert evidence_digest(row) != before


def test_what_is_hashed_is_plain_json_with_times_in_microseconds(attestation: Attestation) -> None:
    text = evidence_of(attestation).decode()
    assert text.startswith('{"control":"GOV-01","created_at":')
    assert f'"expires_at":{int(attestation.expires_at.timestamp())}000000' in text
    assert f'"tenant":"{attestation.tenant}"' in text


@pytest.mark.parametrize("table", EVIDENCE, ids=lambda table: str(table.__tablename__))
def test_evidence_names_columns_that_exist(table: type[Model]) -> None:
    assert set(EVIDENCE[table]) <= set(table.__mapper__.column_attrs.keys())
    assert {"id", "tenant", "created_by", "created_at"} <= set(EVIDENCE[table])


def test_points_of_history_have_a_digest_each_in_the_order_of_their_ids_and_share_them_when_there_are_many() -> None:
    def point(number: int) -> dict[str, object]:
        return dict.fromkeys(EVIDENCE[Measurement]) | {"id": f"{number:04d}", "value": number / 10}

    rows = [point(number) for number in range(5)]
    assert points_evidence(rows) == points_evidence(rows[::-1])
    assert len(set(points_evidence(rows))) == 5
    assert points_evidence(rows[:3]) == points_evidence(rows)[:3]
    assert points_evidence([*rows[:4], point(4) | {"value": 0.40000000000000002}]) == points_evidence(rows)
    assert points_evidence([*rows[:4], point(4) | {"value": 0.41}])[:4] == points_evidence(rows)[:4]
    assert (group_size(0), group_size(1000), group_size(1001), group_size(100_000)) == (1, 1, 2, 100)
    many = points_evidence([point(number) for number in range(1001)])
    assert len(many) == 501
    assert points_key(new_id()).startswith("measurements:")
    assert Analysis in EVIDENCE
