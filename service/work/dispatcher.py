"""Which work is announced next? The oldest of each tenant in turn, as long as the tenant has not enough in flight.

The broker holds ids only, and only as many as workers may soon begin: admission stays here, where fairness is known.
A row leaves the outbox after it was sent, so a crash in between announces twice, which a claim makes harmless.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from service.clock import Clock
from service.contracts.status import WorkState
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Outbox, Work
from service.work.lease import HELD

MOST_AT_ONCE = 100
Send = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A line of the outbox that is to be sent now."""

    outbox_id: int
    work_id: UUID
    queue: str


def release(session: Session, *, settings: Settings, now: datetime) -> list[Announcement]:
    """The lines to send now: round-robin over tenants, `tenant_in_flight` of a tenant on a queue at a time.

    In flight is what runs or was announced and waits for a worker. Lines of work that is not queued any more go.
    """
    session.execute(
        delete(Outbox)
        .where(select(Work.id).where(Work.id == Outbox.work_id, Work.state != WorkState.QUEUED.value).exists())
        .execution_options(synchronize_session=False)
    )
    listed = aliased(Outbox)
    in_flight = (
        select(Work.tenant, Work.queue, func.count().label("works"))
        .where(
            or_(
                Work.state.in_(HELD),
                and_(
                    Work.state == WorkState.QUEUED.value, ~select(listed.id).where(listed.work_id == Work.id).exists()
                ),
            )
        )
        .group_by(Work.tenant, Work.queue)
        .subquery()
    )
    turn = func.row_number().over(partition_by=(Outbox.tenant, Outbox.queue), order_by=(Outbox.work_id, Outbox.id))
    due = (
        select(Outbox.id, Outbox.work_id, Outbox.tenant, Outbox.queue, turn.label("turn"))
        .join(Work, Work.id == Outbox.work_id)
        .where(or_(Work.not_before.is_(None), Work.not_before <= now))
        .subquery()
    )
    lines = session.execute(
        select(due.c.id, due.c.work_id, due.c.queue)
        .outerjoin(in_flight, and_(in_flight.c.tenant == due.c.tenant, in_flight.c.queue == due.c.queue))
        .where(due.c.turn + func.coalesce(in_flight.c.works, 0) <= settings.tenant_in_flight)
        .order_by(due.c.turn, due.c.id)
        .limit(MOST_AT_ONCE)
    )
    return [Announcement(*line) for line in lines]


def sent(session: Session, announcements: Sequence[Announcement], *, now: datetime) -> None:
    """Strike sent lines off, and note when their work was announced."""
    session.execute(
        delete(Outbox)
        .where(Outbox.id.in_([line.outbox_id for line in announcements]))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Work)
        .where(Work.id.in_([line.work_id for line in announcements]), Work.state == WorkState.QUEUED.value)
        .values(announced_at=now)
        .execution_options(synchronize_session=False)
    )


def dispatch(database: Database, send: Send, *, settings: Settings, clock: Clock) -> int:
    """One round: send `send(work id, queue)` for every line that is due. Returns how many were sent.

    When `send` raises, what was sent before it is struck off, the rest stays for the next round, and the error goes on.
    """
    with system_session(database) as session:
        lines = release(session, settings=settings, now=clock.now())
    done: list[Announcement] = []
    try:
        for line in lines:
            send(str(line.work_id), line.queue)
            done.append(line)
    finally:
        if done:
            with system_session(database) as session:
                sent(session, done, now=clock.now())
    return len(done)
