"""From a submission to a closed audit: what is written, and when?"""

from sqlalchemy import select

from service.contracts.outcome import Measurement as Point
from service.contracts.status import WorkState
from service.store.system import system_session
from service.store.tables import Analysis, Artifact, Audit, Blob, Event, Measurement, Outbox, Work
from tests.service.work.world import World, stored


def test_an_audit_on_ready_inputs_is_queued_at_once_and_closed_by_its_last_analysis(world: World) -> None:
    model, dataset = world.ready_pair()
    audit = world.audit(model, dataset, analyses=2)
    with system_session(world.database) as session:
        first, second = session.scalars(
            select(Analysis.id).where(Analysis.audit_id == audit).order_by(Analysis.position)
        ).all()
    for analysis in (first, second):
        held = world.claim_subject(analysis)
        assert held is not None
        world.succeed(held, Point(metric="layer_total", value=1.5, n=3), files=("arrays.json",))
    with system_session(world.database) as session:
        row = session.get_one(Audit, audit)
        assert (row.remaining, row.closed_at) == (0, world.clock.now())
        assert row.report_work_id is not None
        report = session.get_one(Work, row.report_work_id)
        assert (report.type, report.state, report.queue) == ("report", "queued", "report")
        assert session.scalars(select(Measurement.value)).all() == [1.5, 1.5]
        assert len(set(session.scalars(select(Measurement.series_key)))) == 1
        assert {file.analysis_id for file in session.scalars(select(Artifact))} == {first, second}
        blob = session.get_one(Blob, (world.tenant, stored("arrays.json").digest))
        assert blob.references == 2
        log = session.execute(
            select(Event.action, Event.before, Event.after).where(Event.subject_id == first).order_by(Event.id)
        ).all()
        assert [tuple(line) for line in log] == [
            ("queued", None, "queued"),
            ("claimed", "queued", "running"),
            ("succeeded", "running", "succeeded"),
            ("kept", None, None),
        ]
        assert WorkState.SUCCEEDED.value in session.scalars(select(Work.state).where(Work.subject_id == second)).all()
        assert session.scalars(select(Outbox.work_id).where(Outbox.work_id == report.id)).all() == []
