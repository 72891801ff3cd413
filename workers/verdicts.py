"""Why did a child end without an answer, and can trying again help?"""

from service.contracts.problem import Reason
from workers.sandbox.spec import Exit, Level

_CAPS = {
    "memory": (
        "child-memory",
        "The analysis needed more memory than a child may have.",
        "Ask for fewer steps or examples, or have the operator raise LAMINA_CHILD_MEMORY_BYTES.",
    ),
    "cpu-time": (
        "child-cpu-time",
        "The analysis used up its processor time.",
        "Ask for fewer steps or examples, or have the operator raise LAMINA_CHILD_CPU_SECONDS.",
    ),
    "wall-time": (
        "child-wall-time",
        "The analysis did not end before its deadline.",
        "Ask for fewer steps or examples, or have the operator raise LAMINA_CHILD_WALL_SECONDS.",
    ),
    "file-size": (
        "child-file-size",
        "The analysis wrote a file larger than a child may write.",
        "Ask for fewer examples, or have the operator raise LAMINA_CHILD_FILE_BYTES.",
    ),
}


def why_it_ended(ended: Exit, *, misbehaved: bool) -> Reason:
    """The reason for a member that its child left without an answer.

    A cap is met again on every try, so it is permanent; a death from outside is not, and the attempts are counted.
    """
    if misbehaved:
        return Reason(code="child-misbehaved", detail="The child wrote what is no message; nothing of it was kept.")
    if ended.reason in _CAPS:
        code, detail, remedy = _CAPS[ended.reason]
        return Reason(code=code, detail=detail, remedy=remedy)
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
