"""Who may do what with a report, and in which order? People, on the twin they have read, and never its runner.

generated -> in review -> approved | rejected -> superseded. Every step is a row, an event and a signature; the state is
moved by one guarded UPDATE, so that of two signers at once one is told that the report has moved on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.contracts.base import canonical_json
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables import Analysis, Principal
from service.store.tables_compliance import ComplianceReport, Schedule, SignOff, Slot, Verdict

Step = Literal["submitted", "reviewed", "approved", "rejected"]
WAYS: Mapping[Step, tuple[str, str]] = {
    "submitted": ("generated", "in_review"),
    "reviewed": ("in_review", "in_review"),
    "approved": ("in_review", "approved"),
    "rejected": ("in_review", "rejected"),
}
INDEPENDENT: frozenset[Step] = frozenset({"reviewed", "approved"})


class NotNow(RuntimeError):
    """The report is in no state for this step, or has moved on; the message says which it is in."""


class NotYou(RuntimeError):
    """This principal may not take this step; the message says why."""


class OtherTwin(RuntimeError):
    """What was read is not what would be signed."""


class Signer(Protocol):
    """What signs for the service."""

    @property
    def key_id(self) -> str:
        """Names the key."""

    def sign(self, content: bytes) -> str:
        """The Ed25519 signature, base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """One step that somebody wants to take."""

    step: Step
    principal: UUID
    digest: str
    role: str
    comment: str


def runners_of(session: Session, report: ComplianceReport) -> set[UUID]:
    """Who asked for the report or an earlier revision, made its schedule or fired it by hand, or ran what it counts."""
    cited = (
        select(Analysis.created_by, Slot.created_by.label("fired_by"))
        .join(Verdict, Verdict.analysis_id == Analysis.id)
        .outerjoin(Slot, Slot.audit_id == Analysis.audit_id)
        .where(Verdict.report_id == report.id)
        .distinct()
    )
    found = {person for row in session.execute(cited) for person in row if person is not None}
    found |= set(session.scalars(select(Slot.created_by).where(Slot.report_id == report.id)))
    found |= {UUID(person) for person in (report.about or {}).get("runners", ())}
    found |= {each.created_by for each in _revisions(session, report)}
    if report.schedule_id is not None:
        found.add(session.get_one(Schedule, report.schedule_id).created_by)
    return found


def _revisions(session: Session, report: ComplianceReport) -> Iterator[ComplianceReport]:
    """The report, and every one that it was made from anew."""
    here: ComplianceReport | None = report
    while here is not None:
        yield here
        here = None if here.supersedes_id is None else session.get(ComplianceReport, here.supersedes_id)


def sign_off(session: Session, report_id: UUID, wanted: Signing, *, signer: Signer, now: datetime) -> SignOff:
    """Take a step with a report. Raises LookupError, NotNow, NotYou, OtherTwin; then nothing is written."""
    report = session.get(ComplianceReport, report_id)
    if report is None:
        raise LookupError(f"there is no compliance report {report_id}")
    person = session.get_one(Principal, wanted.principal)
    _check_state(report, wanted)
    _check_person(session, report, person, wanted)
    before, after = WAYS[wanted.step]
    moved = session.scalar(
        update(ComplianceReport)
        .where(ComplianceReport.id == report.id, ComplianceReport.state == before)
        .values(state=after)
        .returning(ComplianceReport.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NotNow("the report has moved on meanwhile; read it again")
    session.refresh(report)
    row = SignOff(
        id=new_id(),
        tenant=report.tenant,
        created_by=person.id,
        created_at=now,
        report_id=report.id,
        step=wanted.step,
        name=person.name,
        role=wanted.role,
        comment=wanted.comment,
        digest=wanted.digest,
        key_id=signer.key_id,
        signature="",
    )
    row.signature = signer.sign(statement_of(row))
    session.add(row)
    record(
        session,
        [row, report],
        tenant=report.tenant,
        actor=person.id,
        now=now,
        subject_type="compliance_report",
        subject_id=report.id,
        action=wanted.step,
        detail={"digest": wanted.digest, "role": wanted.role},
    )
    return row


def statement_of(row: SignOff) -> bytes:
    """What the signature of a sign-off is over: RFC 8785 of who, what and when."""
    return canonical_json(
        {
            "report": str(row.report_id),
            "digest": row.digest,
            "step": row.step,
            "principal": str(row.created_by),
            "name": row.name,
            "role": row.role,
            "comment": row.comment,
            "at": row.created_at.isoformat(),
        }
    )


def _check_state(report: ComplianceReport, wanted: Signing) -> None:
    before, _ = WAYS[wanted.step]
    if report.state == "superseded":
        raise NotNow("the report is superseded by a later revision; sign that one")
    if report.state != before:
        raise NotNow(f"a report that is {_words(report.state)} cannot be {wanted.step}; it must be {_words(before)}")
    if report.twin_digest != wanted.digest:
        raise OtherTwin(
            f"the digest given is not that of this report's twin, which is {report.twin_digest}; read the report again"
        )


def _check_person(session: Session, report: ComplianceReport, person: Principal, wanted: Signing) -> None:
    if person.kind != "person":
        raise NotYou("only a person signs; this key belongs to a service")
    if wanted.step == "rejected" and not wanted.comment.strip():
        raise NotYou("a rejection needs a comment that says why")
    if wanted.step in INDEPENDENT and person.id in runners_of(session, report):
        raise NotYou(
            "who ran the audits, made the schedule or asked for the report does not review or approve it; "
            "somebody else must"
        )
    if wanted.step == "approved" and person.id in _submitters(session, report):
        raise NotYou("who sent the report to review does not approve it as well; somebody else must")


def _submitters(session: Session, report: ComplianceReport) -> set[UUID]:
    rows = select(SignOff.created_by).where(SignOff.report_id == report.id, SignOff.step == "submitted")
    return set(session.scalars(rows))


def _words(state: str) -> str:
    return state.replace("_", " ")
