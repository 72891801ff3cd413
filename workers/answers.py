"""How does the child answer its worker? Results as files, a word on the line, and reasons in words."""

from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from service.contracts.job import Failed, Inspected, Refused, Succeeded
from service.contracts.problem import Fault, Reason
from workers.kind import AnalysisError
from workers.numerics.determinism import NotFinite
from workers.sandbox.exhaustion import bound_met
from workers.subject.refusal import out_of_memory, without_paths
from workers.subject.staged import Disagreement
from workers.sweep.refusals import SweepRefused
from workers.verdicts import cap_met


class Line(Protocol):
    """How a child speaks to its worker: workers/sandbox/inside.py has the real one."""

    def progress(self, fraction: float, stage: str, **extra: Any) -> None:
        """Say how far the job is."""

    def say(self, message: dict[str, Any]) -> None:
        """Send one message."""

    def cancelled(self) -> bool:
        """Whether the whole job is to stop."""


def reason_of(error: Exception) -> Reason:
    """Why a member or a file failed, in words that carry no path of this machine."""
    if isinstance(error, AnalysisError):
        faults = error.faults if isinstance(error, Disagreement) else ()
        return Reason(
            code=error.code, detail=error.detail[:4000], remedy=error.remedy, permanent=error.permanent, faults=faults
        )
    if isinstance(error, SweepRefused):
        return Reason(code="not-applicable", detail=str(error)[:4000])
    if isinstance(error, NotFinite):
        return Reason(code="not-finite", detail=str(error)[:4000])
    if out_of_memory(error):
        return Reason(
            code="memory",
            detail="the memory given to this analysis did not suffice",
            remedy="Ask for fewer examples or layers, or give the worker a larger memory budget.",
            permanent=False,
        )
    if (cap := cap_met(bound_met(error))) is not None:
        return cap
    if "does not have a deterministic implementation" in str(error):
        return Reason(
            code="not-deterministic",
            detail=without_paths(str(error))[:2000],
            remedy="An operator of this model has no repeatable kernel on this device; use a CPU worker.",
        )
    return Reason(
        code="internal",
        detail=without_paths(f"{type(error).__name__}: {error}")[:2000],
        remedy="This is a fault of the service or of the kind; report it with the analysis id.",
    )


def invalid_parameters(error: ValidationError) -> Reason:
    """Every fault of the parameters at its JSON Pointer."""
    faults = tuple(
        Fault(
            pointer="/parameters" + "".join(f"/{_escaped(str(key))}" for key in each["loc"]),
            detail=each["msg"][:4000],
        )
        for each in error.errors(include_url=False, include_input=False)[:200]
    )
    return Reason(
        code="invalid-parameters",
        detail="; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)[:4000],
        remedy="See the kind's parameters in the catalogue.",
        faults=faults,
    )


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def folder_of(scratch: Path, member: str) -> Path:
    """Where a member's result and its files go; made if it is not there."""
    folder = scratch / "results" / member
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def discard(path: Path) -> None:
    """Leave nothing of a file that is not to be kept: inside the sandbox nothing can be removed, so it is emptied."""
    if not path.exists():
        return
    try:
        path.unlink()
    except PermissionError:
        path.write_bytes(b"")


def answer(folder: Path, result: Inspected | Refused | Succeeded | Failed, line: Line, member: str) -> None:
    """The result last, when the files it names are complete; then the word."""
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    line.progress(1.0, result.status, member=member)
    line.say({"type": "result", "member": member, "status": result.status})
