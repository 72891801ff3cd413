"""Endpoints of approved baselines: approve one, see which counts and which did."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.api import Page
from service.contracts.base import Name
from service.contracts.history import BaselineState, BaselineSubmission, BaselineView
from service.history.baselines import NotAPerson, NotNow, NotYou, Unfit, approve
from service.http.endpoint import IDEMPOTENCY_KEY, LINK, LOCATION, Answer, Resource, by_id
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, invalid, missing
from service.store.questions import page_of
from service.store.tables import Audit, Model, Principal
from service.store.tables_compliance import Baseline

baselines = Resource(
    tag="baselines",
    about="Which audit counts as normal: one of each model, approved by a person who did not run it. What is "
    "measured later is compared with its measurements, line by line.",
    parameter=by_id("baseline"),
)


class BaselinesQuery(PageQuery):
    """Which baselines."""

    model_name: Name | None = Field(None, description="Baselines of the model of this name only.")
    state: BaselineState | None = Field(None, description="current: those that count now; replaced: the others.")


class BaselinesPage(Page[BaselineView]):
    """One page of baselines."""


@baselines.endpoint(
    "POST",
    "/v1/baselines",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="It counts from now on.", model=BaselineView, headers=(LOCATION,)),),
    problems=("conflict", "idempotency-mismatch"),
)
def create_baseline(call: Call[NoQuery, BaselineSubmission]) -> Reply:
    """Approve an audit as a model's baseline.

    A person does, who neither submitted the audit nor made or fired its schedule. The former one is kept, replaced.
    """

    def make(session: Session) -> Reply:
        who = {"tenant": call.caller.tenant, "principal": call.caller.principal}
        try:
            row = approve(session, call.body, **who, now=call.now)
        except NotAPerson as error:
            raise Refusal("forbidden", f"{error}.", remedy="Use a key of a principal that is a person.") from error
        except NotYou as error:
            raise Refusal("conflict", f"{error}.", remedy="Ask somebody else to.") from error
        except NotNow as error:
            raise Refusal("conflict", f"{error}.", remedy="Read the audit and the model's baseline again.") from error
        except Unfit as error:
            raise invalid([error.fault]) from error
        (view,) = _shown(session, [row])
        return Reply(value=view, status=201, headers={"Location": f"/v1/baselines/{row.id}"})

    return once(call, BaselineView, make)


@baselines.endpoint(
    "GET",
    "/v1/baselines",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=BaselinesPage, headers=(LINK,)),),
)
def list_baselines(call: Call[BaselinesQuery, None]) -> Reply:
    """List baselines.

    With a model's name and `state=current`: the one that counts, or none.
    """
    statement = select(Baseline)
    if call.query.model_name is not None:
        statement = statement.where(Baseline.model_name == call.query.model_name)
    if call.query.state is not None:
        is_current = Baseline.replaced_at.is_(None)
        statement = statement.where(is_current if call.query.state == "current" else ~is_current)
    with call.reads() as session:
        page = page_of(session, statement, Baseline, call.query.limit, start(call))
        items = _shown(session, page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=BaselinesPage(items=items, next=cursor), headers=headers)


@baselines.endpoint(
    "GET",
    "/v1/baselines/{id}",
    scope="read",
    answers=(Answer(status=200, description="The baseline.", model=BaselineView),),
)
def get_baseline(call: Call[NoQuery, None]) -> Reply:
    """Show a baseline."""
    with call.reads() as session:
        row = session.get(Baseline, call.id)
        if row is None:
            raise missing("baseline")
        return Reply(value=_shown(session, [row])[0])


def _shown(session: Session, rows: Iterable[Baseline]) -> tuple[BaselineView, ...]:
    found = tuple(rows)
    people = select(Principal.id, Principal.name).where(Principal.id.in_({row.created_by for row in found}))
    names: dict[UUID, str] = {row.id: row.name for row in session.execute(people)}
    audits = (
        select(Audit.id, Audit.title, Model.version)
        .join(Model, Model.id == Audit.model_id)
        .where(Audit.id.in_({row.audit_id for row in found}))
    )
    about = {row.id: row for row in session.execute(audits)}
    return tuple(
        BaselineView(
            id=row.id,
            model_name=row.model_name,
            model_version=about[row.audit_id].version,
            audit=row.audit_id,
            audit_title=about[row.audit_id].title,
            reason=row.reason,
            state="current" if row.replaced_at is None else "replaced",
            approved_by=row.created_by,
            approved_by_name=names.get(row.created_by, ""),
            approved_at=row.created_at,
            replaced_at=row.replaced_at,
        )
        for row in found
    )
