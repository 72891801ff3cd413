"""Which files may the child still open? Landlock (Linux >= 5.13): only what is listed, for itself and its threads.

Source: https://docs.kernel.org/userspace-api/landlock.html. Landlock does not govern stat, chmod, chown, utime or
xattr, nor truncate(2) before ABI 3: seccomp.py denies those. The right to execute is granted nowhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from dataclasses import dataclass

from . import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
VERSION_FLAG = 1
PATH_BENEATH = 1
TSYNC = 1 << 3

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
MAKE_DIR, MAKE_REG = 1 << 7, 1 << 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_A_FILE = 1 | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR
LIST = READ_DIR
# No symbolic links, sockets, pipes or devices: whoever reads the results must not be led elsewhere by one. Nothing is
# removed or renamed either: a file without a name, kept open, would take disk that nobody can count.
OWN = READ | WRITE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
DEVICE = READ | WRITE_FILE | IOCTL_DEV


@dataclass(frozen=True, slots=True)
class Handle:
    """A path opened before the child loses the right to look it up (O_PATH), and what it may do beneath it."""

    fd: int
    access: int


def grant(path: str, access: int, *, dir_fd: int | None = None) -> Handle | None:
    """Open one path for a rule; None where it does not exist, since nothing has to be granted then."""
    try:
        return Handle(os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=dir_fd), access)
    except OSError:
        return None


def abi() -> int:
    """The kernel's Landlock ABI; 0 where Landlock is absent or switched off."""
    try:
        return kernel.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    except OSError:
        return 0


def governed(version: int) -> tuple[int, int, int]:
    """(file, network, scope) rights an ABI can take away; a newer ABI than we know is used as the newest we know."""
    bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << bits) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0


def restrict(handles: list[Handle]) -> int:
    """Take from this thread (every thread from ABI 8) all file rights but the handles'. Returns the ABI; 0: absent.

    Needs no_new_privs. TCP, abstract unix sockets and signals to outside go too, where the ABI governs them.
    """
    version = abi()
    if version < 1:
        return 0
    files, network, scope = governed(version)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("QQQ", files, network, scope)[:size], size)
    ruleset = kernel.syscall(CREATE_RULESET, attributes, size, 0)
    try:
        for handle in handles:
            folder = stat.S_ISDIR(os.fstat(handle.fd).st_mode)
            access = handle.access & files & (-1 if folder else OF_A_FILE)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", access, handle.fd))
            kernel.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
        kernel.syscall(RESTRICT_SELF, ruleset, TSYNC if version >= 8 else 0)
    finally:
        with contextlib.suppress(OSError):
            os.close(ruleset)
    return version
