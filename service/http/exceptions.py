"""How do waivers and attestations look from outside, and what does the API say when people may not?"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance import people
from service.contracts.exceptions import AttestationView, Effect, WaiverView
from service.http.problems import Refusal, invalid, missing
from service.store.tables import Principal
from service.store.tables_compliance import Attestation, Waiver

_EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


@contextmanager
def refused_as_problems(what: str) -> Iterator[None]:
    """Say no to a person in the words of the rule that stopped them."""
    try:
        yield
    except LookupError as error:
        raise missing(what) from error
    except people.NotAPerson as error:
        raise Refusal("forbidden", f"{error}.", remedy="Use a key of a principal that is a person.") from error
    except people.NotYou as error:
        raise Refusal("conflict", f"{error}.", remedy="Ask somebody else to.") from error
    except people.NotNow as error:
        raise Refusal("conflict", f"{error}.", remedy=f"Read the {what} again.") from error
    except people.Unfit as error:
        raise invalid(error.faults) from error


def show_waivers(session: Session, rows: Iterable[Waiver], now: datetime) -> tuple[WaiverView, ...]:
    """Waivers as they stand at a time, with the names of the people in them."""
    found = tuple(rows)
    names = names_of(session, {row.created_by for row in found} | {row.decided_by for row in found if row.decided_by})
    return tuple(_waiver(session, row, names, now) for row in found)


def show_attestations(session: Session, rows: Iterable[Attestation], now: datetime) -> tuple[AttestationView, ...]:
    """Attestations as they stand at a time, with the names of who stated them."""
    found = tuple(rows)
    names = names_of(session, {row.created_by for row in found})
    return tuple(
        AttestationView(
            id=row.id,
            control=row.control,
            model_name=row.model_name,
            role=row.role,
            statement=row.statement,
            document_title=row.document_title,
            document_digest=row.document_digest,
            expires_at=row.expires_at,
            withdrawn_at=row.withdrawn_at,
            state=people.attestation_state(row, now),
            stated_by=row.created_by,
            stated_by_name=names[row.created_by],
            stated_at=row.created_at,
        )
        for row in found
    )


def _waiver(session: Session, row: Waiver, names: dict[UUID, str], now: datetime) -> WaiverView:
    return WaiverView(
        id=row.id,
        control=row.control,
        model_name=row.model_name,
        effect=_EFFECT.validate_python(row.effect),
        reason=row.reason,
        compensating=row.compensating,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        renews=row.renews_id,
        renewals=people.renewals(session, row),
        state=people.waiver_state(row, now),
        requested_by=row.created_by,
        requested_by_name=names[row.created_by],
        requested_at=row.created_at,
        decision=None if row.decision is None else "granted" if row.decision == "granted" else "refused",
        decided_by=row.decided_by,
        decided_by_name=None if row.decided_by is None else names[row.decided_by],
        decided_at=row.decided_at,
        comment=row.decision_comment,
        withdrawn_at=row.withdrawn_at,
    )


def names_of(session: Session, principals: set[UUID]) -> dict[UUID, str]:
    """What principals are called, by id."""
    rows = select(Principal.id, Principal.name).where(Principal.id.in_(principals))
    return dict.fromkeys(principals, "") | {row.id: row.name for row in session.execute(rows)}
