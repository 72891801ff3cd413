"""Endpoints of analyses: one kind run once, with its outcome, its section of the report and its provenance."""

from sqlalchemy.orm import Session

from service.contracts.api import AnalysisDetail, AuditView
from service.http.audits import accepted
from service.http.endpoint import (
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LOCATION,
    RETRY_AFTER,
    Answer,
    Resource,
    by_id,
)
from service.http.idempotency import once
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, missing
from service.http.views import show_detail
from service.store import questions
from service.work.refusals import Conflict
from service.work.replays import replay

analyses = Resource(
    tag="analyses",
    about="One kind of analysis, run once: what was asked, what came of it, and what it takes to run it again.",
    parameter=by_id("analysis"),
)


@analyses.endpoint(
    "GET",
    "/v1/analyses/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The analysis.", model=AnalysisDetail, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_analysis(call: Call[NoQuery, None]) -> Reply:
    """Show an analysis.

    `outcome` holds the numbers, `section` the same as the report shows them, `provenance` the plan, versions, digests
    and seed. All three are null until it has succeeded; `reason` says why when it will not.
    """
    with call.reads() as session:
        row = questions.analysis(session, call.id)
        if row is None:
            raise missing("analysis")
        return Reply(value=show_detail(row))


@analyses.endpoint(
    "POST",
    "/v1/analyses/{id}/replay",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(
            status=202,
            description="Accepted; follow the audit at Location.",
            model=AuditView,
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    problems=("conflict", "idempotency-mismatch", "too-much-open-work"),
)
def replay_analysis(call: Call[NoQuery, None]) -> Reply:
    """Ask an analysis again.

    With its parameters, inputs and stored plan, in an audit of its own. When it ends, what came is held against what is
    stored: bit for bit on the same device, CPU capability, threads and versions, within a stated tolerance elsewhere.
    The count of what was otherwise is the measurement `replay_mismatches`; the log names each.
    """

    def make(session: Session) -> Reply:
        try:
            made = replay(
                session,
                call.id,
                tenant=call.caller.tenant,
                principal=call.caller.principal,
                catalog=call.parts.catalog,
                settings=call.parts.settings,
                now=call.now,
            )
        except LookupError as error:
            raise missing("analysis") from error
        except Conflict as error:
            raise Refusal("conflict", f"{error}.") from error
        return accepted(session, made.id)

    reply = once(call, AuditView, make)
    call.parts.ring()
    return reply
