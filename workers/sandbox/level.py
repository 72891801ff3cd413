"""How strong a sandbox can this machine give? Measured: a throw-away child enters it and then tries the forbidden."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from . import identity, kernel, reading
from .enter import Terms, enter
from .spec import Level, Limits

PROBE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a throw-away child reached; `open_doors` names what it tried and was not denied."""

    level: Level
    abi: int
    own_uid: bool
    missing: tuple[str, ...]
    open_doors: tuple[str, ...]


def probe_level() -> Level:
    """What this kernel, user and container can give. Takes about 0.1 s; starts one short process."""
    return probe().level


def probe() -> Measured:
    """`probe_level` with its reasons. The fork happens in a process of its own, since this one may have threads."""
    root = Path(__file__).resolve().parents[2]
    finished = subprocess.run(
        [sys.executable, "-P", "-m", "workers.sandbox.level"],
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(root)},
        cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False,
    )  # fmt: skip
    if finished.returncode != 0:
        return _nothing(f"the probe failed: {finished.stderr.decode()[-400:]}")
    return _from_json(finished.stdout)


def measure() -> Measured:
    """Fork, enter, try. For a process with one thread. Falls back to no own uid where that cannot be had."""
    if identity.needed():
        with_uid = _measure_once(own_uid=True)
        if with_uid is not None:
            return with_uid
    without = _measure_once(own_uid=False)
    return without if without is not None else _nothing("no child could enter the sandbox")


def _nothing(why: str) -> Measured:
    return Measured(Level.RLIMITS_ONLY, abi=0, own_uid=False, missing=(why,), open_doors=())


def _measure_once(*, own_uid: bool) -> Measured | None:
    uid = identity.FIRST if own_uid else None
    reader, writer = os.pipe()
    parent = os.getpid()
    readable = reading.open_readable()
    # No bound on memory or tasks: other children of this uid may run now.
    terms = Terms(parent, uid, Limits(memory_bytes=None, processes=4096), threads=1, on_gpu=False)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(reader)
            entered = enter(terms, readable, None)
            level, doors = entered.level, _open_doors(parent)
            if doors and level is Level.FULL:
                level = Level.PARTIAL
            measured = Measured(level, entered.abi, own_uid, entered.missing, doors)
            os.write(writer, json.dumps(asdict(measured)).encode())
        os._exit(0)
    os.close(writer)
    for handle in readable:
        os.close(handle.fd)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    return _from_json(answer) if answer else None


def _open_doors(parent: int) -> tuple[str, ...]:
    """What an entered process still can do of what `full` denies. Harmless where it succeeds."""
    import socket  # here, so that the Celery parent and the zygote pay nothing for it before

    attempts: dict[str, Callable[[], object]] = {
        "read a file outside": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
        "list the root folder": lambda: os.scandir("/"),
        "open a socket": lambda: socket.socket().close(),
        "change a file's times": lambda: os.utime("/dev/null", None),
        "signal its parent": lambda: os.kill(parent, 0),
        "fork": _fork_once,
        "execute": lambda: os.execv("/proc/self/none", ["none"]),  # noqa: S606 - it is there to be denied
    }
    return tuple(name for name, attempt in attempts.items() if not _denied(attempt))


def _denied(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES)
    return False


def _fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _from_json(text: bytes) -> Measured:
    values = json.loads(text)
    return Measured(
        Level(values["level"]), values["abi"], values["own_uid"], tuple(values["missing"]), tuple(values["open_doors"])
    )


def main() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    sys.stdout.write(json.dumps(asdict(measure())))


if __name__ == "__main__":
    main()
