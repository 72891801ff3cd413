"""Which states can work be in, and which steps between them are allowed?"""

from enum import StrEnum


class WorkType(StrEnum):
    """What a unit of work is for."""

    INSPECTION = "inspection"
    ANALYSIS = "analysis"
    PART = "part"
    REPORT = "report"
    DELIVERY = "delivery"


class WorkState(StrEnum):
    """The only stored state of anything that runs."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class IntakeState(StrEnum):
    """How far a model or a dataset has come; derived from its inspection, never stored."""

    RECEIVED = "received"
    INSPECTING = "inspecting"
    READY = "ready"
    REFUSED = "refused"


class AnalysisState(StrEnum):
    """What an asker sees of one analysis: `waiting` until its inputs are ready, then its work's state."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AuditState(StrEnum):
    """What an asker sees of an audit; derived from its analyses."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


ENDED = frozenset({WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED})
OPEN = frozenset(WorkState) - ENDED

ALLOWED: dict[WorkState, frozenset[WorkState]] = {
    WorkState.QUEUED: frozenset({WorkState.RUNNING, WorkState.CANCELLED, WorkState.FAILED}),
    # running -> queued: the lease ran out, the worker shut down, or the failure was worth retrying
    WorkState.RUNNING: frozenset({WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLING, WorkState.QUEUED}),
    # cancelling -> succeeded: the outcome was committed before the cancel was seen, and evidence is not thrown away
    WorkState.CANCELLING: frozenset({WorkState.CANCELLED, WorkState.SUCCEEDED, WorkState.FAILED}),
    WorkState.SUCCEEDED: frozenset(),
    WorkState.FAILED: frozenset(),
    WorkState.CANCELLED: frozenset(),
}


def allowed(before: WorkState, after: WorkState) -> bool:
    """Whether work may step from one state to another."""
    return after in ALLOWED[before]
