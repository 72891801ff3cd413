"""How an end is named and how strong a machine is: the parts that decide without acting."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
import safetensors

from workers.sandbox import landlock, reading
from workers.sandbox.ending import Ending, classify
from workers.sandbox.exhaustion import bound_met
from workers.sandbox.level import probe, probe_level
from workers.sandbox.spec import Level, Limits, Reason

LIMITS = Limits(cpu_seconds=10)


@pytest.mark.parametrize(
    ("code", "number", "cause", "cpu_seconds", "reason"),
    [
        (0, None, None, 1.0, "completed"), (81, None, None, 1.0, "failed"), (82, None, None, 1.0, "memory"),
        (83, None, None, 1.0, "file-size"), (84, None, None, 1.0, "crashed"), (85, None, None, 1.0, "open-files"),
        (86, None, None, 1.0, "processes"), (None, signal.SIGKILL, "scratch", 1.0, "scratch"),
        (1, None, None, 1.0, "crashed"),
        (0, None, "killed", 1.0, "completed"), (None, signal.SIGKILL, "killed", 1.0, "killed"),
        (None, signal.SIGKILL, "memory", 99.0, "memory"), (None, signal.SIGKILL, "wall-time", 1.0, "wall-time"),
        (None, signal.SIGKILL, None, 10.5, "cpu-time"), (None, signal.SIGKILL, None, 1.0, "killed"),
        (None, signal.SIGXCPU, None, 10.0, "cpu-time"), (None, signal.SIGXFSZ, None, 1.0, "file-size"),
        (None, signal.SIGSEGV, None, 1.0, "crashed"), (None, signal.SIGBUS, None, 1.0, "crashed"),
    ],
)  # fmt: skip
def test_an_end_has_one_reason(
    code: int | None, number: int | None, cause: Reason | None, cpu_seconds: float, reason: Reason
) -> None:
    ending = Ending(code, number, cause, peak_rss_bytes=1, cpu_seconds=cpu_seconds)
    assert classify(ending, LIMITS, said="", start_rss_bytes=1).reason == reason


@pytest.mark.parametrize(
    ("error", "bound"),
    [
        (MemoryError(), "memory"), (OSError(errno.ENOMEM, "no"), "memory"), (OSError(errno.EFBIG, "no"), "file-size"),
        (OSError(errno.EMFILE, "no"), "open-files"), (OSError(errno.ENOENT, "Too many open files"), None),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "processes"),
        (safetensors.SafetensorError("I/O error: File too large (os error 27)"), "file-size"),
        (ValueError("std::bad_alloc"), None), (RuntimeError("shapes differ"), None),
    ],
)  # fmt: skip
def test_an_exception_speaks_of_one_bound_or_of_none(error: Exception, bound: Reason | None) -> None:
    assert bound_met(error) == bound


def test_levels_are_ordered() -> None:
    assert Level.FULL.reaches(Level.PARTIAL)
    assert Level.PARTIAL.reaches(Level.PARTIAL)
    assert not Level.RLIMITS_ONLY.reaches(Level.PARTIAL)


def test_the_probe_finds_no_open_door_where_it_says_full() -> None:
    measured = probe()
    assert measured.level is probe_level()
    assert (measured.level is Level.FULL) == (measured.missing == () and measured.open_doors == ())
    assert measured.own_uid == (os.geteuid() == 0)
    assert measured.abi == landlock.abi()


@pytest.mark.parametrize(
    ("abi", "governed"),
    [(1, (0x1FFF, 0, 0)), (2, (0x3FFF, 0, 0)), (3, (0x7FFF, 0, 0)), (4, (0x7FFF, 3, 0)), (5, (0xFFFF, 3, 0)),
     (6, (0xFFFF, 3, 3)), (99, (0xFFFF, 3, 3))],
)  # fmt: skip
def test_each_landlock_abi_takes_away_what_it_governs(abi: int, governed: tuple[int, int, int]) -> None:
    assert landlock.governed(abi) == governed


def test_no_source_tree_is_readable_as_a_whole() -> None:
    """A repository on sys.path may hold a database, keys, other customers' files; its packages alone are opened."""
    granted = reading.code_paths()
    repository = str(Path(__file__).resolve().parents[3])
    assert f"{repository}/workers" in granted
    assert not any(repository == path or repository.startswith(path + os.sep) for path in granted)
