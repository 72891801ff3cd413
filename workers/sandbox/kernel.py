"""Which Linux calls does the sandbox make that Python has no name for? prctl(2), syscall(2), /proc; else "absent"."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

LINUX = sys.platform == "linux"

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SIGKILL = 9
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Call the kernel by number: integers go as C longs, buffers by address, None as NULL. OSError where it refuses."""
    if not LINUX:
        raise OSError(errno.ENOSYS, "not Linux")
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process; OSError where the kernel refuses or is not Linux."""
    if not LINUX:
        raise OSError(errno.ENOSYS, "not Linux")
    if _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def madvise(address: int, size: int, advice: int) -> bool:
    """Tell the kernel how a range of this process's memory is used; whether it took the advice."""
    if not LINUX:
        return False
    return bool(_libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), ctypes.c_int(advice)) == 0)


def die_with_parent(parent: int) -> bool:
    """Ask for SIGKILL when the *thread* that started this process ends; exits at once if `parent` is gone already.

    A change of uid clears the request, so it is made again after one. False where the kernel has no such thing.
    """
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
    except OSError:
        return False
    if os.getppid() != parent:
        os._exit(SIGKILL)
    return True


def die_first() -> None:
    """Have the kernel, where memory runs out, end this process before its zygote, its worker or anybody else's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def tasks_of_this_process() -> int:
    """Threads of this process; 1 where /proc cannot tell."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 1


def address_space_bytes() -> int:
    """Size of this process's address space (what RLIMIT_AS counts); 0 where /proc cannot tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * PAGE_BYTES
    except OSError:
        return 0


def resident_bytes(pid: int | str = "self") -> tuple[int, int]:
    """(all resident, filled) bytes of a process; (0, 0) once it is gone or hidden.

    The second counts what the process itself filled, in memory, shared or swapped out: pages of mapped libraries,
    which the kernel may drop, are not in.
    """
    sizes = _sizes(Path(f"/proc/{pid}/status"))
    if not sizes:
        # Its first thread may have ended, to hide the memory that the others still fill.
        for thread in Path(f"/proc/{pid}/task").glob("*/status"):
            sizes = sizes or _sizes(thread)
    return sizes.get("VmRSS", 0), sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0) + sizes.get("VmSwap", 0)


def _sizes(status: Path) -> dict[str, int]:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return {}
    return {
        line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmSwap", "Rss"))
    }


def tasks_of_this_user() -> int:
    """Threads RLIMIT_NPROC counts for this uid, at least: non-dumpable ones look like root's, so root's count too."""
    user, count = os.getuid(), 0
    for entry in Path("/proc").iterdir() if LINUX else []:
        if not entry.name.isdecimal():
            continue
        try:
            status = (entry / "task").stat()
        except OSError:
            continue  # it ended while we looked
        if status.st_uid in (user, 0):
            count += status.st_nlink - 2
    return count


def children_of_this_process() -> list[int]:
    """Pids whose parent is this process, zombies included."""
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{me}/children").read_text().split()]
    except OSError:
        return [pid for pid, parent in _parents() if parent == me]


def _parents() -> list[tuple[int, int]]:
    """(pid, parent) of every process, for kernels without CONFIG_PROC_CHILDREN."""
    found = []
    for entry in Path("/proc").iterdir() if LINUX else []:
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            found.append((int(entry.name), int(fields[1])))
    return found
