"""How does a closed audit get its report? Its rows are read as values, composed, and kept as two files."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.clock import Clock
from service.contracts.base import Value
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.problem import Reason
from service.contracts.provenance import Provenance
from service.contracts.section import Picture, Section
from service.contracts.status import WorkState
from service.report import build, twin
from service.report.compose import Composed, compose
from service.report.draw import DrawingFailed
from service.report.html import PictureKey, render
from service.report.twin import AuditReport
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Input, Principal, Tenant, Work
from service.work.claim import Claim, claim
from service.work.finish import LeaseLost, fail, succeed_report
from service.work.queue import REPORT_QUEUE
from service.work.shown import analysis_state, audit_state

V = TypeVar("V", bound=Value)
log = logging.getLogger("lamina.scheduler")
Compose = Callable[[AuditReport, Mapping[PictureKey, bytes], float], Composed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Draws the reports that are due, one after the other."""

    database: Database
    blobs: BlobStore
    clock: Clock
    settings: Settings
    catalog: Catalog
    owner: str
    compose: Compose = compose

    def draw_due(self, stop: threading.Event) -> int:
        """Draw every report that is queued and due now, until `stop` is set; returns how many were taken on."""
        taken = 0
        while not stop.is_set() and (held := self._claim_next()) is not None:
            taken += 1
            self._draw(held)
        return taken

    def _claim_next(self) -> Claim | None:
        # Drawing has its own deadline and is killed at it, so a lease beyond that needs no heartbeat.
        lease = timedelta(seconds=self.settings.render_seconds + self.settings.lease_seconds)
        now = self.clock.now()
        with system_session(self.database, writes=False) as session:
            due = session.scalars(
                select(Work.id)
                .where(
                    Work.queue == REPORT_QUEUE,
                    Work.state == WorkState.QUEUED.value,
                    Work.attempt < Work.max_attempts,
                    or_(Work.not_before.is_(None), Work.not_before <= now),
                )
                .order_by(Work.id)
                .limit(8)
            ).all()
        for work_id in due:
            with system_session(self.database) as session:
                held = claim(session, work_id, owner=self.owner, now=now, lease=lease)
            if held is not None:
                return held
        return None

    def _draw(self, held: Claim) -> None:
        try:
            with system_session(self.database, writes=False) as session:
                report = report_of(session, held.subject_id, catalog=self.catalog, clock=self.clock)
            drawn = self._composed(report, self._pictures(held.tenant, report))
            html = self.blobs.put(held.tenant, [drawn.html], most=len(drawn.html))
            plain = self.blobs.put(held.tenant, [drawn.twin], most=len(drawn.twin))
            with system_session(self.database) as session:
                succeed_report(session, held, html, plain, self.clock.now())
        except LeaseLost:
            log.warning("the report of audit %s was drawn by someone else meanwhile", held.subject_id)
        except Exception as error:
            log.exception("the report of audit %s could not be drawn", held.subject_id)
            self._failed(held, error)

    def _composed(self, report: AuditReport, pictures: Mapping[PictureKey, bytes]) -> Composed:
        try:
            return self.compose(report, pictures, self.settings.render_seconds)
        except DrawingFailed as error:
            # The numbers are what counts: every figure's table is in the page, drawn or not.
            log.warning(
                "the figures of audit %s could not be drawn, so its report has tables only: %s", report.audit.id, error
            )
            return Composed(html=render(report, {}, pictures).encode(), twin=twin.write(report))

    def _failed(self, held: Claim, error: Exception) -> None:
        reason = Reason(
            code="report-failed",
            detail=f"The report could not be made: {type(error).__name__}. The scheduler's log has the trace.",
            permanent=False,
        )
        try:
            with system_session(self.database) as session:
                fail(session, held, reason, self.clock.now())
        except LeaseLost:
            log.warning("the report of audit %s is no longer this scheduler's", held.subject_id)

    def _pictures(self, tenant: UUID, report: AuditReport) -> dict[PictureKey, bytes]:
        """The bytes of every picture that a section shows."""
        pictures = {}
        for part in report.sections:
            digests = {artifact.name: artifact.digest for artifact in part.artifacts}
            for block in part.section.blocks if part.section else ():
                if isinstance(block, Picture) and block.artifact in digests:
                    with self.blobs.open(tenant, digests[block.artifact]) as file:
                        pictures[(part.analysis, block.artifact)] = file.read()
        return pictures


def report_of(session: Session, audit_id: UUID, *, catalog: Catalog, clock: Clock) -> AuditReport:
    """The report of an audit as a value, from what is stored of it."""
    audit = session.get_one(Audit, audit_id)
    by = session.get(Principal, audit.created_by)
    return build.build(
        title=audit.title,
        audit=build.Submitted(
            id=str(audit.id),
            state=audit_state(audit),
            submitted_at=audit.created_at,
            closed_at=audit.closed_at,
            submitted_by=str(audit.created_by) if by is None else by.name,
            tenant=session.get_one(Tenant, audit.tenant).name,
        ),
        model=build.Audited(
            name=audit.model.name,
            version=audit.model.version,
            source_digest=audit.model.source_digest,
            facts=ModelFacts.model_validate(audit.model.facts),
            manifest=_read(ModelManifest, audit.model.manifest),
        ),
        inputs=[_input(row) for row in audit.inputs if row.dataset is not None],
        analyses=[_answered(row) for row in audit.analyses],
        kinds={name: kind.title for name, kind in catalog.kinds().items()},
        made_at=clock.now(),
        lamina_version=version("lamina"),
    )


def _input(row: Input) -> build.UsedInput:
    assert row.dataset is not None, "asked for before"
    return build.UsedInput(
        role=row.role,
        name=row.dataset.name,
        source_digest=row.dataset.source_digest,
        facts=DatasetFacts.model_validate(row.dataset.facts),
        manifest=_read(DatasetManifest, row.dataset.manifest),
    )


def _answered(row: Analysis) -> build.Answered:
    return build.Answered(
        id=str(row.id),
        kind=row.kind,
        kind_version=row.kind_version,
        state=analysis_state(row),
        parameters=row.parameters,
        section=_read(Section, row.section),
        reason=_read(Reason, row.reason),
        provenance=_read(Provenance, row.provenance),
        artifacts=[
            build.Artifact(name=kept.name, media_type=kept.media_type, digest=kept.digest, size=kept.size)
            for kept in row.artifacts
        ],
    )


def _read(kind: type[V], stored: Mapping[str, Any] | None) -> V | None:
    """A stored value, checked again; None stays None."""
    return None if stored is None else kind.model_validate_json(json.dumps(stored))
