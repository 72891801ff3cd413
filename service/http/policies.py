"""Endpoints of policies and controls: what an organisation demands, and every control as it is assessed under that."""

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.keep import keep_policy, latest_policy
from service.compliance.load import Measurable, shipped
from service.compliance.policy import effective
from service.contracts.api import Page
from service.contracts.base import Name, Value
from service.contracts.policies import ControlInForce, ControlsInForce, PolicyContent, PolicySubmission, PolicyView
from service.contracts.problem import Fault
from service.http.endpoint import ETAG, IDEMPOTENCY_KEY, IF_NONE_MATCH, LINK, LOCATION, Answer, Resource, by_id
from service.http.exceptions import refused_as_problems
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import invalid, missing
from service.store.questions import page_of
from service.store.tables_compliance import Policy

policies = Resource(
    tag="policies",
    about="What an organisation demands of its models: a library of controls, thresholds of its own with owner and "
    "reason, controls of its own. Revisions are added, never changed.",
    parameter=by_id("policy"),
)


class PoliciesQuery(PageQuery):
    """Which policies."""

    name: Name | None = Field(None, description="Revisions of the policy of this name only.")


class PoliciesPage(Page[PolicyView]):
    """One page of revisions of policies."""


class ControlsQuery(Value):
    """Under which policy."""

    policy: Name | None = Field(None, description="Name of the policy, newest revision; null: the library as shipped.")


@policies.endpoint(
    "POST",
    "/v1/policies",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="Kept as a new revision.", model=PolicyView, headers=(LOCATION,)),),
    problems=("conflict", "idempotency-mismatch"),
)
def create_policy(call: Call[NoQuery, PolicySubmission]) -> Reply:
    """Make a policy, or its next revision.

    Everything is checked: that controls and requirements exist, that every metric is a word of the vocabulary, that a
    rule can be decided. Reports made before keep what was concluded under earlier revisions.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("policy"):
            row = keep_policy(
                session,
                call.body,
                measurable=Measurable.of(call.parts.catalog),
                tenant=call.caller.tenant,
                principal=call.caller.principal,
                now=call.now,
            )
        return Reply(value=_shown(row), status=201, headers={"Location": f"/v1/policies/{row.id}"})

    return once(call, PolicyView, make)


@policies.endpoint(
    "GET",
    "/v1/policies",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=PoliciesPage, headers=(LINK,)),),
)
def list_policies(call: Call[PoliciesQuery, None]) -> Reply:
    """List policies."""
    where = [] if call.query.name is None else [Policy.name == call.query.name]
    with call.reads() as session:
        page = page_of(session, select(Policy).where(*where), Policy, call.query.limit, start(call))
        items = tuple(_shown(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=PoliciesPage(items=items, next=cursor), headers=headers)


@policies.endpoint(
    "GET",
    "/v1/policies/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The revision.", model=PolicyView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_policy(call: Call[NoQuery, None]) -> Reply:
    """Show a revision of a policy."""
    with call.reads() as session:
        row = session.get(Policy, call.id)
        if row is None:
            raise missing("policy")
        return Reply(value=_shown(row))


@policies.endpoint(
    "GET",
    "/v1/controls",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="Every control in force.", model=ControlsInForce, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def list_controls(call: Call[ControlsQuery, None]) -> Reply:
    """Show the controls in force.

    Those of the library and the organisation's own, with every threshold that is applied and who set it.
    """
    content, named = PolicyContent(), ""
    if call.query.policy is not None:
        with call.reads() as session:
            row = latest_policy(session, call.query.policy)
            if row is None:
                raise invalid([Fault(pointer="?policy", detail="there is no policy of this name")])
            content, named = PolicyContent.model_validate(row.content), f"{row.name} {row.revision}"
    return Reply(value=_in_force(content, named))


def _in_force(content: PolicyContent, named: str) -> ControlsInForce:
    library = shipped()
    own = {control.id for control in content.controls}
    controls = effective(content, library).controls
    return ControlsInForce(
        library=library.name,
        as_of=library.as_of,
        disclaimer=library.disclaimer,
        frameworks=library.frameworks,
        policy=named,
        policy_digest=content.digest,
        controls=tuple(
            ControlInForce(
                control=control,
                own=control.id in own,
                overrides=tuple(each for each in content.overrides if each.control == control.id),
                owner=content.owners.get(control.id, ""),
            )
            for control in controls
        ),
    )


def _shown(row: Policy) -> PolicyView:
    content = PolicyContent.model_validate(row.content)
    return PolicyView(
        id=row.id,
        name=row.name,
        revision=row.revision,
        content=content,
        digest=row.digest,
        library=content.library or shipped().name,
        created_by=row.created_by,
        created_at=row.created_at,
    )
