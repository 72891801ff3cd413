"""Under which user does a child run? Where the zygote is root: a uid that no other running child has."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

from . import kernel
from .spec import SandboxUnavailable

FIRST, LAST = 64000, 64999


@dataclass(slots=True)
class Lease:
    """A uid (and the gid of the same number) held by this process; it ends with `release` or with the process.

    What holds it is a bound abstract socket: one name per uid for all zygotes of a network namespace, nothing on
    disk, and the kernel gives it back when its holder dies, however it dies.
    """

    uid: int
    _socket: socket.socket

    def release(self) -> None:
        self._socket.close()


def lease() -> Lease:
    """Take a uid that no child of any zygote here has now. SandboxUnavailable once all of 64000-64999 are taken."""
    count = LAST - FIRST + 1
    start = os.getpid() * 37 % count  # zygotes that start elsewhere in the range seldom meet
    for step in range(count):
        uid = FIRST + (start + step) % count
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            holder.bind(f"\0lamina-sandbox-uid-{uid}")
        except OSError:
            holder.close()
            continue
        return Lease(uid, holder)
    raise SandboxUnavailable(f"each uid of {FIRST}-{LAST} has a running child; run fewer at once", permanent=False)


def needed() -> bool:
    """Whether children have to change user: this process is root, on a kernel where a name can hold a uid."""
    return kernel.LINUX and os.geteuid() == 0


def become(uid: int) -> None:
    """Give up root, its groups and its capabilities for good; what is created from now on is for this uid alone."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        raise OSError("the child could become root again; the sandbox is not entered")
