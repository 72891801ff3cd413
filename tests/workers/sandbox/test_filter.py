"""Does the filter mean what its table says? Both machines' programs, run by a small BPF interpreter."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from workers.sandbox import seccomp, syscalls

PID = 4321
MACHINES = sorted(seccomp.AUDIT_ARCH)
REFUSED = seccomp.ERRNO | errno.EPERM


EVERY = {**syscalls.DENIED, **syscalls.SYNCHRONOUS, **syscalls.GUARDED}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
"""linux-libc-dev's; aarch64 takes the generic numbers (arch/arm64/include/uapi/asm/unistd.h)."""
RECORDED = {
    "x86_64": {
        "socket": 41, "connect": 42, "execve": 59, "fork": 57, "kill": 62, "ptrace": 101, "chmod": 90, "mount": 165,
        "unshare": 272, "clone": 56, "openat": 257, "symlink": 88, "utimensat": 280, "prctl": 157, "setuid": 105,
        "memfd_create": 319, "bpf": 321, "execveat": 322, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435,
    },
    "aarch64": {
        "io_setup": 0, "setxattr": 5, "fcntl": 25, "inotify_init1": 26, "ioctl": 29, "mknodat": 33, "symlinkat": 36,
        "linkat": 37, "umount2": 39, "mount": 40, "truncate": 45, "chdir": 49, "chroot": 51, "fchmod": 52,
        "fchmodat": 53, "fchownat": 54, "openat": 56, "vmsplice": 75, "utimensat": 88, "unshare": 97, "ptrace": 117,
        "kill": 129, "tkill": 130, "tgkill": 131, "setuid": 146, "setpgid": 154, "setsid": 157, "prctl": 167,
        "mq_open": 180, "shmget": 194, "socket": 198, "socketpair": 199, "bind": 200, "connect": 203, "sendto": 206,
        "clone": 220, "execve": 221, "perf_event_open": 241, "accept4": 242, "prlimit64": 261, "fanotify_init": 262,
        "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "finit_module": 273, "seccomp": 277,
        "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282, "pidfd_send_signal": 424,
        "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435, "openat2": 437, "landlock_create_ruleset": 444,
        "fchmodat2": 452,
    },
}  # fmt: skip
"""So that something is checked where the headers are not installed."""


def numbers_of(header: Path) -> dict[str, int]:
    """`#define __NR_name 1`; the generic header writes __NR3264_ where 32-bit machines have another call."""
    return {
        name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_the_table_says_what_the_kernels_headers_say(machine: str) -> None:
    """The aarch64 column was never run: this is what stands for it."""
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed (linux-libc-dev)")
    theirs = numbers_of(HEADERS[machine])
    ours = syscalls.numbers(EVERY, machine)
    newer = {name for name, number in ours.items() if number > max(theirs.values()) - 1}
    assert {name: number for name, number in ours.items() if theirs.get(name) != number and name not in newer} == {}
    absent = {name for name in EVERY if name not in ours}
    assert absent & set(theirs) == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_table_says_what_was_recorded(machine: str) -> None:
    ours = syscalls.numbers(EVERY, machine)
    assert {name: ours[name] for name in RECORDED[machine]} == RECORDED[machine]


def test_what_a_machine_lacks_is_a_call_of_the_old_kind() -> None:
    """aarch64 never had them; what replaced each is in the table too."""
    lacking = {name for name, (_, arm) in EVERY.items() if arm is None}
    assert lacking == {
        "fork", "vfork", "uselib", "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "inotify_init",
        "symlink", "link", "mknod", "modify_ldt", "iopl", "ioperm", "open", "creat",
    }  # fmt: skip
    assert {name for name, (intel, _) in EVERY.items() if intel is None} == set()


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None, device: bool = False) -> int:
    """Classic BPF as Linux defines it, of the five instructions the filter uses."""
    filled = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, seccomp.AUDIT_ARCH[machine] if arch is None else arch, 0, *filled)
    rows, at, accumulator = seccomp.program(machine, PID, device=device), 0, 0
    while True:
        code, if_true, if_false, constant = rows[at]
        at += 1
        if code == seccomp.RETURN:
            return constant
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, constant)
            continue
        holds = {
            seccomp.JUMP_IF_EQUAL: accumulator == constant,
            seccomp.JUMP_IF_GREATER: accumulator > constant,
            seccomp.JUMP_IF_SET: bool(accumulator & constant),
        }[code]
        at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_denied_call_is_refused_whatever_its_arguments(machine: str) -> None:
    for name, number in syscalls.numbers(syscalls.DENIED, machine).items():
        for argument in (0, 1, PID, 2**64 - 1):
            assert verdict(machine, number, *[argument] * 6) == REFUSED, name


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_stands_for_two_calls(machine: str) -> None:
    assert len(EVERY) == len(syscalls.DENIED) + len(syscalls.SYNCHRONOUS) + len(syscalls.GUARDED)
    numbers = list(syscalls.numbers(EVERY, machine).values())
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= syscalls.NEWEST_KNOWN


def test_what_a_job_lives_on_is_allowed_on_x86_64() -> None:
    for number in (0, 1, 3, 9, 10, 11, 12, 13, 24, 35, 39, 60, 202, 231, 257, 262, 2, 318, 332):
        assert verdict("x86_64", number) == seccomp.ALLOW


def test_what_a_job_lives_on_is_allowed_on_aarch64() -> None:
    for number in (56, 57, 63, 64, 93, 94, 96, 98, 113, 134, 135, 172, 214, 215, 222, 226, 278):
        assert verdict("aarch64", number) == seccomp.ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_signals_reach_only_the_child_itself(machine: str) -> None:
    guarded = syscalls.numbers(syscalls.GUARDED, machine)
    for name in ("kill", "tkill", "tgkill"):
        assert verdict(machine, guarded[name], PID, 9) == seccomp.ALLOW
        for other in (0, 1, PID + 1, 2**64 - 1, 2**64 - PID):
            assert verdict(machine, guarded[name], other, 9) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_only_threads_are_cloned(machine: str) -> None:
    guarded = syscalls.numbers(syscalls.GUARDED, machine)
    thread = 0x3D0F00
    assert verdict(machine, guarded["clone"], thread) == seccomp.ALLOW
    assert verdict(machine, guarded["clone"], 17) == REFUSED
    assert verdict(machine, guarded["clone"], thread & ~seccomp.CLONE_THREAD) == REFUSED
    assert verdict(machine, guarded["clone"], thread & ~seccomp.CLONE_FILES) == REFUSED
    assert verdict(machine, guarded["clone3"]) == seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_with_conditions_allow_the_harmless_half(machine: str) -> None:
    guarded = syscalls.numbers(syscalls.GUARDED, machine)
    assert verdict(machine, guarded["prlimit64"], 0) == seccomp.ALLOW
    assert verdict(machine, guarded["prlimit64"], PID + 1) == REFUSED
    assert verdict(machine, guarded["prctl"], 15) == seccomp.ALLOW
    assert verdict(machine, guarded["prctl"], 1) == REFUSED
    assert verdict(machine, guarded["fcntl"], 3, 1) == seccomp.ALLOW
    assert verdict(machine, guarded["fcntl"], 3, 8) == REFUSED
    assert verdict(machine, guarded["ioctl"], 3, 0x5401) == seccomp.ALLOW
    assert verdict(machine, guarded["ioctl"], 3, 0x5412) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_nobody_waits_for_a_disk(machine: str) -> None:
    for number in syscalls.numbers(syscalls.SYNCHRONOUS, machine).values():
        assert verdict(machine, number, 3) == seccomp.ERRNO  # errno 0: the call returns 0
    guarded = syscalls.numbers(syscalls.GUARDED, machine)
    direct = {"x86_64": 0o40000, "aarch64": 0o200000}[machine]
    create, append = 0o101, 0o2001
    for flags in (0o20000000, 0o10000, 0o4010000, direct):
        assert verdict(machine, guarded["openat"], 2**64 - 100, 0, create | flags, 0o600) == REFUSED
    assert verdict(machine, guarded["openat"], 2**64 - 100, 0, create, 0o600) == seccomp.ALLOW
    assert verdict(machine, guarded["openat"], 2**64 - 100, 0, create, 0o4600) == REFUSED
    assert verdict(machine, guarded["fcntl"], 3, 4, append) == seccomp.ALLOW
    assert verdict(machine, guarded["fcntl"], 3, 4, append | direct) == REFUSED
    assert verdict(machine, guarded["pwritev2"], 3, 0, 1, 0, 0, 0x10) == seccomp.ALLOW
    assert verdict(machine, guarded["pwritev2"], 3, 0, 1, 0, 0, 4) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_a_later_kernels_calls_do_not_exist(machine: str) -> None:
    assert verdict(machine, syscalls.NEWEST_KNOWN + 1) == seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_a_foreign_instruction_set_kills(machine: str) -> None:
    i386, arm = 0x40000003, 0x40000028
    for arch in (i386, arm, 0):
        assert verdict(machine, 1, arch=arch) == seccomp.KILL_PROCESS
    if machine == "x86_64":
        assert verdict(machine, seccomp.X32_BIT | 39) == seccomp.KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
def test_a_driver_may_speak_to_its_device_but_not_change_files(machine: str) -> None:
    ioctl = syscalls.numbers(syscalls.GUARDED, machine)["ioctl"]
    of_a_driver, set_flags = 0xC020462A, 0x40086602
    assert verdict(machine, ioctl, 3, of_a_driver) == REFUSED
    assert verdict(machine, ioctl, 3, of_a_driver, device=True) == seccomp.ALLOW
    for device in (False, True):
        assert verdict(machine, ioctl, 3, set_flags, device=device) == REFUSED


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_the_kernel_takes(machine: str, device: bool) -> None:
    rows = seccomp.program(machine, PID, device=device)
    assert len(rows) <= 4096
    for at, (_, if_true, if_false, constant) in enumerate(rows):
        assert 0 <= if_true <= 255
        assert 0 <= if_false <= 255
        assert at + 1 + max(if_true, if_false) <= len(rows)
        assert 0 <= constant < 2**32
    assert rows[-1][0] == seccomp.RETURN
