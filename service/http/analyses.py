"""Endpoints of analyses: one kind run once, with its outcome, its section of the report and its provenance."""

from service.contracts.api import AnalysisDetail
from service.http.endpoint import ETAG, IF_NONE_MATCH, Answer, Resource, by_id
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.http.views import show_detail
from service.store import questions

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
