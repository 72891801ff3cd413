"""What happens between the fork and the end of one child? Trusted code, up to the line that calls the entry."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from . import kernel, scratch
from .enter import Entered, Terms, enter
from .exhaustion import bound_met
from .inside import Line
from .landlock import Handle
from .spec import ChildSpec, Reason

Entry = Callable[[Path, Line], None]

COMPLETED, FAILED, OUT_OF_MEMORY, FILE_TOO_LARGE, NOT_ENTERED, TOO_MANY_OPEN, TOO_MANY_TASKS = 0, 81, 82, 83, 84, 85, 86
"""Exit codes; what ends with another one was ended from within, by os._exit or a library."""
_BY_BOUND: dict[Reason | None, int] = {
    "memory": OUT_OF_MEMORY,
    "file-size": FILE_TOO_LARGE,
    "open-files": TOO_MANY_OPEN,
    "processes": TOO_MANY_TASKS,
}
DETAIL_CHARACTERS = 2000
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "USER")
WORKING_FOLDER = Path("/proc/self/cwd")
"""The scratch's name inside. Its real path may lead through folders that the child's own uid cannot pass."""


@dataclass(frozen=True, slots=True)
class Start:
    """Everything one fork is given by the zygote."""

    spec: ChildSpec
    terms: Terms
    entry: Entry
    initialise_device: Callable[[str], None] | None
    readable: list[Handle]
    scratch: int
    progress: int
    control: int


def run_job(start: Start) -> NoReturn:
    """Enter the sandbox, run the entry, end the process. Called right after the fork, in the child."""
    code = NOT_ENTERED
    try:
        kernel.die_with_parent(start.terms.parent)
        _leave_the_zygote(start)
        line = Line(
            progress_fd=start.progress, control_fd=start.control, threads=start.spec.threads, device=start.spec.device
        )
        code = _enter_and_run(start, line)
    finally:
        # No finalisers and no atexit: they are the zygote's.
        os._exit(code)


def _enter_and_run(start: Start, line: Line) -> int:
    try:
        if start.initialise_device is not None and start.terms.on_gpu:
            start.initialise_device(start.spec.device)
        entered = enter(start.terms, start.readable, start.scratch)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the entry must not run
        return _end(line, NOT_ENTERED, error)
    message = asdict(entered) | {"type": "entered", "resident_bytes": kernel.resident_bytes()[0]}
    line.send(message)
    if not entered.level.reaches(start.spec.minimum_level):
        return _end(line, NOT_ENTERED, PermissionError(_shortfall(entered, start.spec)))
    try:
        start.entry(WORKING_FOLDER if WORKING_FOLDER.exists() else start.spec.scratch, line)
    except BaseException as error:  # noqa: BLE001 - foreign code, SystemExit included
        return _end(line, _BY_BOUND.get(bound_met(error), FAILED), error)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
    return COMPLETED


def _shortfall(entered: Entered, spec: ChildSpec) -> str:
    return f"level {entered.level} where {spec.minimum_level} is required: {'; '.join(entered.missing)}"


def _end(line: Line, code: int, error: BaseException) -> int:
    with contextlib.suppress(Exception):
        traceback.print_exception(error)
        sys.stderr.flush()
    with contextlib.suppress(Exception):
        detail = f"{type(error).__name__}: {error}"[:DETAIL_CHARACTERS]
        line.send({"type": "ended", "detail": detail})
    return code


def _leave_the_zygote(start: Start) -> None:
    """Own session, signals, files, environment and working folder; nothing of the zygote's stays open."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.fchdir(start.scratch)
    _close_all_but({0, 1, 2, start.scratch, start.progress, start.control, *(handle.fd for handle in start.readable)})
    output = os.open(scratch.OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    if start.terms.uid is not None:
        os.fchown(output, start.terms.uid, start.terms.uid)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(fd, target)
    os.close(null)
    os.close(output)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - they last as long as the process
    faulthandler.enable(file=2)
    for name in set(os.environ) - set(ENVIRONMENT_KEPT):
        del os.environ[name]
    os.environ["TMPDIR"] = tempfile.tempdir = str(WORKING_FOLDER)
    gc.enable()


def _close_all_but(kept: set[int]) -> None:
    try:
        opened = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    except OSError:
        opened = list(range(os.sysconf("SC_OPEN_MAX")))
    for fd in opened:
        if fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)
