"""Endpoints of health: does the process answer, and can it serve?"""

from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from typing import Literal
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from service.contracts.api import Health, Readiness, WorkerView
from service.http.endpoint import RETRY_AFTER, Answer, Resource
from service.http.parts import Call, NoQuery, Reply
from service.http.views import show_worker
from service.store import migrate, questions

NOBODY = UUID(int=0)  # a session of this tenant sees what belongs to no tenant, and nothing else
FORGOTTEN_AFTER = timedelta(hours=1)
VERSION = version("lamina")
Status = Literal["ready", "degraded", "unready"]

health = Resource(tag="health", about="Whether the process answers, and whether requests can be served.")


@health.endpoint(
    "GET", "/healthz", scope=None, answers=(Answer(status=200, description="The process answers.", model=Health),)
)
def get_health(call: Call[NoQuery, None]) -> Reply:  # noqa: ARG001  # every handler takes the call
    """Show that the process answers.

    Nothing else is looked at.
    """
    return Reply(value=Health(version=VERSION))


@health.endpoint(
    "GET",
    "/readyz",
    scope=None,
    answers=(
        Answer(status=200, description="Requests can be served: ready, or degraded.", model=Readiness),
        Answer(status=503, description="They cannot: unready.", model=Readiness, headers=(RETRY_AFTER,)),
    ),
)
def get_readiness(call: Call[NoQuery, None]) -> Reply:
    """Show readiness.

    Without a broker or without a worker the service is degraded, not unready: what is submitted waits in the database
    and runs when they are back. Without the database, or with migrations missing, it is unready.
    """
    database, migrations = _asked(lambda: _migrations(call))
    found = _workers(call) if migrations == "at head" else ()
    broker = call.parts.broker()
    status: Status = "ready" if broker == "ok" and any(worker.alive for worker in found) else "degraded"
    if migrations != "at head":
        status = "unready"
    value = Readiness(status=status, database=database, migrations=migrations, broker=broker, workers=found)
    return Reply(value=value, status=503, headers={"Retry-After": "5"}) if status == "unready" else Reply(value=value)


def _asked(question: Callable[[], str]) -> tuple[str, str]:
    """Whether the database answers, and what."""
    try:
        return "ok", question()
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__})", "not known"


def _migrations(call: Call[NoQuery, None]) -> str:
    return "at head" if migrate.at_head(call.parts.database.url) else "missing; run `lamina migrate`"


def _workers(call: Call[NoQuery, None]) -> tuple[WorkerView, ...]:
    alive_after = call.now - timedelta(seconds=2 * call.parts.settings.lease_seconds)
    with call.parts.database.session(NOBODY, writes=False) as session:
        recent = questions.workers(session, since=call.now - FORGOTTEN_AFTER)
        return tuple(show_worker(row, alive=row.last_seen_at > alive_after) for row in recent)
