"""Is what a report would rest on still what it was? The whole log, and every row and file of the model's evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.clock import Clock
from service.compliance.sources import LedgerFacts
from service.evidence.giving_up import given_up
from service.evidence.ledger_check import (
    blobs_of,
    bound_by,
    check_blobs,
    check_points,
    check_retention,
    check_rows,
)
from service.evidence.log_check import Finding, check_log
from service.store.blobs import BlobStore
from service.store.tables import Analysis, Artifact, Audit, Measurement, Model

UNACCOUNTED_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking the log and the model's evidence found; `analyses`: whose evidence cannot be relied on."""

    log: Sequence[Finding]
    rows: Sequence[Finding]
    analyses: frozenset[UUID]
    count: int

    def facts(self, session: Session, model: Model, clock: Clock) -> LedgerFacts:
        """The same as counts, for the controls that ask for them."""
        gone = [each for each in self.rows if "gone" in each.said or "given up" in each.said]
        open_since = clock.now() - UNACCOUNTED_AFTER
        unaccounted = session.scalars(
            select(func.count(Analysis.id))
            .join(Audit, Audit.id == Analysis.audit_id)
            .where(Audit.model_id == model.id, Analysis.ended_at.is_(None), Analysis.created_at < open_since)
        ).one()
        named = [f"{each.table} {each.row}: {each.said}" for each in (*self.log, *self.rows)]
        return LedgerFacts(
            chain_breaks=len(self.log),
            digest_mismatches=len(self.rows),
            unaccounted_runs=unaccounted,
            retention_violations=len(gone),
            checked=self.count,
            said=("; ".join(named[:5]) + (f"; and {len(named) - 5} more" if len(named) > 5 else ""))[:3900],
        )


def check_model(session: Session, blobs: BlobStore, tenant: UUID, model: Model) -> Checked:
    """The whole log, and every row and file that this model's evidence rests on."""
    bound = bound_by(session, tenant)
    of_model = select(Audit.id).where(Audit.model_id == model.id)
    analyses = session.scalars(
        select(Analysis).where(Analysis.audit_id.in_(of_model), Analysis.ended_at.is_not(None))
    ).all()
    files = session.scalars(select(Artifact).where(Artifact.audit_id.in_(of_model))).all()
    points: dict[UUID, list[Measurement]] = {row.id: [] for row in analyses if row.reason is None}
    for point in session.scalars(select(Measurement).where(Measurement.audit_id.in_(of_model))):
        points.setdefault(point.analysis_id, []).append(point)
    points = {name: rows for name, rows in points.items() if rows or f"measurements:{name}" in bound}
    bad_rows = list(check_rows([model, *analyses, *files], bound))
    bad_points = list(check_points(points, bound))
    digests = {model.source_digest, model.canonical_digest, *(file.digest for file in files)}
    held = blobs_of(session, tenant, [digest for digest in digests if digest])
    given_away = {file.digest for file in files if file.analysis_id is not None}
    gone = given_up(session, tenant)
    early = check_retention(session, tenant, {digest: at for digest, at in gone.items() if digest in given_away})
    bad_blobs = [*check_blobs(blobs, tenant, held, gone), *early]
    return Checked(
        log=list(check_log(session, tenant)),
        rows=[*bad_rows, *bad_points, *bad_blobs],
        analyses=_broken(session, bad_rows, bad_points, bad_blobs, files, analyses, model),
        count=len(bound),
    )


def _broken(
    session: Session,
    bad_rows: Sequence[Finding],
    bad_points: Sequence[Finding],
    bad_blobs: Sequence[Finding],
    files: Sequence[Artifact],
    analyses: Sequence[Analysis],
    model: Model,
) -> frozenset[UUID]:
    """Analyses whose evidence cannot be relied on: a row, a number or a file of theirs is not what it was."""
    lost = {each.row for each in bad_blobs}
    if {model.source_digest, model.canonical_digest} & lost or any(each.table == "model" for each in bad_rows):
        return frozenset(row.id for row in analyses)
    found = {UUID(each.row) for each in bad_rows if each.table == "analysis"}
    bad_files = {each.row for each in bad_rows if each.table == "artifact"}
    found |= {
        file.analysis_id
        for file in files
        if file.analysis_id is not None and (file.digest in lost or str(file.id) in bad_files)
    }
    for each in bad_points:
        name = each.row.split(",")[0].split(" ")
        if each.row.startswith("of analysis "):
            found.add(UUID(name[-1]))
        else:
            found.add(session.get_one(Measurement, UUID(name[0])).analysis_id)
    return frozenset(found)
