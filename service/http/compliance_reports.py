"""Endpoints of compliance reports: ask for one, read its forms, sign it off, hand out an expiring link."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from flask import Response
from pydantic import Field, JsonValue
from sqlalchemy.orm import Session

from service.compliance.load import shipped
from service.contracts.api import Page
from service.contracts.base import Name, Value
from service.contracts.compliance_reports import (
    ComplianceReportSubmission,
    ComplianceReportView,
    ExportForm,
    LinkSubmission,
    LinkView,
    ReportForm,
    SignOffSubmission,
    SignOffView,
)
from service.evidence.bundle import handed_out
from service.evidence.rotation import successions
from service.evidence.succession import Succession
from service.http.compliance_views import FORMS, show_report, show_sign_off
from service.http.endpoint import (
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LINK,
    LOCATION,
    RETRY_AFTER,
    Answer,
    Resource,
    by_id,
)
from service.http.idempotency import once
from service.http.links import opened, written
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, missing
from service.http.reports import POLICY
from service.http.stored import send
from service.report.exchange.forms import FORMS as EXPORTS
from service.report.exchange.forms import export
from service.store import questions_compliance as questions
from service.store.ledger import record
from service.store.tables_compliance import ComplianceReport, ReportFile
from service.work.compliance_reports import revise_report, submit_report
from service.work.refusals import Conflict
from service.work.sign_off import NotNow, NotYou, OtherTwin, Signing, sign_off, statement_of

MEDIA_TYPES = ("text/html", "application/pdf", "application/json", "application/vnd.in-toto+json", "application/zip")
EXPORT_TYPES = tuple(sorted({each.media_type for each in EXPORTS.values()}))
MADE = (LOCATION, RETRY_AFTER)

compliance_reports = Resource(
    tag="compliance reports",
    about="Control by control: what was measured, how surely, how fresh, what changed, what was waived and what was "
    "not assessed. Made once, signed off by people, verifiable without this service (`lamina verify`).",
    parameter=by_id("compliance report"),
)


class ReportsQuery(PageQuery):
    """Which reports."""

    model_name: Name | None = Field(None, description="Reports on the model of this name only.")
    state: Literal["waiting", "generated", "in_review", "approved", "rejected", "superseded"] | None = Field(
        None, description="Reports in this state only."
    )
    schedule: UUID | None = Field(None, description="Reports of the schedule of this id only.")


class ReportsPage(Page[ComplianceReportView]):
    """One page of compliance reports."""


class FileQuery(Value):
    """Which form."""

    form: ReportForm = Field("html", description="html, pdf, json (the twin), dsse (the signed statement) or zip.")


class ExportQuery(Value):
    """Which format."""

    form: ExportForm = Field(
        "oscal",
        description="oscal (assessment results 1.2.1), oscal-plan and oscal-catalog (what these refer to), cyclonedx "
        "(1.6, JSON) or model-index (front matter and a section of a model card).",
    )


class ViewQuery(Value):
    """What a link carries."""

    token: str = Field(max_length=1024, pattern=r"^[A-Za-z0-9_.-]+$", description="The link's own words; signed.")


@compliance_reports.endpoint(
    "POST",
    "/v1/compliance-reports",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(status=202, description="Accepted; follow it at Location.", model=ComplianceReportView, headers=MADE),
    ),
    problems=("idempotency-mismatch", "too-much-open-work"),
)
def create_compliance_report(call: Call[NoQuery, ComplianceReportSubmission]) -> Reply:
    """Ask for a compliance report.

    Evidence is judged as of the end of the window. The scheduler makes the report; nothing here waits for it.
    """

    def make(session: Session) -> Reply:
        row = submit_report(
            session,
            call.body,
            frameworks=[framework.id for framework in shipped().frameworks],
            tenant=call.caller.tenant,
            principal=call.caller.principal,
            now=call.now,
        )
        return _accepted(session, row.id)

    reply = once(call, ComplianceReportView, make)
    call.parts.ring()
    return reply


@compliance_reports.endpoint(
    "GET",
    "/v1/compliance-reports",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=ReportsPage, headers=(LINK,)),),
)
def list_compliance_reports(call: Call[ReportsQuery, None]) -> Reply:
    """List compliance reports."""
    asked = call.query
    with call.reads() as session:
        page = questions.reports_page(
            session,
            limit=asked.limit,
            after=start(call),
            model_name=asked.model_name,
            state=asked.state,
            schedule_id=asked.schedule,
        )
        items = tuple(show_report(session, row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=ReportsPage(items=items, next=cursor), headers=headers)


@compliance_reports.endpoint(
    "GET",
    "/v1/compliance-reports/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The report and its signatures.", model=ComplianceReportView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_compliance_report(call: Call[NoQuery, None]) -> Reply:
    """Show a compliance report.

    How far it is, what it counted, its files by digest and who signed it.
    """
    with call.reads() as session:
        return Reply(value=show_report(session, _row(session, call.id)))


@compliance_reports.endpoint(
    "GET",
    "/v1/compliance-reports/{id}/file",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The file.", media_types=MEDIA_TYPES, headers=(ETAG,)),
        Answer(status=304, description="As it was; a report that is made never changes."),
    ),
    problems=("report-not-ready",),
)
def get_compliance_report_file(call: Call[FileQuery, None]) -> Response:
    """Read a compliance report.

    The page and the document show what the JSON twin holds; the zip carries all of it with the evidence and its proofs.
    """
    with call.reads() as session:
        file = _file(session, _row(session, call.id), call.query.form)
        since = _since(session, call.id) if call.query.form == "zip" else Since()
    return _zipped(call, file, call.caller.tenant, since) if since else _sent(call, file, call.caller.tenant)


@compliance_reports.endpoint(
    "GET",
    "/v1/compliance-reports/{id}/export",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The export; it is not signed.", media_types=EXPORT_TYPES, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
    problems=("report-not-ready",),
)
def export_compliance_report(call: Call[ExportQuery, None]) -> Response:
    """Read a compliance report as other tools do.

    Written from the stored twin alone, and not signed: the twin is the record, and its digest stands in the export.
    What a format has no place for stands in properties of our own, or is left out.
    """
    with call.reads() as session:
        digest = _file(session, _row(session, call.id), "json").digest
    with call.parts.blobs.open(call.caller.tenant, digest) as source:
        content = export(call.query.form, source.read())
    form = EXPORTS[call.query.form]
    charset = "; charset=utf-8" if form.media_type.startswith("text/") else ""
    response = Response(content, content_type=form.media_type + charset)
    response.set_etag(hashlib.sha256(content).hexdigest())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{form.name}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(call.request)
    return response


@compliance_reports.endpoint(
    "POST",
    "/v1/compliance-reports/{id}/sign-offs",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="Signed.", model=SignOffView, headers=(LOCATION,)),),
    problems=("conflict", "idempotency-mismatch"),
)
def create_sign_off(call: Call[NoQuery, SignOffSubmission]) -> Reply:
    """Sign a compliance report off.

    submitted (for review), reviewed, approved, rejected. A person does it, with a key of their own; who ran the audits,
    made the schedule or asked for the report neither reviews nor approves it. `digest` is that of the twin that was
    read.
    """
    wanted = Signing(
        step=call.body.step,
        principal=call.caller.principal,
        digest=call.body.digest,
        role=call.body.role,
        comment=call.body.comment,
    )

    def make(session: Session) -> Reply:
        try:
            row = sign_off(session, call.id, wanted, signer=call.parts.signer.current(), now=call.now)
        except LookupError as error:
            raise missing("compliance report") from error
        except NotYou as error:
            raise Refusal("forbidden", f"{error}.", remedy="Ask somebody who may.") from error
        except (NotNow, OtherTwin) as error:
            raise Refusal("conflict", f"{error}.", remedy="Read the report again.") from error
        return Reply(value=show_sign_off(row), status=201, headers={"Location": f"/v1/compliance-reports/{call.id}"})

    return once(call, SignOffView, make)


@compliance_reports.endpoint(
    "POST",
    "/v1/compliance-reports/{id}/revisions",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(
            status=202,
            description="Accepted; this report is superseded once the revision is made.",
            model=ComplianceReportView,
            headers=MADE,
        ),
    ),
    problems=("conflict", "idempotency-mismatch", "too-much-open-work"),
)
def create_revision(call: Call[NoQuery, None]) -> Reply:
    """Make a compliance report again.

    Over the same window, from what is stored now and under the newest revision of its policy. The earlier one is kept
    with its signatures, and marked as superseded.
    """

    def make(session: Session) -> Reply:
        row = _row(session, call.id)
        try:
            made = revise_report(session, row, principal=call.caller.principal, now=call.now)
        except Conflict as error:
            raise Refusal("conflict", f"{error}.") from error
        return _accepted(session, made.id)

    reply = once(call, ComplianceReportView, make)
    call.parts.ring()
    return reply


@compliance_reports.endpoint(
    "POST",
    "/v1/compliance-reports/{id}/links",
    scope="read",
    answers=(Answer(status=201, description="The link; it is in the log.", model=LinkView),),
    problems=("report-not-ready",),
)
def create_link(call: Call[NoQuery, LinkSubmission]) -> Reply:
    """Make a link that opens a report without a key.

    For an auditor's browser. It opens one form of one report until it expires, and says nothing else.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        _file(session, row, call.body.form)
        link = written(
            call.parts.links, tenant=row.tenant, report=row.id, form=call.body.form, hours=call.body.hours, now=call.now
        )
        record(
            session,
            [],
            tenant=row.tenant,
            actor=call.caller.principal,
            now=call.now,
            subject_type="compliance_report",
            subject_id=row.id,
            action="link made",
            detail={"form": call.body.form, "expires_at": link.expires_at.isoformat()},
        )
    return Reply(value=link, status=201)


@compliance_reports.endpoint(
    "GET",
    "/report-views",
    scope=None,
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The file.", media_types=MEDIA_TYPES, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
    problems=("not-found",),
)
def open_link(call: Call[ViewQuery, None]) -> Response:
    """Open a link.

    No key is asked for: the link itself says what may be read, until when, and is signed.
    """
    link = opened(call.parts.links, call.query.token, now=call.now)
    if link is None:
        raise Refusal(
            "not-found", "This link is not one of ours, or has expired.", remedy="Ask for a new one where it came from."
        )
    with call.parts.database.session(link.tenant, writes=False) as session:
        row = session.get(ComplianceReport, link.report)
        if row is None:
            raise missing("compliance report")
        file = _file(session, row, link.form)
        since = _since(session, row.id) if link.form == "zip" else Since()
    return _zipped(call, file, link.tenant, since) if since else _sent(call, file, link.tenant)


def _row(session: Session, report_id: UUID) -> ComplianceReport:
    row = session.get(ComplianceReport, report_id)
    if row is None:
        raise missing("compliance report")
    return row


def _file(session: Session, row: ComplianceReport, form: ReportForm) -> ReportFile:
    found = questions.report_file(session, row.id, FORMS[form])
    if found is not None:
        return found
    if row.state == "waiting":
        raise Refusal("report-not-ready", "It is being made.", headers={"Retry-After": "2"})
    raise Refusal("report-not-ready", f"This report has no form {form}.", remedy="Read another form of it.")


@dataclass(frozen=True, slots=True)
class Since:
    """What has come to a report since its zip was made: signatures of people, and keys that took over."""

    sign_offs: Sequence[dict[str, JsonValue]] = ()
    successions: Sequence[Succession] = ()

    def __bool__(self) -> bool:
        return bool(self.sign_offs or self.successions)


def _since(session: Session, report_id: UUID) -> Since:
    sign_offs = [
        {**json.loads(statement_of(row)), "key_id": row.key_id, "signature": row.signature}
        for row in questions.sign_offs(session, report_id)
    ]
    return Since(sign_offs, successions(session))


def _zipped(
    call: Call[FileQuery, None] | Call[ViewQuery, None], file: ReportFile, tenant: UUID, since: Since
) -> Response:
    """The zip with what has come since it was made."""
    with call.parts.blobs.open(tenant, file.digest) as source:
        content = handed_out(source.read(), since.sign_offs, since.successions)
    response = Response(content, content_type=file.media_type)
    response.set_etag(hashlib.sha256(content).hexdigest())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{file.name}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(call.request)
    return response


def _sent(call: Call[FileQuery, None] | Call[ViewQuery, None], file: ReportFile, tenant: UUID) -> Response:
    """A file; the page is shown under a policy that lets it run and fetch nothing."""
    page = file.name == FORMS["html"]
    response = send(call, file, tenant=tenant, inline=page or file.name == FORMS["pdf"])
    if page:
        response.headers["Content-Security-Policy"] = POLICY
    return response


def _accepted(session: Session, report_id: UUID) -> Reply:
    session.flush()
    view = show_report(session, _row(session, report_id))
    headers = {"Location": f"/v1/compliance-reports/{report_id}", "Retry-After": "1"}
    return Reply(value=view, status=202, headers=headers)
