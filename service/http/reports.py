"""Endpoint of reports: the audit's report as it was drawn, for people (HTML) or machines (JSON)."""

from typing import Literal

from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from service.contracts.base import Value
from service.contracts.status import WorkState
from service.http.endpoint import ETAG, IF_NONE_MATCH, Answer, HeaderField, Resource, by_id
from service.http.parts import Call
from service.http.problems import Refusal, missing
from service.http.stored import send
from service.store import questions
from service.store.tables import Artifact, Audit

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
FORMATS = {"text/html": "html", "application/json": "json"}
ACCEPT = HeaderField(name="Accept", description="text/html or application/json; `format` wins over it.")

reports = Resource(
    tag="reports",
    about="An audit's report: one self-contained HTML page without scripts, and a JSON twin with the same values.",
    parameter=by_id("audit"),
)


class ReportQuery(Value):
    """Which form."""

    format: Literal["html", "json"] | None = Field(None, description="The form wanted, whatever Accept says.")


@reports.endpoint(
    "GET",
    "/v1/audits/{id}/report",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The report.", media_types=tuple(FORMATS), headers=(ETAG,)),
        Answer(status=304, description="As it was; a drawn report never changes."),
    ),
    problems=("not-acceptable", "report-not-ready"),
)
def get_report(call: Call[ReportQuery, None]) -> Response:
    """Read an audit's report.

    It is drawn once, when the last analysis has ended; until then the answer is `report-not-ready` with Retry-After.
    """
    form = form_asked_for(call)
    with call.reads() as session:
        row = questions.audit(session, call.id)
        if row is None:
            raise missing("audit")
        report = _drawn(session, row, form)
    response = send(call, report, inline=True)
    response.vary.add("Accept")
    if form == "html":
        response.headers["Content-Security-Policy"] = POLICY
    return response


def form_asked_for(call: Call[ReportQuery, None]) -> str:
    """html or json, by `format` or else by Accept; without either a page. Raises Refusal."""
    accepted = call.request.accept_mimetypes
    form = call.query.format or FORMATS.get(accepted.best_match(tuple(FORMATS)) or "" if accepted else "text/html")
    if form is None:
        raise Refusal("not-acceptable", "This is served as text/html and as application/json.")
    return form


def _drawn(session: Session, audit: Audit, form: str) -> Artifact:
    found = questions.report_artifacts(session, audit.id).get(f"report.{form}")
    if found is not None:
        return found
    work = questions.report_work(session, audit)
    if work is not None and work.state == WorkState.FAILED:
        why = (work.reason or {}).get("detail", "no reason was kept")
        raise Refusal("report-not-ready", f"The report could not be drawn: {why}", remedy="Tell the operator.")
    ended = "It is being drawn." if audit.closed_at else f"{audit.remaining} of its analyses have not ended."
    raise Refusal("report-not-ready", ended, headers={"Retry-After": "2"})
