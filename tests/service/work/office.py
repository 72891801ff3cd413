"""A world whose bytes are kept and whose audits measure what controls ask for; and an office that reports on it."""

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from service.catalog import Catalog
from service.contracts.compliance_reports import ComplianceReportSubmission
from service.contracts.facts import ModelFacts
from service.contracts.outcome import Measurement
from service.evidence.keys import SigningKeys
from service.evidence.seal import Appender
from service.settings import Settings
from service.store.blobs import BlobStore, Stored
from service.store.system import system_session
from service.store.tables import Analysis, Model
from service.store.tables_compliance import ComplianceReport
from service.work import finish
from service.work.claim import Claim
from service.work.compliance_making import ComplianceReporter
from service.work.compliance_reports import submit_report
from tests.service.work import world as plain
from tests.service.work.world import KIND, World

FACTS = ModelFacts(
    task="classification",
    input=plain.FEATURES,
    output=plain.MODEL_FACTS.output,
    accuracy=0.9,
    epsilon=0.1,
    risk_tier="high",
)
CATALOG = Catalog(
    {
        "layer_conductance": {
            **KIND,
            "family": "attribution",
            "metrics": ["layer_total", "completeness_error", "parameter_randomisation", "deletion_gain"],
        },
        "robustness": {
            **KIND,
            "family": "robustness",
            "title": "Robustness",
            "metrics": ["robust_accuracy", "attack_checks_failed"],
        },
        "accuracy": {
            **KIND,
            "family": "performance",
            "title": "Accuracy",
            "metrics": ["clean_accuracy", "smallest_class"],
        },
    }
)


@dataclass
class Office(World):
    """One tenant, its blobs on disk, its log sealed, its reports made."""

    catalog: Catalog = CATALOG
    folder: Path = Path()
    keys: SigningKeys = field(default_factory=SigningKeys.made)
    store: BlobStore | None = None

    @property
    def blobs(self) -> BlobStore:
        return self.store or BlobStore(str(self.folder / "blobs"))

    @property
    def appender(self) -> Appender:
        return Appender(database=self.database, clock=self.clock, keys=self.keys)

    def keep(self, content: str) -> Stored:
        return self.blobs.put(self.tenant, [content.encode()], most=1 << 20)

    def hold(self, content: str) -> Stored:
        self.keep(content)
        return super().hold(content)

    def inspected(self, held: Claim, content: str = "") -> None:
        self.keep(f"canonical {held.subject_id} {content}")
        with system_session(self.database) as session:
            row = session.get(Model, held.subject_id)
            if row is not None:
                row.facts = FACTS.model_dump(mode="json")
        super().inspected(held, content)

    def measure(self, model: UUID, dataset: UUID, kind: str, *points: Measurement, file: str = "arrays.json") -> UUID:
        """An audit of one analysis that gave these numbers."""
        audit = self.audit(model, dataset, kind=kind)
        with system_session(self.database) as session:
            analysis = session.query(Analysis.id).filter_by(audit_id=audit).scalar()
        held = self.claim_subject(analysis)
        assert held is not None
        self.keep(file)
        with system_session(self.database) as session:
            finish.succeed_analysis(
                session,
                held,
                result=plain.result(*points, files=(file,), kind=kind),
                stored={file: plain.stored(file)},
                provenance=plain.provenance(),
                now=self.clock.now(),
                settings=self.settings,
            )
        return UUID(str(analysis))

    def ask(self, model: str, since: datetime, until: datetime, **changes: Any) -> UUID:
        """Ask for a report by hand."""
        wanted = ComplianceReportSubmission(model_name=model, window_from=since, window_to=until, **changes)
        with self.database.session(self.tenant) as session:
            return submit_report(session, wanted, frameworks=["EUAIA"], **self._who()).id

    def reporter(self) -> ComplianceReporter:
        return ComplianceReporter(
            database=self.database,
            blobs=self.blobs,
            clock=self.clock,
            settings=self.settings,
            catalog=self.catalog,
            appender=self.appender,
            owner="scheduler",
        )

    def make_reports(self) -> int:
        return self.reporter().make_due(threading.Event())

    def report(self, report_id: UUID) -> ComplianceReport:
        with system_session(self.database) as session:
            return session.get_one(ComplianceReport, report_id)

    def file(self, report_id: UUID, name: str) -> bytes:
        """The bytes of one form of a report."""
        from service.store import questions_compliance as questions

        with self.database.session(self.tenant) as session:
            row = questions.report_file(session, report_id, name)
        assert row is not None, f"{name} was not made"
        with self.blobs.open(self.tenant, row.digest) as source:
            return source.read()

    def statuses(self, report_id: UUID) -> dict[str, str]:
        twin = json.loads(self.file(report_id, "report.json"))
        return {control["id"]: control["status"] for control in twin["controls"]}


def an_office(database: Any, clock: Any, tenant: UUID, principal: UUID, folder: Path) -> Office:
    return Office(database, clock, tenant, principal, settings=Settings(render_seconds=30.0), folder=folder)


def week(number: int) -> timedelta:
    return timedelta(days=7 * number)
