"""How does a process give up everything but its scratch? User, limits, Landlock, seccomp, in an order that holds."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass

from . import identity, kernel, landlock, reading, seccomp
from .landlock import OWN, Handle
from .spec import MEBIBYTE, Level, Limits

STACK_AND_ARENA_BYTES = 192 * MEBIBYTE
"""Address space, not memory, that glibc reserves for one more thread: 8 MiB of stack and arenas of 64 MiB."""
SIGNALS_QUEUED = 1024
"""And timers (RLIMIT_SIGPENDING): kernel memory that nothing else here counts."""
CPU_GRACE_SECONDS = 2
"""Between SIGXCPU, which a program may ignore, and SIGKILL, which it cannot."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What was reached: `missing` says in words why it is not `full`."""

    level: Level
    abi: int
    uid: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms one child enters."""

    parent: int
    uid: int | None
    limits: Limits
    threads: int
    on_gpu: bool


def enter(terms: Terms, readable: list[Handle], scratch: int | None) -> Entered:
    """Confine the calling process for good; closes every handle and `scratch`. No step can be undone from inside.

    OSError where a step that this kernel has fails: the caller must end the process then.
    """
    missing: list[str] = []
    kernel.die_first()
    if terms.uid is not None:
        identity.become(terms.uid)
    elif identity.needed():
        missing.append("runs as root: this environment lets no child have its own uid")
    os.umask(0o077)
    # Only now: a change of uid clears the parent-death signal.
    if not kernel.die_with_parent(terms.parent):
        missing.append("no parent-death signal")
    handles = [*readable, *reading.open_own_process(), *(reading.open_gpus() if terms.on_gpu else [])]
    _limit(terms.limits, own_uid=terms.uid is not None)
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    several = kernel.tasks_of_this_process() > 1
    abi = landlock.restrict([*handles, *([Handle(scratch, OWN)] if scratch is not None else [])])
    for fd in {handle.fd for handle in handles} | ({scratch} if scratch is not None else set()):
        os.close(fd)
    if abi == 0:
        missing.append("no Landlock: every file of this user can be read and written")
    elif several and abi < 8:
        missing.append(f"Landlock ABI {abi} holds for one thread, and the device's threads were there before it")
    if terms.limits.memory_bytes is not None and not terms.on_gpu:
        _limit_address_space(terms.limits.memory_bytes, terms.threads)
    filtered = seccomp.install(device=terms.on_gpu)
    if not filtered:
        missing.append("no seccomp: network, programs and signals are open")
    return Entered(_level(abi, filtered, missing), abi, os.getuid(), tuple(missing))


def _level(abi: int, filtered: bool, missing: list[str]) -> Level:
    if not missing:
        return Level.FULL
    return Level.PARTIAL if abi or filtered else Level.RLIMITS_ONLY


def _limit(limits: Limits, *, own_uid: bool) -> None:
    processes = limits.processes + (0 if own_uid else kernel.tasks_of_this_user())
    bounds = {
        "CPU": (limits.cpu_seconds, limits.cpu_seconds + CPU_GRACE_SECONDS),
        "FSIZE": (limits.file_bytes, limits.file_bytes),
        "NOFILE": (limits.open_files, limits.open_files),
        "NPROC": (processes, processes),
        "CORE": (0, 0),
        "MSGQUEUE": (0, 0),
        "SIGPENDING": (SIGNALS_QUEUED, SIGNALS_QUEUED),
        "NICE": (0, 0),
        "RTPRIO": (0, 0),
    }
    for name, (soft, hard) in bounds.items():
        if hasattr(resource, f"RLIMIT_{name}"):
            _lower(getattr(resource, f"RLIMIT_{name}"), soft, hard)


def _limit_address_space(memory_bytes: int, threads: int) -> None:
    bound = kernel.address_space_bytes() + memory_bytes + threads * STACK_AND_ARENA_BYTES
    _lower(resource.RLIMIT_AS, bound, bound)


def _lower(which: int, soft: int, hard: int) -> None:
    """Set a limit, but never above the one this process was given."""
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))
