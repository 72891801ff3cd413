"""Endpoints of attestations: what named persons state of a control, and until when that counts."""

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.people import attest, withdraw_attestation
from service.contracts.api import Page
from service.contracts.base import Name
from service.contracts.compliance import ControlId
from service.contracts.exceptions import AttestationSubmission, AttestationView
from service.http.endpoint import ETAG, IDEMPOTENCY_KEY, IF_NONE_MATCH, LINK, LOCATION, Answer, Resource, by_id
from service.http.exceptions import refused_as_problems, show_attestations
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.store.questions import page_of
from service.store.tables_compliance import Attestation

attestations = Resource(
    tag="attestations",
    about="What people vouch for where nothing can be measured. Shown as attested, never as measured; each counts for "
    "a limited time.",
    parameter=by_id("attestation"),
)


class AttestationsQuery(PageQuery):
    """Which attestations."""

    control: ControlId | None = Field(None, description="Attestations of this control only.")
    model_name: Name | None = Field(None, description="Attestations about the model of this name only.")


class AttestationsPage(Page[AttestationView]):
    """One page of attestations."""


@attestations.endpoint(
    "POST",
    "/v1/attestations",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="On record.", model=AttestationView, headers=(LOCATION,)),),
    problems=("idempotency-mismatch",),
)
def create_attestation(call: Call[NoQuery, AttestationSubmission]) -> Reply:
    """Attest.

    A person does, with a key of their own, for a control that asks for a statement.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("attestation"):
            row = attest(session, call.body, tenant=call.caller.tenant, principal=call.caller.principal, now=call.now)
        (view,) = show_attestations(session, [row], call.now)
        return Reply(value=view, status=201, headers={"Location": f"/v1/attestations/{row.id}"})

    return once(call, AttestationView, make)


@attestations.endpoint(
    "GET",
    "/v1/attestations",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=AttestationsPage, headers=(LINK,)),),
)
def list_attestations(call: Call[AttestationsQuery, None]) -> Reply:
    """List attestations."""
    asked = {"control": call.query.control, "model_name": call.query.model_name}
    where = [getattr(Attestation, name) == value for name, value in asked.items() if value is not None]
    with call.reads() as session:
        page = page_of(session, select(Attestation).where(*where), Attestation, call.query.limit, start(call))
        items = show_attestations(session, page.rows, call.now)
    cursor, headers = following(call, page.next)
    return Reply(value=AttestationsPage(items=items, next=cursor), headers=headers)


@attestations.endpoint(
    "GET",
    "/v1/attestations/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The attestation.", model=AttestationView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_attestation(call: Call[NoQuery, None]) -> Reply:
    """Show an attestation."""
    with call.reads() as session:
        row = session.get(Attestation, call.id)
        if row is None:
            raise missing("attestation")
        return Reply(value=show_attestations(session, [row], call.now)[0])


@attestations.endpoint(
    "POST",
    "/v1/attestations/{id}/withdrawal",
    scope="submit",
    answers=(Answer(status=200, description="It counts no longer.", model=AttestationView),),
    problems=("conflict",),
)
def withdraw_an_attestation(call: Call[NoQuery, None]) -> Reply:
    """Take an attestation back.

    Only who stated it does. Taking it back twice changes nothing.
    """
    with call.writes() as session:
        with refused_as_problems("attestation"):
            row = withdraw_attestation(session, call.id, principal=call.caller.principal, now=call.now)
        return Reply(value=show_attestations(session, [row], call.now)[0])
