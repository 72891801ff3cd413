"""How does a compliance report look from outside? As the values of service/contracts/compliance_reports.py."""

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from service.contracts.compliance_reports import (
    ComplianceReportView,
    ReportFileView,
    ReportForm,
    ReportState,
    SignOffView,
    SignStep,
)
from service.contracts.problem import Reason
from service.contracts.status import WorkState
from service.store import questions_compliance as questions
from service.store.tables import Model, Work
from service.store.tables_compliance import ComplianceReport, SignOff

FORMS: dict[ReportForm, str] = {
    "html": "report.html",
    "pdf": "report.pdf",
    "json": "report.json",
    "dsse": "report.dsse.json",
    "zip": "report.zip",
}
_FORM_OF = {name: form for form, name in FORMS.items()}
_STATE: TypeAdapter[ReportState] = TypeAdapter(ReportState)
_STEP: TypeAdapter[SignStep] = TypeAdapter(SignStep)


def show_report(session: Session, row: ComplianceReport) -> ComplianceReportView:
    """A report with its files and signatures. One whose work has failed is shown as failed, with the reason."""
    work = None if row.work_id is None else session.get(Work, row.work_id)
    failed = row.state == "waiting" and work is not None and work.state == WorkState.FAILED.value
    reason = work.reason if failed and work is not None else None
    return ComplianceReportView(
        id=row.id,
        title=row.title,
        model=row.model_id,
        model_name=row.model_name,
        model_version=session.get_one(Model, row.model_id).version,
        policy=row.policy_id,
        schedule=row.schedule_id,
        window_from=row.window_from,
        window_to=row.window_to,
        zone=row.zone,
        as_of=row.as_of,
        late_seconds=row.late_seconds,
        trigger=row.trigger,
        revision=row.revision,
        supersedes=row.supersedes_id,
        state="failed" if failed else _STATE.validate_python(row.state),
        twin_digest=row.twin_digest,
        counts=row.counts or {},
        reason=None if reason is None else Reason.model_validate(reason),
        files=tuple(
            ReportFileView(
                form=_FORM_OF[file.name], name=file.name, media_type=file.media_type, digest=file.digest, size=file.size
            )
            for file in questions.report_files(session, row.id)
        ),
        sign_offs=tuple(show_sign_off(signed) for signed in questions.sign_offs(session, row.id)),
        created_by=row.created_by,
        created_at=row.created_at,
        generated_at=row.generated_at,
    )


def show_sign_off(row: SignOff) -> SignOffView:
    """One signature."""
    return SignOffView(
        step=_STEP.validate_python(row.step),
        principal=row.created_by,
        name=row.name,
        role=row.role,
        comment=row.comment,
        digest=row.digest,
        key_id=row.key_id,
        signature=row.signature,
        at=row.created_at,
    )
