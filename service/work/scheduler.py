"""What goes on between requests and workers? Loops: announce what is due, reap, make reports, seal the log."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from service.catalog import Catalog
from service.clock import Clock
from service.evidence.giving_up import Retention
from service.evidence.own_keys import OwnKeys
from service.evidence.seal import Appender
from service.schedule.tick import Ticker
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.secrets import secret_of
from service.store.system import system_session
from service.work.alerting import Watcher
from service.work.compliance_making import ComplianceReporter
from service.work.deliveries import Deliverer
from service.work.dispatcher import MOST_AT_ONCE, Send, dispatch
from service.work.doorbell import doorbell
from service.work.reaper import Reaped, reap
from service.work.reports import Reporter
from service.work.scheduled import Starter
from service.work.wake import Ear, ring

log = logging.getLogger("lamina.scheduler")
T = TypeVar("T")


class Scheduler:
    """Dispatcher, reaper, reports and the log. Several may run: each step is guarded in the database."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        *,
        send: Send | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.settings, self.database, self.blobs, self.clock = settings, database, blobs, clock
        self._send = send or doorbell(settings)
        self._catalog = catalog or Catalog.load()
        self._report_due = threading.Event()
        self._appender = Appender(database=database, clock=clock, keys=OwnKeys(settings))

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then come back when the step at hand is done."""
        loops = {
            "dispatcher": self._dispatcher,
            "reaper": self._reaper,
            "reports": self._reports,
            "log": self._log,
            "schedules": self._schedules,
            "alerts": self._alerts,
            "retention": self._retention,
        }
        threads = [threading.Thread(target=loop, args=(stop,), name=name) for name, loop in loops.items()]
        for thread in threads:
            thread.start()
        stop.wait()
        self._report_due.set()
        for thread in threads:
            thread.join()

    def _dispatcher(self, stop: threading.Event) -> None:
        """Woken by a ring, or by the clock: what the broker could not take stays in the outbox for the next round."""
        ear = Ear(self.settings.broker_url)
        step = Step("the dispatcher")
        while not stop.is_set():
            count = step.take(self._dispatch_once)
            if count is not None and count >= MOST_AT_ONCE:
                continue
            if ear.wait(self.settings.poll_seconds, stop):
                self._report_due.set()
        ear.close()

    def _dispatch_once(self) -> int:
        return dispatch(self.database, self._send, settings=self.settings, clock=self.clock)

    def _reaper(self, stop: threading.Event) -> None:
        step = Step("the reaper")
        while not stop.wait(self.settings.reap_seconds):
            reaped = step.take(self._reap_once)
            if reaped and reaped != Reaped():
                log.warning("reaped: %s", reaped)
                ring(self.settings.broker_url)

    def _reap_once(self) -> Reaped:
        with system_session(self.database) as session:
            return reap(session, now=self.clock.now())

    def _reports(self, stop: threading.Event) -> None:
        step = Step("the report thread")
        reporter = Reporter(
            database=self.database,
            blobs=self.blobs,
            clock=self.clock,
            settings=self.settings,
            catalog=self._catalog,
            owner=f"scheduler {socket.gethostname()}:{os.getpid()}",
        )
        compliance = Step("the compliance report thread")
        maker = ComplianceReporter(
            database=self.database,
            blobs=self.blobs,
            clock=self.clock,
            settings=self.settings,
            catalog=self._catalog,
            appender=self._appender,
            owner=reporter.owner,
        )
        while not stop.is_set():
            self._report_due.clear()
            step.take(lambda: reporter.draw_due(stop))
            compliance.take(lambda: maker.make_due(stop))
            self._report_due.wait(self.settings.poll_seconds)

    def _alerts(self, stop: threading.Event) -> None:
        """What somebody should know of is opened, closed and sent."""
        looking, sending = Step("the alert thread"), Step("the sending of alerts")
        watcher = Watcher(database=self.database, clock=self.clock)
        deliverer = Deliverer(
            database=self.database,
            clock=self.clock,
            settings=self.settings,
            secret=secret_of(self.settings),
            owner=f"scheduler {socket.gethostname()}:{os.getpid()}",
        )
        due = 0.0
        while not stop.wait(min(self.settings.poll_seconds, self.settings.alert_seconds)):
            due -= self.settings.poll_seconds
            if due <= 0:
                looking.take(watcher.look)
                due = self.settings.alert_seconds
            sending.take(lambda: deliverer.send_due(stop))

    def _schedules(self, stop: threading.Event) -> None:
        """What is due on a clock or on an event becomes a slot, with what it starts."""
        step = Step("the schedule thread")
        starter = Starter(clock=self.clock, settings=self.settings, catalog=self._catalog)
        ticker = Ticker(database=self.database, clock=self.clock, starts=starter)
        while not stop.wait(self.settings.tick_seconds):
            if step.take(ticker.tick):
                ring(self.settings.broker_url)
                self._report_due.set()

    def _log(self, stop: threading.Event) -> None:
        """Events are sealed soon after they are committed; a signed head follows when the log has grown."""
        sealing, signing = Step("the sealing of the log"), Step("the signing of heads")
        every = timedelta(seconds=self.settings.head_seconds)
        while not stop.wait(self.settings.seal_seconds):
            sealing.take(self._appender.seal)
            signing.take(lambda: self._appender.heads_due(every))

    def _retention(self, stop: threading.Event) -> None:
        """Files of analyses are given up when nothing asks for them any more, and the log says so."""
        step = Step("retention")
        kept = timedelta(days=self.settings.retention_log_days)
        retention = Retention(database=self.database, blobs=self.blobs, clock=self.clock, log=kept)
        finished = False  # what an earlier process, or a step that failed, may have left undone is done first
        while not stop.wait(self.settings.retention_seconds):
            gone = step.take(partial(retention.sweep, again=not finished))
            finished = gone is not None
            if gone:
                log.info("the bytes of %s files were given up under retention", gone)


class Step:
    """One loop's step, taken again and again: a failure is logged when it begins and when it is over, not each time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failing = False

    def take(self, step: Callable[[], T]) -> T | None:
        """The step's answer; None if it failed."""
        try:
            answer = step()
        except Exception as error:  # noqa: BLE001  # whatever it was, the loop must go on; the net is the next step
            if not self._failing:
                log.warning("%s is held up, and tries on: %s: %s", self._name, type(error).__name__, error)
            self._failing = True
            return None
        if self._failing:
            log.warning("%s goes on", self._name)
            self._failing = False
        return answer
