"""How does a message become an outcome? Claim, stage, run in a child, check, save; the row is the truth throughout.

This process holds the credentials and imports no torch; the child holds the model and has nothing else.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Self
from uuid import UUID

from service.catalog import Catalog
from service.clock import Clock, SystemClock
from service.contracts.job import Analyse, Failed, Inspected, Refused, Succeeded
from service.contracts.problem import Reason
from service.contracts.status import WorkState, WorkType
from service.settings import Settings
from service.store.base import new_id
from service.store.blobs import BlobDamaged, BlobMissing, BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.work import finish, lease, registry
from service.work.claim import Claim, claim, claim_group
from workers.results import ResultRefused, check_success, open_canonical, read_answer, read_artifact
from workers.sandbox.children import Child
from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildSpec, Exit, Level, Limits, SandboxUnavailable
from workers.staging import InputGone, Scratch, Staged, stage_analyses, stage_inspection
from workers.verdicts import minimum_level, sandbox_too_weak, why_it_ended
from workers.watch import Standing, Ticket, Watch

log = logging.getLogger("lamina.worker")
GROUP_MOST = 16
SEEN_SECONDS = 5.0
CHUNK = 1 << 20


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

    def _keep(self) -> None:
        """Start the zygote, then say every few seconds that this worker is there."""
        try:
            self.zygote.start()
        except SandboxUnavailable:
            log.exception("no zygote; each piece of work will try again")
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

    def run(self) -> None:
        """Stage, run, save. Every claim ends here in a state of its own, or stays with whoever took its lease."""
        try:
            if self.desk.zygote.pid is None:
                self.desk.zygote.start()
            self.scratch = Scratch(self.desk.settings.scratch.resolve() / str(new_id()))
            self.staged = self._stage()
            minimum = minimum_level(trusted=self.staged.trusted, weak_allowed=self.desk.settings.allow_weak_sandbox)
            refusal = sandbox_too_weak(self.desk.zygote.level, minimum)
            if refusal is not None:
                self.settle_rest(refusal)
                return
            self.scratch.lay_out(self.staged, self.tenant, self.desk.blobs)
            self._settle(*self._watch(self.scratch, minimum))
        except (InputGone, BlobMissing, BlobDamaged) as error:
            self.settle_rest(Reason(code="input-gone", detail=f"An input of this work cannot be read: {error}."))
        except SandboxUnavailable as error:
            self.settle_rest(Reason(code="sandbox-unavailable", detail=error.reason, permanent=error.permanent))
        finally:
            if self.scratch is not None:
                self.scratch.clear()

    def _stage(self) -> Staged:
        with system_session(self.desk.database) as session:
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
        with system_session(self.desk.database) as session:
            return lease.heartbeat(
                session,
                self.claims[ticket.member],
                now=self.desk.clock.now(),
                lease=self.desk.lease,
                progress=ticket.fraction,
                stage=ticket.stage,
            )

    def _save(self, ticket: Ticket) -> None:
        """Check and store what the child wrote for one member; a result that breaks a rule is refused whole."""
        assert self.scratch is not None  # a child runs only in a scratch
        settings = self.desk.settings
        try:
            result = read_answer(self.scratch.path, ticket.member, settings.result_json_bytes)
            match result:
                case Succeeded() if not self.inspection:
                    self._save_success(ticket, result, self.scratch)
                case Inspected() if self.inspection:
                    self._save_inspected(ticket, result, self.scratch)
                case Refused() if self.inspection:
                    self._settle_one(ticket, result.reason, refuse=True)
                case Failed():
                    self._settle_one(ticket, result.reason)
                case _:
                    raise ResultRefused(f"a result of type {result.status!r} does not answer what was asked")
        except ResultRefused as error:
            log.warning("work %s: result refused: %s", ticket.member, error)
            self._settle_one(
                ticket, Reason(code="result-refused", detail=f"What the child wrote was refused: {error}.")
            )
        except finish.LeaseLost:
            ticket.standing = Standing.LOST

    def _save_success(self, ticket: Ticket, result: Succeeded, scratch: Scratch) -> None:
        job = self.staged.job if self.staged else None
        assert isinstance(job, Analyse)  # only analyses succeed; inspections are inspected
        member = next(one for one in job.members if one.id == ticket.member)
        digests = {role: staged.digest for role, staged in job.inputs.items()}
        check_success(result, member, job.model, digests, self.desk.catalog.kind(member.kind))
        stored = {}
        for artifact in result.artifacts:
            content = read_artifact(scratch.path, ticket.member, artifact, self.desk.settings.child_file_bytes)
            stored[artifact.file] = self.desk.blobs.put(self.tenant, [content], most=len(content))
        one = self.claims[ticket.member]
        provenance = result.provenance.model_copy(
            update={"worker": self.desk.name, "attempt": one.attempt, "sandbox_level": self._level().value}
        )
        with system_session(self.desk.database) as session:
            finish.succeed_analysis(
                session,
                one,
                result=result,
                stored=stored,
                provenance=provenance,
                now=self.desk.clock.now(),
                settings=self.desk.settings,
            )
        ticket.standing = Standing.SAVED

    def _save_inspected(self, ticket: Ticket, result: Inspected, scratch: Scratch) -> None:
        most = self.desk.settings.child_file_bytes
        with open_canonical(scratch.path, ticket.member, result.canonical) as file:
            chunks = iter(lambda: file.read(CHUNK), b"")
            stored = self.desk.blobs.put(self.tenant, chunks, most=most)
        if stored.digest != result.manifest.canonical_digest:
            raise ResultRefused(f"the canonical form is {stored.digest}, not {result.manifest.canonical_digest}")
        with system_session(self.desk.database) as session:
            finish.succeed_inspection(
                session,
                self.claims[ticket.member],
                manifest=result.manifest,
                canonical=stored,
                now=self.desk.clock.now(),
                settings=self.desk.settings,
                catalog=self.desk.catalog,
            )
        ticket.standing = Standing.SAVED

    def _settle(self, ended: Exit, misbehaved: bool) -> None:
        """After the child: cancelled members are cancelled; unfinished ones of a group run alone next time."""
        unfinished = [ticket for ticket in self.tickets if ticket.standing is Standing.OPEN]
        cancelled = [ticket for ticket in self.tickets if ticket.standing is Standing.CANCELLED]
        for ticket in cancelled:
            with system_session(self.desk.database) as session:
                finish.cancelled(session, self.claims[ticket.member], now=self.desk.clock.now())
        if len(self.tickets) > 1:
            for ticket in unfinished:
                with system_session(self.desk.database) as session:
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
