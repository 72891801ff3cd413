"""Why did a child end without an answer, and can trying again help?"""

from service.contracts.problem import Reason
from workers.sandbox.spec import Exit, Level
from workers.sandbox.spec import Reason as Ended

_FEWER = "Ask for fewer steps or examples, or have the operator raise"
_CAPS: dict[Ended, tuple[str, str, str]] = {
    "memory": (
        "memory",
        "It needed more memory than a child may have.",
        f"{_FEWER} LAMINA_CHILD_MEMORY_BYTES.",
    ),
    "cpu-time": (
        "time",
        "It used up its processor time.",
        f"{_FEWER} LAMINA_CHILD_CPU_SECONDS.",
    ),
    "wall-time": (
        "time",
        "It did not end before its deadline.",
        f"{_FEWER} LAMINA_CHILD_WALL_SECONDS.",
    ),
    "file-size": (
        "files",
        "It wrote a file larger than a child may write.",
        f"{_FEWER} LAMINA_CHILD_FILE_BYTES.",
    ),
    "scratch": (
        "files",
        "It wrote more files, or more into them, than a child may.",
        f"{_FEWER} LAMINA_CHILD_FILE_BYTES; all files together may take twice that.",
    ),
    "open-files": (
        "files",
        "It held more files open at once than a child may.",
        "No analysis needs that many: the model is the likely cause. If it is yours, report the analysis id.",
    ),
    "processes": (
        "processes",
        "It started more threads than a child may.",
        "Have the operator lower LAMINA_CHILD_THREADS. No model needs threads of its own.",
    ),
}


def cap_met(bound: Ended | None) -> Reason | None:
    """The reason for a bound that was met, wherever it was noticed; None for what is no bound."""
    if bound not in _CAPS:
        return None
    code, detail, remedy = _CAPS[bound]
    return Reason(code=code, detail=detail, remedy=remedy)


def why_it_ended(ended: Exit, *, misbehaved: bool) -> Reason:
    """The reason for a member that its child left without an answer.

    A cap is met again on every try, so it is permanent; a death from outside is not, and the attempts are counted.
    """
    if misbehaved:
        return Reason(code="child-misbehaved", detail="The child wrote what is no message; nothing of it was kept.")
    if (cap := cap_met(ended.reason)) is not None:
        return cap
    if ended.reason == "completed":
        return Reason(code="child-silent", detail="The child ended without leaving an answer.")
    how = f"signal {ended.signal}" if ended.signal else f"code {ended.code}"
    return Reason(
        code="child-died",
        detail=f"The child running this died ({ended.reason}, {how}).",
        remedy="It is tried again, up to a limit; if it dies each time, the model itself is the likely cause.",
        permanent=False,
    )


def minimum_level(*, trusted: bool, weak_allowed: bool) -> Level:
    """How tight a sandbox must be for what this submitter sent.

    Strangers' files run at level full alone. A trusted principal's also run at partial, which is what a GPU child
    reaches on kernels whose Landlock cannot cover CUDA's threads; below that the operator has to say so as well.
    """
    if not trusted:
        return Level.FULL
    return Level.RLIMITS_ONLY if weak_allowed else Level.PARTIAL


def sandbox_too_weak(level: Level, minimum: Level) -> Reason | None:
    """Why this worker may not run something; None where it may."""
    if level.reaches(minimum):
        return None
    return Reason(
        code="sandbox-too-weak",
        detail=f"This worker's sandbox reaches only level {level.value}; this submitter's files need {minimum.value}.",
        remedy="Run the worker on Linux with Landlock and seccomp; for your own models only, an operator may mark the"
        " principal trusted, and where there is no sandbox at all set LAMINA_ALLOW_WEAK_SANDBOX=true.",
    )
