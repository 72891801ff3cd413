"""What does an asker see of work? States and counts, derived each time from rows, stored nowhere."""

from collections import Counter
from collections.abc import Sequence

from service.contracts.status import AnalysisState, AuditState, IntakeState, WorkState
from service.store.tables import Analysis, Audit, Dataset, Model


def intake_state(row: Model | Dataset) -> IntakeState:
    """How far a model or a dataset has come."""
    if row.canonical_digest is not None:
        return IntakeState.READY
    if row.refusal is not None:
        return IntakeState.REFUSED
    begun = row.work is not None and row.work.state != WorkState.QUEUED.value
    return IntakeState.INSPECTING if begun else IntakeState.RECEIVED


def analysis_state(row: Analysis) -> AnalysisState:
    """Its work's state; without work it waits, or ended because an input was refused or its audit was cancelled."""
    if row.work is not None:
        return AnalysisState(row.work.state)
    if row.ended_at is None:
        return AnalysisState.WAITING
    return AnalysisState.CANCELLED if row.reason and row.reason["code"] == "cancelled" else AnalysisState.FAILED


def audit_state(audit: Audit) -> AuditState:
    """Where an audit is: closed, else queued until one of its analyses has begun."""
    if audit.closed_at is not None:
        return AuditState.FINISHED if audit.cancel_requested_at is None else AuditState.CANCELLED
    idle = {AnalysisState.WAITING, AnalysisState.QUEUED}
    states = {analysis_state(row) for row in audit.analyses}
    return AuditState.QUEUED if states <= idle else AuditState.RUNNING


def counts(analyses: Sequence[Analysis]) -> dict[str, int]:
    """Number of analyses by state; states nothing is in are left out."""
    return dict(Counter(analysis_state(row).value for row in analyses))


def progress(analyses: Sequence[Analysis]) -> float:
    """The mean over analyses of how far each is, as a fraction; what has ended counts as done."""
    if not analyses:
        return 1.0
    shares = (1.0 if row.ended_at is not None else row.work.progress if row.work else 0.0 for row in analyses)
    return sum(shares) / len(analyses)
