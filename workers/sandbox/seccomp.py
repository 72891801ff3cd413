"""Which kernel calls may the child still make? A seccomp filter, written as classic BPF, for all its threads.

Denied calls answer EPERM, so that a library that merely asks can go on; a call of a foreign instruction set kills.
Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; struct seccomp_data {nr, arch, ip, args[6]}.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from . import kernel, syscalls

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SECCOMP = {"x86_64": 317, "aarch64": 277}
X32_BIT = 0x40000000
SET_MODE_FILTER, TSYNC = 1, 1
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

DONE = 0
"""As an errno: the call returns 0, as if it had been made."""

LOAD, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16

CLONE_THREAD, CLONE_FILES = 0x00010000, 0x00000400
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: the kernel would send a signal of choice to a pid of choice.
FCNTL_DENIED = (8, 10, 15, 1024, 1026)
# TCGETS (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FICLONE (copying a file).
IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x40049409)
# A device driver speaks ioctl, so with one only these go: FIOSETOWN, SIOCSPGRP, FIOASYNC (signals to others), TIOCSTI,
# TIOCLINUX (typing into a terminal), FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR, FS_IOC_ENABLE_VERITY and
# FS_IOC_SET_ENCRYPTION_POLICY (what chattr and friends do, even to files opened for reading).
IOCTL_DENIED = (
    0x8901, 0x8902, 0x5452, 0x5412, 0x541C, 0x40086602, 0x40087602, 0x401C5820, 0x40806685, 0x800C6613,
)  # fmt: skip
# PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS,
# PR_SET_VMA (names of mappings). Above all not PR_SET_PDEATHSIG: the child must die with the zygote.
PRCTL_ALLOWED = (2, 3, 15, 16, 21, 23, 39, 0x53564D41)

F_SETFL = 4
O_TMPFILE, O_DSYNC, O_SYNC = 0o20000000, 0o10000, 0o4000000
O_DIRECT = {"x86_64": 0o40000, "aarch64": 0o200000}
"""A file without a name, whose size nobody sees; and writing that waits for the disk, when nothing can be killed."""
RWF_DSYNC, RWF_SYNC = 2, 4
SET_ID_BITS = 0o6000
"""Of a mode: a file that runs as its owner or group."""

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, constant)"""


def _low_word(argument: int) -> Instruction:
    """The low 32 bits of an argument, little endian; the kernel reads no more of the int arguments compared here."""
    return (LOAD, 0, 0, ARGUMENTS_AT + 8 * argument)


def _refuse(code: int = errno.EPERM) -> Instruction:
    return (RETURN, 0, 0, ERRNO | code)


_PERMIT: Instruction = (RETURN, 0, 0, ALLOW)


def _only(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow the call where the argument is one of these."""
    rows: list[Instruction] = [_low_word(argument)]
    for value in values:
        rows += [(JUMP_IF_EQUAL, 0, 1, value), _PERMIT]
    return [*rows, _refuse()]


def _except(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Refuse the call where the argument is one of these."""
    rows: list[Instruction] = [_low_word(argument)]
    for value in values:
        rows += [(JUMP_IF_EQUAL, 0, 1, value), _refuse()]
    return [*rows, _PERMIT]


def _without(bits: dict[int, int]) -> list[Instruction]:
    """Refuse the call where an argument (by its place) has any of these bits."""
    rows: list[Instruction] = []
    for argument, forbidden in bits.items():
        rows += [_low_word(argument), (JUMP_IF_SET, 0, 1, forbidden), _refuse()]
    return [*rows, _PERMIT]


def _with(argument: int, *bits: int) -> list[Instruction]:
    """Allow the call where the argument has all of these bits."""
    tests: list[Instruction] = [(JUMP_IF_SET, 0, len(bits) - at, bit) for at, bit in enumerate(bits)]
    return [_low_word(argument), *tests, _PERMIT, _refuse()]


def _fcntl(direct: int) -> list[Instruction]:
    """Refuse what signals others, and to make an open file one that waits for the disk."""
    later = [_low_word(2), (JUMP_IF_SET, 0, 1, direct), _refuse(), _PERMIT]
    return [_low_word(1), (JUMP_IF_EQUAL, 0, len(later), F_SETFL), *later, *_except(1, FCNTL_DENIED)]


def _conditions(machine: str, pid: int, *, device: bool) -> dict[str, list[Instruction]]:
    flags = O_TMPFILE | O_DSYNC | O_SYNC | O_DIRECT[machine]
    return {
        "kill": _only(0, (pid,)),
        "tkill": _only(0, (pid,)),
        "tgkill": _only(0, (pid,)),
        "prlimit64": _only(0, (0, pid)),
        "sched_setaffinity": _only(0, (0, pid)),
        # A thread of this process, nothing else: the child stays one process, so one kill ends it all; and one that
        # shares its descriptors, or each thread could open as many as the whole child may.
        "clone": _with(0, CLONE_THREAD, CLONE_FILES),
        # Its flags lie in memory, out of the filter's sight; on ENOSYS the C library uses clone.
        "clone3": [_refuse(errno.ENOSYS)],
        # chmod is denied, but a file could be created set-uid; openat2, too, keeps its mode in memory.
        "open": _without({1: flags, 2: SET_ID_BITS}),
        "creat": _without({1: SET_ID_BITS}),
        "openat": _without({2: flags, 3: SET_ID_BITS}),
        "openat2": [_refuse(errno.ENOSYS)],
        "prctl": _only(0, PRCTL_ALLOWED),
        # With FALLOC_FL_KEEP_SIZE it takes a whole disk at once, past every bound on sizes; libraries write instead.
        "fallocate": [_refuse(errno.EOPNOTSUPP)],
        "pwritev2": _without({5: RWF_DSYNC | RWF_SYNC}),
        "fcntl": _fcntl(O_DIRECT[machine]),
        "ioctl": _except(1, IOCTL_DENIED) if device else _only(1, IOCTL_ALLOWED),
    }


def program(machine: str, pid: int, *, device: bool) -> list[Instruction]:
    """The filter of a child with this pid on `x86_64` or `aarch64`; its first match decides, and else it allows.

    With a `device` (a GPU) the calls its driver makes stay open: every ioctl but a few.
    """
    rows: list[Instruction] = [
        (LOAD, 0, 0, ARCH_AT),
        (JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if machine == "x86_64":
        rows += [(JUMP_IF_SET, 0, 1, X32_BIT), (RETURN, 0, 0, KILL_PROCESS)]
    rows += [(JUMP_IF_GREATER, 0, 1, syscalls.NEWEST_KNOWN), _refuse(errno.ENOSYS)]
    for number in syscalls.numbers(syscalls.DENIED, machine).values():
        rows += [(JUMP_IF_EQUAL, 0, 1, number), _refuse()]
    for number in syscalls.numbers(syscalls.SYNCHRONOUS, machine).values():
        rows += [(JUMP_IF_EQUAL, 0, 1, number), _refuse(DONE)]
    conditions = _conditions(machine, pid, device=device)
    for name, number in syscalls.numbers(syscalls.GUARDED, machine).items():
        rows += [(JUMP_IF_EQUAL, 0, len(conditions[name]), number), *conditions[name]]
    return [*rows, _PERMIT]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("rows", ctypes.c_void_p))


def install(*, device: bool) -> bool:
    """Filter every thread of this process from now on, for good. False where the kernel or machine cannot.

    Needs no_new_privs. Machines other than x86-64 and aarch64 have no table here, so they get no filter.
    """
    machine = platform.machine()
    if not kernel.LINUX or machine not in AUDIT_ARCH or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    packed = b"".join(struct.pack("HBBI", *row) for row in program(machine, os.getpid(), device=device))
    rows = ctypes.create_string_buffer(packed, len(packed))
    filter_ = _Program(len(packed) // 8, ctypes.addressof(rows))
    passed = ctypes.create_string_buffer(bytes(filter_), ctypes.sizeof(filter_))
    try:
        # Above zero it is the id of a thread that could not be filtered, and then none was.
        return kernel.syscall(SECCOMP[machine], SET_MODE_FILTER, TSYNC, passed) == 0
    except OSError:
        return False
