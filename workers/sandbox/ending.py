"""Why did a child end? A pure decision from what the kernel and the zygote saw; the child is only quoted."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from .job import (
    COMPLETED,
    FAILED,
    FILE_TOO_LARGE,
    NOT_ENTERED,
    OUT_OF_MEMORY,
    TOO_MANY_OPEN,
    TOO_MANY_TASKS,
)
from .spec import Exit, Limits, Reason

_BY_CODE: dict[int, tuple[Reason, str]] = {
    COMPLETED: ("completed", ""),
    FAILED: ("failed", "the entry raised"),
    OUT_OF_MEMORY: ("memory", "an allocation was refused"),
    FILE_TOO_LARGE: ("file-size", "a file grew past its limit"),
    TOO_MANY_OPEN: ("open-files", "no further file could be opened"),
    TOO_MANY_TASKS: ("processes", "no further thread could be started"),
    NOT_ENTERED: ("crashed", "the sandbox was not entered, so the entry never ran"),
}
_BY_SIGNAL: dict[int, tuple[Reason, str]] = {
    signal.SIGXCPU: ("cpu-time", "the processor time is spent"),
    signal.SIGXFSZ: ("file-size", "a file grew past its limit"),
    signal.SIGSYS: ("crashed", "a system call of a foreign instruction set"),
    signal.SIGABRT: ("crashed", "aborted from within; output.txt in its scratch may say why"),
    signal.SIGSEGV: ("crashed", "invalid memory access; output.txt in its scratch may say where"),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What the zygote reports about one child, as JSON on that child's exit pipe."""

    code: int | None
    signal: int | None
    cause: Reason | None
    """Why the zygote killed it: memory, wall-time, scratch, killed (asked to); None where it did not."""
    peak_rss_bytes: int
    cpu_seconds: float
    left_behind: int = 0
    """Processes of it that had to be killed after it ended."""


def classify(ending: Ending, limits: Limits, *, said: str, start_rss_bytes: int) -> Exit:
    """The one Exit of a child; `said` is the detail the child gave, untrusted; its start it said when it entered."""
    reason, detail = _reason(ending, limits)
    if ending.left_behind:
        detail = f"{detail}; {ending.left_behind} process(es) it left were killed".removeprefix("; ")
    return Exit(
        code=ending.code,
        signal=ending.signal,
        reason=reason,
        detail=": ".join(part for part in (detail, said) if part),
        # The kernel counts pages in batches, so a short job may seem to have shrunk by a few.
        peak_rss_bytes=max(ending.peak_rss_bytes, start_rss_bytes),
        start_rss_bytes=start_rss_bytes,
        cpu_seconds=ending.cpu_seconds,
    )


def _reason(ending: Ending, limits: Limits) -> tuple[Reason, str]:
    if ending.signal is None:
        return _BY_CODE.get(ending.code or 0, ("crashed", f"ended from within with code {ending.code}"))
    if ending.signal == signal.SIGKILL and ending.cause is not None:
        return ending.cause, _cause_in_words(ending.cause, limits)
    if ending.signal == signal.SIGKILL and ending.cpu_seconds >= limits.cpu_seconds:
        return _BY_SIGNAL[signal.SIGXCPU]
    if ending.signal == signal.SIGKILL:
        return "killed", "killed from outside, perhaps by the kernel for want of memory"
    return _BY_SIGNAL.get(ending.signal, ("crashed", f"signal {ending.signal}"))


def _cause_in_words(cause: Reason, limits: Limits) -> str:
    return {
        "memory": f"more than {limits.memory_bytes} bytes resident above the start",
        "wall-time": f"more than {limits.wall_seconds:g} s passed",
        "scratch": f"more than {limits.scratch_files} files or {limits.scratch_bytes} bytes in its scratch",
    }.get(cause, "as asked")


def of_a_lost_zygote(limits: Limits, *, overdue: bool) -> Exit:
    """The Exit of a child whose zygote died, by which the kernel killed the child too."""
    reason: Reason = "wall-time" if overdue else "killed"
    detail = _cause_in_words("wall-time", limits) if overdue else "its zygote died, and its children with it"
    return Exit(code=None, signal=signal.SIGKILL, reason=reason, detail=detail, peak_rss_bytes=0)
