"""What is asked of the rows of compliance? Named questions, each within the session's tenant."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.questions import After, Slice, page_of
from service.store.tables_compliance import ComplianceReport, ReportFile, SignOff


def reports_page(
    session: Session,
    *,
    limit: int,
    after: After | None = None,
    model_name: str | None = None,
    state: str | None = None,
    schedule_id: UUID | None = None,
) -> Slice[ComplianceReport]:
    """Compliance reports, newest first; of one model, in one state or of one schedule, if given."""
    equal = {"model_name": model_name, "state": state, "schedule_id": schedule_id}
    where = [getattr(ComplianceReport, name) == value for name, value in equal.items() if value is not None]
    return page_of(session, select(ComplianceReport).where(*where), ComplianceReport, limit, after)


def report_file(session: Session, report_id: UUID, name: str) -> ReportFile | None:
    """One file of a report; None until it is made, or if it has no such form."""
    return session.scalar(select(ReportFile).where(ReportFile.report_id == report_id, ReportFile.name == name))


def report_files(session: Session, report_id: UUID) -> Sequence[ReportFile]:
    """The files of a report, by name."""
    return session.scalars(select(ReportFile).where(ReportFile.report_id == report_id).order_by(ReportFile.name)).all()


def sign_offs(session: Session, report_id: UUID) -> Sequence[SignOff]:
    """What people did with a report, in order."""
    return session.scalars(
        select(SignOff).where(SignOff.report_id == report_id).order_by(SignOff.created_at, SignOff.id)
    ).all()
