"""How does a message become an outcome? Claim, stage, run in a child, check, save; the row is the truth throughout.

This process holds the credentials and imports no torch; the child holds the model and has nothing else.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Self
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from service.catalog import Catalog
from service.clock import Clock, SystemClock
from service.contracts.problem import Reason
from service.contracts.status import WorkState, WorkType
from service.settings import Settings
from service.store.blobs import BlobDamaged, BlobMissing, BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.work import finish, lease, registry, wake
from service.work.claim import Claim, claim, claim_group
from workers.sandbox.children import Child
from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildSpec, Exit, Level, Limits, SandboxUnavailable
from workers.saving import Saving
from workers.scratch import Scratch, sweep
from workers.staging import InputGone, Staged, stage_analyses, stage_inspection
from workers.verdicts import minimum_level, sandbox_too_weak, why_it_ended
from workers.watch import Standing, Ticket, Watch

log = logging.getLogger("lamina.worker")
GROUP_MOST = 16
SEEN_SECONDS = 5.0
NOT_STORED = Reason(
    code="not-stored",
    detail="What the child wrote could not be stored; the worker's log has the trace.",
    permanent=False,
)


class Desk:
    """One pool process at work: its zygote, its database, its name in the registry."""

    def __init__(
        self, settings: Settings, name: str, *, database: Database, blobs: BlobStore, zygote: Zygote, clock: Clock
    ) -> None:
        self.settings, self.name = settings, name
        self.database, self.blobs, self.zygote, self.clock = database, blobs, zygote, clock
        self.catalog = Catalog.load()
        self._has = [f"{kind}@{number}" for kind, number in self.catalog.versions().items()]
        self.lease = timedelta(seconds=settings.lease_seconds)
        self._closing, self._warm = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="registry", daemon=True)

    @classmethod
    def open(cls, settings: Settings, name: str) -> Self:
        """Open what a pool process needs; the zygote gets ready behind it. Call it after the fork."""
        settings.scratch.mkdir(parents=True, exist_ok=True)
        desk = cls(
            settings,
            name,
            database=Database(settings.database_url),
            blobs=BlobStore(settings.blobs),
            zygote=Zygote(),
            clock=SystemClock(),
        )
        desk._keeper.start()
        return desk

    def close(self) -> None:
        """End the zygote and whatever it still has."""
        self._closing.set()
        self.zygote.close()
        self.database.close()

    def run(self, work_id: str) -> None:
        """Do one unit of work, with the rest of its group, if it is still there to be done."""
        self._warm.wait()  # not after the claim: a lease should not run while torch is imported
        with system_session(self.database) as session:
            first = claim(
                session, UUID(work_id), owner=self.name, now=self.clock.now(), lease=self.lease, has=self._has
            )
            if first is None:
                return  # a doubled message, cancelled meanwhile, or another worker's
            claims = [first]
            if first.type is WorkType.ANALYSIS and not first.solo:
                now = self.clock.now()
                claims += claim_group(
                    session, first, owner=self.name, now=now, lease=self.lease, most=GROUP_MOST, has=self._has
                )
        errand = Errand(self, claims)
        try:
            errand.run()
        except Exception:
            log.exception("work %s failed in the worker", work_id)
            errand.settle_rest(
                Reason(code="worker-error", detail="The worker failed; its log has the trace.", permanent=False)
            )
        wake.ring(self.settings.broker_url)  # what waited for this, and the report of an audit it closed

    def _keep(self) -> None:
        """Start the zygote, then say every few seconds that this worker is there."""
        try:
            self.zygote.start()
            swept = sweep(self.settings.scratch)
            if swept:
                log.info("removed %s scratch folders of workers that died", swept)
        except (SandboxUnavailable, OSError):
            log.exception("no zygote, or no scratch; each piece of work will try again")
        finally:
            self._warm.set()
        started = self.clock.now()
        while True:
            try:
                with system_session(self.database) as session:
                    registry.seen(
                        session,
                        worker_id=self.name,
                        queues=self.settings.queues.split(","),
                        device=self.settings.device,
                        sandbox_level=self.zygote.level.value,
                        kinds=self.catalog.versions(),
                        lamina_version=version("lamina"),
                        started_at=started,
                        now=self.clock.now(),
                    )
            except Exception:
                log.exception("the registry could not be told; trying again in %s s", SEEN_SECONDS)
            if self._closing.wait(SEEN_SECONDS):
                return


class Errand:
    """One child's worth of work: an inspection, or a group of analyses of one audit."""

    def __init__(self, desk: Desk, claims: Sequence[Claim]) -> None:
        self.desk = desk
        self.claims = {str(one.work_id): one for one in claims}
        self.tickets = [Ticket(member) for member in self.claims]
        self.tenant = claims[0].tenant
        self.inspection = claims[0].type is WorkType.INSPECTION
        self.child: Child | None = None
        self.scratch: Scratch | None = None
        self.staged: Staged | None = None
        self.began = desk.clock.now()
        self._renewed: dict[str, datetime] = {}

    def run(self) -> None:
        """Stage, run, save. Every claim ends here in a state of its own, or stays with whoever took its lease."""
        try:
            with self._alive():
                if self.desk.zygote.pid is None:
                    self.desk.zygote.start()
                self.staged = self._stage()
                minimum = minimum_level(trusted=self.staged.trusted, weak_allowed=self.desk.settings.allow_weak_sandbox)
                refusal = sandbox_too_weak(self.desk.zygote.level, minimum)
                if refusal is not None:
                    self.settle_rest(refusal)
                    return
                self.scratch = Scratch(self.desk.settings.scratch.resolve())
                self.scratch.lay_out(self.staged, self.tenant, self.desk.blobs)
            self._settle(*self._watch(self.scratch, minimum))
        except (InputGone, BlobMissing, BlobDamaged) as error:
            self.settle_rest(Reason(code="input-gone", detail=f"An input of this work cannot be read: {error}."[:4000]))
        except SandboxUnavailable as error:
            self.settle_rest(Reason(code="sandbox-unavailable", detail=error.reason[:4000], permanent=error.permanent))
        finally:
            if self.scratch is not None:
                self.scratch.clear()

    def _stage(self) -> Staged:
        with system_session(self.desk.database, writes=False) as session:
            claims = list(self.claims.values())
            if self.inspection:
                return stage_inspection(session, claims[0])
            return stage_analyses(session, claims, self.desk.settings, self.desk.zygote.level.value)

    def _watch(self, scratch: Scratch, minimum: Level) -> tuple[Exit, bool]:
        settings = self.desk.settings
        child = self.desk.zygote.spawn(
            ChildSpec(
                entry="workers.child:run",
                scratch=scratch.path,
                limits=Limits(
                    memory_bytes=settings.child_memory_bytes,
                    cpu_seconds=settings.child_cpu_seconds,
                    wall_seconds=settings.child_wall_seconds,
                    file_bytes=settings.child_file_bytes,
                    scratch_bytes=2 * settings.child_file_bytes,
                ),
                threads=settings.child_threads,
                device=settings.device,
                minimum_level=minimum,
            )
        )
        watch = Watch(
            child=child,
            tickets=self.tickets,
            beat=self._beat,
            save=self._save,
            drop=scratch.drop,
            beat_seconds=min(self.desk.lease.total_seconds() / 4, 1.0),
            grace_seconds=settings.cancel_grace_seconds,
        )
        self.child = child
        try:
            return watch.run(), watch.misbehaved
        finally:
            child.kill()

    def _level(self) -> Level:
        """What the child itself reached; on a GPU that can be less than what the machine gives."""
        return (self.child.level if self.child else None) or self.desk.zygote.level

    def _beat(self, ticket: Ticket) -> WorkState | None:
        """Renew one lease. A database that cannot be reached for a moment has taken nothing from us yet."""
        now = self.desk.clock.now()
        try:
            with system_session(self.desk.database) as session:
                state = lease.heartbeat(
                    session,
                    self.claims[ticket.member],
                    now=now,
                    lease=self.desk.lease,
                    progress=ticket.fraction,
                    stage=ticket.stage,
                )
        except SQLAlchemyError as error:
            log.warning("work %s: its lease could not be renewed: %s", ticket.member, type(error).__name__)
            held = self._renewed.get(ticket.member, self.began) + self.desk.lease > now
            return WorkState.RUNNING if held else None
        self._renewed[ticket.member] = now
        return state

    def _save(self, ticket: Ticket) -> None:
        """Take in what the child wrote for one member. Whatever is wrong with it is that member's fault alone."""
        assert self.scratch is not None  # a child runs only in a scratch
        assert self.staged is not None  # and on what was staged
        saving = Saving(
            settings=self.desk.settings,
            database=self.desk.database,
            blobs=self.desk.blobs,
            clock=self.desk.clock,
            catalog=self.desk.catalog,
            job=self.staged.job,
            scratch=self.scratch.path,
        )
        with self._alive():
            try:
                reason = saving.take_in(self.claims[ticket.member], worker=self.desk.name, level=self._level())
            except finish.LeaseLost:
                ticket.standing = Standing.LOST
                return
            except Exception:
                log.exception("work %s: its result could not be stored", ticket.member)
                reason = NOT_STORED
            if reason is None:
                ticket.standing = Standing.SAVED
            else:
                self._settle_one(ticket, reason, refuse=self.inspection and reason.permanent)

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        """Leases are renewed also while this thread is busy with large files."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self.desk.lease.total_seconds() / 4):
                for ticket in self.tickets:
                    if ticket.standing is Standing.OPEN:
                        self._beat(ticket)

        beating = threading.Thread(target=beat, name="leases", daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()

    def _settle(self, ended: Exit, misbehaved: bool) -> None:
        """After the child: cancelled members are cancelled; unfinished ones of a group run alone next time."""
        unfinished = [ticket for ticket in self.tickets if ticket.standing is Standing.OPEN]
        cancelled = [ticket for ticket in self.tickets if ticket.standing is Standing.CANCELLED]
        for ticket in cancelled:
            with contextlib.suppress(finish.LeaseLost), system_session(self.desk.database) as session:
                finish.cancelled(session, self.claims[ticket.member], now=self.desk.clock.now())
        if len(self.tickets) > 1:
            for ticket in unfinished:
                with contextlib.suppress(finish.LeaseLost), system_session(self.desk.database) as session:
                    # Killed for a cancelled neighbour, they may share a child again; after a death they run alone.
                    finish.give_back(session, self.claims[ticket.member], solo=not cancelled, now=self.desk.clock.now())
                ticket.standing = Standing.LOST
        else:
            self.settle_rest(why_it_ended(ended, misbehaved=misbehaved))

    def settle_rest(self, reason: Reason) -> None:
        """End every member that has no end yet with one reason."""
        for ticket in self.tickets:
            if ticket.standing is Standing.OPEN:
                self._settle_one(ticket, reason, refuse=self.inspection and reason.permanent)

    def _settle_one(self, ticket: Ticket, reason: Reason, *, refuse: bool = False) -> None:
        one, now = self.claims[ticket.member], self.desk.clock.now()
        try:
            with system_session(self.desk.database) as session:
                if refuse:
                    finish.refuse(session, one, reason, now=now)
                else:
                    finish.fail(session, one, reason, now=now)
            ticket.standing = Standing.SAVED
        except finish.LeaseLost:
            ticket.standing = Standing.LOST
