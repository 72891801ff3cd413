"""How is a compliance report made? Seal, check, assess, write the twin, draw it, pack the evidence, and keep it all.

It is work like any other: claimed, leased, tried again. The twin depends on what is stored and on the window alone, so
a second try, or a revision over the same evidence, says the same.
"""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.clock import Clock
from service.compliance.assess import assess
from service.compliance.gather import Asked, question
from service.compliance.load import Measurable, shipped
from service.contracts.base import digest_of
from service.contracts.compliance import Assessment
from service.contracts.policies import PolicyContent
from service.contracts.problem import Reason
from service.contracts.status import WorkState
from service.evidence import dsse
from service.evidence.bundle import FORMS, FORMS_TYPE, Contents, Piece, Proof, drawn_forms, packed
from service.evidence.chain import Link, raw
from service.evidence.heads import SignedHead
from service.evidence.merkle import Tree
from service.evidence.seal import Appender, entry_of
from service.evidence.statement import Result, statement
from service.report.compliance import twin
from service.report.compliance.build import build
from service.report.compliance.given import Given
from service.report.compliance.html import render_html
from service.report.compliance.pdf import Attachment, TypesettingFailed, render_pdf
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.ledger import evidence_of, point_texts
from service.store.system import system_session
from service.store.tables import Analysis, Event, Measurement, Model, Work
from service.store.tables_compliance import ComplianceReport, Policy, SigningKey
from service.work.claim import Claim, claim
from service.work.compliance_checking import check_model
from service.work.compliance_reading import Basis, ends_of, given
from service.work.compliance_reports import keep_report
from service.work.finish import LeaseLost, fail
from service.work.queue import COMPLIANCE_QUEUE

log = logging.getLogger("lamina.scheduler")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report as files, with what it concluded."""

    files: dict[str, bytes]
    twin_digest: str
    assessment: Assessment
    about: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceReporter:
    """Makes the compliance reports that are due, one after the other."""

    database: Database
    blobs: BlobStore
    clock: Clock
    settings: Settings
    catalog: Catalog
    appender: Appender
    owner: str

    def make_due(self, stop: threading.Event) -> int:
        """Make every report that is queued and due now, until `stop` is set; returns how many were taken on."""
        taken = 0
        while not stop.is_set() and (held := self._claim_next()) is not None:
            taken += 1
            self._make(held)
        return taken

    def make(self, tenant: UUID, report_id: UUID) -> Made:
        """The files of a report; reads, seals and signs, and writes nothing else."""
        head = self.appender.head(tenant)
        with self.database.session(tenant, writes=False) as session:
            basis = self._basis(session, tenant, report_id, head)
            values, analyses = given(session, basis, self.catalog)
            content = twin.write(build(values))
            envelope = dsse.sealed(_statement(basis, values, content), self.appender.keys.current())
            files = {"report.json": content, "report.dsse.json": envelope, "report.html": render_html(content)}
            pieces, links, proofs = _evidence(session, analyses, head, values)
            keys = {row.id: row.public_key for row in session.scalars(select(SigningKey))}
        files |= self._document(content, envelope)
        forms = dsse.sealed(drawn_forms(files), self.appender.keys.current(), payload_type=FORMS_TYPE)
        files["report.zip"] = packed(
            Contents(
                files={**files, FORMS: forms},
                pieces=pieces,
                events=links,
                proofs=proofs,
                head=head,
                public_keys=keys,
            )
        )
        return Made(
            files=files, twin_digest=digest_of(content), assessment=basis.assessment, about=_about(basis, values)
        )

    def _claim_next(self) -> Claim | None:
        lease = timedelta(seconds=4 * self.settings.render_seconds + self.settings.lease_seconds)
        now = self.clock.now()
        with system_session(self.database, writes=False) as session:
            due = session.scalars(
                select(Work.id)
                .where(
                    Work.queue == COMPLIANCE_QUEUE,
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

    def _make(self, held: Claim) -> None:
        try:
            made = self.make(held.tenant, held.subject_id)
            stored = {
                name: self.blobs.put(held.tenant, [content], most=len(content)) for name, content in made.files.items()
            }
            with system_session(self.database) as session:
                keep_report(
                    session,
                    held,
                    files=stored,
                    twin_digest=made.twin_digest,
                    assessment=made.assessment,
                    about=made.about,
                    now=self.clock.now(),
                )
        except LeaseLost:
            log.warning("compliance report %s was made by someone else meanwhile", held.subject_id)
        except Exception as error:
            log.exception("compliance report %s could not be made", held.subject_id)
            self._failed(held, error)

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
            log.warning("compliance report %s is no longer this scheduler's", held.subject_id)

    def _document(self, content: bytes, envelope: bytes) -> dict[str, bytes]:
        """The PDF; without it the page and the twin are still whole, and the report is not held up."""
        attached = Attachment(
            name="report.dsse.json",
            media_type=dsse.IN_TOTO,
            description="Signed in-toto statement about report.json",
            content=envelope,
        )
        try:
            return {"report.pdf": render_pdf(content, [attached], self.settings.render_seconds)}
        except TypesettingFailed as error:
            log.warning("a compliance report has no PDF: %s", error)
            return {}

    def _basis(self, session: Session, tenant: UUID, report_id: UUID, head: SignedHead) -> Basis:
        report = session.get_one(ComplianceReport, report_id)
        model = session.get_one(Model, report.model_id)
        policy = None if report.policy_id is None else session.get_one(Policy, report.policy_id)
        content = PolicyContent() if policy is None else PolicyContent.model_validate_json(json.dumps(policy.content))
        library = shipped()
        checked = check_model(session, self.blobs, tenant, model)
        asked = question(
            session,
            Asked(
                model=model,
                window_from=report.window_from,
                as_of=report.as_of,
                policy=content,
                library=library,
                measurable=Measurable.of(self.catalog),
                ledger=checked.facts(session, model, self.clock),
                broken=checked.analyses,
            ),
        )
        assessment = Assessment(
            as_of=report.as_of,
            model_name=model.name,
            model_version=model.version,
            model_digest=model.canonical_digest or model.source_digest,
            library=library.name,
            policy="the library as shipped" if policy is None else f"{policy.name}, revision {policy.revision}",
            policy_digest=content.digest if policy is None else policy.digest,
            tier=asked.tier,
            controls=assess(asked),
        )
        unsealed = session.scalars(select(func.count(Event.id)).where(Event.chain_number.is_(None))).one()
        return Basis(
            report=report,
            model=model,
            policy=content,
            library=library,
            assessment=assessment,
            head=head,
            unsealed=unsealed,
        )


def _statement(basis: Basis, values: Given, content: bytes) -> bytes:
    assessment = basis.assessment
    return statement(
        twin_digest=digest_of(content),
        models={f"{assessment.model_name}@{assessment.model_version}": assessment.model_digest},
        results=[
            Result(
                control=one.control.id,
                status=one.status.value,
                waived=one.exception is not None and one.exception.effect == "waived",
            )
            for one in assessment.controls
        ],
        configuration={
            "policy": assessment.policy_digest,
            "library": basis.library.digest,
            **{f"{each.role}:{each.name}@{each.version}": each.digest for each in values.data},
        },
        timestamp=basis.report.as_of.isoformat().replace("+00:00", "Z"),
    )


def _evidence(
    session: Session, analyses: Sequence[Analysis], head: SignedHead, values: Given
) -> tuple[list[Piece], list[Link], list[Proof]]:
    """What the zip carries of each analysis, the events that bind it, and their proofs against the head."""
    ends = ends_of(session, [row.id for row in analyses])
    about = {each.id: each for each in values.analyses}
    pieces = []
    for row in analyses:
        if row.ended_at is None:
            continue
        shown, event = about[str(row.id)], ends.get(row.id)
        points = session.scalars(select(Measurement).where(Measurement.analysis_id == row.id)).all()
        pieces.append(
            Piece(
                analysis=str(row.id),
                document=evidence_of(row),
                points=point_texts(points),
                event=None if event is None else event.chain_number,
                about={
                    "kind": shown.kind,
                    "kind_version": shown.kind_version,
                    "state": shown.state,
                    "config_digest": shown.config_digest,
                    "result_digest": shown.result_digest,
                    "environment_digest": shown.environment_digest,
                    "seed": None if shown.provenance is None else shown.provenance.seed,
                    "leaf_hash": shown.leaf_hash,
                },
            )
        )
    events = sorted(
        (event for event in ends.values() if event.chain_number is not None), key=lambda event: event.chain_number or 0
    )
    leaves = session.scalars(
        select(Event.leaf_hash).where(Event.chain_number < head.head.size).order_by(Event.chain_number)
    ).all()
    tree = Tree([raw(leaf) for leaf in leaves if leaf is not None])
    links, proofs = [], []
    for event in events:
        number = event.chain_number
        assert number is not None, "asked for above"
        links.append(
            Link(number=number, entry=entry_of(event), leaf=event.leaf_hash or "", chain_hash=event.chain_hash or "")
        )
        if number < tree.size:
            proofs.append(Proof(number=number, path=[step.hex() for step in tree.inclusion(number)]))
    return pieces, links, proofs


def _about(basis: Basis, values: Given) -> dict[str, object]:
    """What the next report tells its changes from."""
    return {
        "library": basis.assessment.library,
        "policy": basis.assessment.policy,
        "policy_digest": basis.assessment.policy_digest,
        "lamina": version("lamina"),
        "datasets": {each.role: each.digest for each in values.data},
    }
