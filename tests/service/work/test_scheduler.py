"""Do the three loops do their part, outlive what fails, and stop when told to?"""

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest
import redis
from sqlalchemy import select

from service.contracts.job import ArtifactFile
from service.contracts.problem import Reason
from service.contracts.section import Picture, Section
from service.report import twin
from service.report.compose import Composed
from service.report.draw import DrawingFailed
from service.report.html import PictureKey
from service.report.twin import AuditReport
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.system import system_session
from service.store.tables import Artifact, Audit, Outbox, Work
from service.work import finish
from service.work.doorbell import doorbell
from service.work.reports import Reporter
from service.work.scheduler import Scheduler
from service.work.wake import client, ring
from tests.servers import Servers
from tests.service.work.test_claim import take, works_of
from tests.service.work.world import CATALOG, World, provenance, result, stored

NEVER = threading.Event()
NOWHERE = "redis+socket:///nowhere/valkey.sock?virtual_host=0"


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, "it did not come about in time"
        threading.Event().wait(0.02)


@contextmanager
def running(scheduler: Scheduler) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive(), "it must stop when told to"


def outbox(world: World) -> int:
    with system_session(world.database) as session:
        return len(session.scalars(select(Outbox.id)).all())


def plain(report: AuditReport, _pictures: Mapping[PictureKey, bytes], _deadline: float) -> Composed:
    return Composed(html=f"<p>{report.title}".encode(), twin=twin.write(report))


def reporter(world: World, folder: Path) -> Reporter:
    return Reporter(
        database=world.database,
        blobs=BlobStore(str(folder / "blobs")),
        clock=world.clock,
        settings=world.settings,
        catalog=CATALOG,
        owner="scheduler",
        compose=plain,
    )


def closed_audit(world: World) -> UUID:
    audit = world.audit(*world.ready_pair(), analyses=2)
    first, second = (take(world, work) for work in works_of(world, audit))
    assert first is not None
    assert second is not None
    world.succeed(first)
    with system_session(world.database) as session:
        finish.fail(session, second, Reason(code="broken", detail="It broke."), world.clock.now())
    return audit


def report_state(world: World, audit: UUID) -> str:
    with system_session(world.database) as session:
        return session.scalars(select(Work.state).join(Audit, Audit.report_work_id == Work.id)).one()


def test_a_closed_audit_gets_its_report_with_what_succeeded_and_what_failed(world: World, tmp_path: Path) -> None:
    audit = closed_audit(world)
    desk = reporter(world, tmp_path)
    assert desk.draw_due(NEVER) == 1
    assert desk.draw_due(NEVER) == 0
    with system_session(world.database) as session:
        files = {file.name: file.digest for file in session.scalars(select(Artifact))}
    with desk.blobs.open(world.tenant, files["report.json"]) as file:
        report = twin.read(file.read())
    assert [part.state for part in report.sections] == ["succeeded", "failed"]
    assert (report.audit.submitted_by, report.audit.tenant, report.audit.state) == ("ada", "acme", "finished")
    assert report.sections[1].reason == Reason(code="broken", detail="It broke.")
    assert report_state(world, audit) == "succeeded"


def test_figures_that_cannot_be_drawn_leave_a_report_of_tables(world: World, tmp_path: Path) -> None:
    def undrawable(*_: object) -> Composed:
        raise DrawingFailed("out of time")

    audit = closed_audit(world)
    desk = replace(reporter(world, tmp_path), compose=undrawable)
    desk.draw_due(NEVER)
    assert report_state(world, audit) == "succeeded"


def test_a_report_that_fails_is_tried_again_later_and_then_given_up(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Composed:
        raise ZeroDivisionError

    audit = closed_audit(world)
    desk = replace(reporter(world, tmp_path), compose=broken)
    with caplog.at_level(logging.CRITICAL):
        assert desk.draw_due(NEVER) == 1, "not at once again"
        assert report_state(world, audit) == "queued"
        for _ in range(2):
            world.clock.advance(timedelta(minutes=5))
            desk.draw_due(NEVER)
    assert report_state(world, audit) == "failed"


def test_a_picture_is_handed_to_the_drawing_by_analysis_and_name(world: World, tmp_path: Path) -> None:
    audit = world.audit(*world.ready_pair())
    held = take(world, works_of(world, audit)[0])
    assert held is not None
    desk = reporter(world, tmp_path)
    kept = desk.blobs.put(world.tenant, [b"png"], most=3)
    picture = Picture(title="Overlay", artifact="overlay.png", alternative="a digit")
    section = Section(title="Layers", question="?", answer="Yes.", blocks=(picture,), source="none")
    files = (ArtifactFile(file="overlay.png", media_type="image/png"),)
    done = result().model_copy(update={"section": section, "artifacts": files})
    with system_session(world.database) as session:
        finish.succeed_analysis(
            session,
            held,
            result=done,
            stored={"overlay.png": kept},
            provenance=provenance(),
            now=world.clock.now(),
            settings=world.settings,
        )
    seen: dict[PictureKey, bytes] = {}

    def look(report: AuditReport, pictures: Mapping[PictureKey, bytes], deadline: float) -> Composed:
        seen.update(pictures)
        return plain(report, pictures, deadline)

    replace(desk, compose=look).draw_due(NEVER)
    assert seen == {(str(held.subject_id), "overlay.png"): b"png"}


@pytest.mark.stack
def test_a_ring_brings_an_id_to_its_queue_long_before_the_poll(world: World, servers: Servers, tmp_path: Path) -> None:
    url = servers.valkey().celery_url
    settings = Settings(broker_url=url, poll_seconds=600)
    pair = world.ready_pair()
    with (
        client(url, patience=5) as broker,
        running(Scheduler(settings, world.database, BlobStore(str(tmp_path)), world.clock, catalog=CATALOG)),
    ):
        broker.flushdb()
        until(lambda: outbox(world) == 0)
        until(lambda: broker.pubsub_numsub("lamina:wake")[0][1] == 1)
        audit = world.audit(*pair)
        begun = monotonic()
        assert ring(url)
        until(lambda: outbox(world) == 0)
        assert monotonic() - begun < 120
        (raw,) = broker.lrange("cpu", 0, -1)
        assert json.loads(base64.b64decode(json.loads(raw)["body"]))[0] == [str(works_of(world, audit)[0])]
        broker.flushdb()


@pytest.mark.stack
def test_a_message_is_an_id_for_the_task_and_nothing_else(servers: Servers) -> None:
    url = servers.valkey().celery_url
    with client(url, patience=5) as broker:
        broker.flushdb()
        doorbell(Settings(broker_url=url))("an id", "gpu")
        (raw,) = broker.lrange("gpu", 0, -1)
        broker.flushdb()
    message = json.loads(raw)
    assert message["headers"]["task"] == "work.run"
    assert json.loads(base64.b64decode(message["body"]))[:2] == [["an id"], {}]


def test_a_broker_that_is_not_there_raises_soon() -> None:
    begun = monotonic()
    with pytest.raises(Exception, match=r"(?i)no such file|connect|refused"):
        doorbell(Settings(broker_url=NOWHERE))("an id", "cpu")
    assert monotonic() - begun < 60


def test_work_outlives_a_broker_that_is_gone_and_goes_out_when_it_is_back(world: World, tmp_path: Path) -> None:
    gone, sent = threading.Event(), []
    gone.set()
    tried = threading.Event()

    def send(work_id: str, _queue: str) -> None:
        tried.set()
        if gone.is_set():
            raise redis.ConnectionError("gone")
        sent.append(UUID(work_id))

    works = works_of(world, world.audit(*world.ready_pair(), analyses=3))
    settings = Settings(broker_url=NOWHERE, poll_seconds=0.05)
    scheduler = Scheduler(settings, world.database, BlobStore(str(tmp_path)), world.clock, send=send, catalog=CATALOG)
    with running(scheduler):
        assert tried.wait(60)
        assert outbox(world) >= 3
        gone.clear()
        until(lambda: outbox(world) == 0)
    assert sent == works


def test_the_reaper_runs_beside_it(world: World, tmp_path: Path) -> None:
    (work,) = works_of(world, world.audit(*world.ready_pair()))
    take(world, work)
    world.clock.advance(timedelta(minutes=5))
    settings = Settings(broker_url=NOWHERE, poll_seconds=60, reap_seconds=0.05)
    scheduler = Scheduler(
        settings, world.database, BlobStore(str(tmp_path)), world.clock, send=lambda *_: None, catalog=CATALOG
    )

    def reaped() -> bool:
        with system_session(world.database) as session:
            return session.get_one(Work, work).state == "queued"

    with running(scheduler):
        until(reaped)


def test_bytes_the_quota_would_refuse_are_still_kept_for_a_report(world: World) -> None:
    audit = closed_audit(world)
    held = world.claim_subject(audit)
    assert held is not None
    with system_session(world.database) as session:
        finish.succeed_report(session, held, stored("x" * 5000), stored("{}"), world.clock.now())
    assert report_state(world, audit) == "succeeded"
