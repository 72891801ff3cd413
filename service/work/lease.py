"""Is the claim still mine? A heartbeat renews it, tells how far it is, and brings back a wish to cancel."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from service.contracts.status import WorkState
from service.store.tables import Work
from service.work.claim import Claim

HELD = (WorkState.RUNNING.value, WorkState.CANCELLING.value)


def held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The fence: what must be true of the row for its claim to hold."""
    return (Work.owner == claim.owner, Work.attempt == claim.attempt)


def heartbeat(
    session: Session, claim: Claim, *, now: datetime, lease: timedelta, progress: float, stage: str
) -> WorkState | None:
    """Renew the lease until now + `lease`; progress is a fraction. Returns the state, or None if the lease is lost."""
    state = session.scalar(
        update(Work)
        .where(Work.id == claim.work_id, Work.state.in_(HELD), *held(claim))
        .values(lease_until=now + lease, progress=min(max(progress, 0.0), 1.0), stage=stage[:128])
        .returning(Work.state)
        .execution_options(synchronize_session=False)
    )
    return None if state is None else WorkState(state)
