"""Does every bound hold, and does the worker learn which one it was?"""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import time
from pathlib import Path

import pytest
import sandbox_driver

from workers.sandbox.scratch import used
from workers.sandbox.spec import MEBIBYTE, Limits

from .conftest import Job, Spawned, value

pytestmark = pytest.mark.stack


def limits(**changes: float | None) -> Limits:
    return dataclasses.replace(sandbox_driver.LIMITS, **changes)  # type: ignore[arg-type]  # each test names its field


def test_an_allocation_beyond_the_address_space_is_reported_as_memory(job: Job) -> None:
    ended, _, _ = job("allocate", size=64 << 30)
    assert (ended.reason, ended.signal) == ("memory", None)
    assert "MemoryError" in ended.detail


def test_a_job_gets_the_memory_it_was_promised(job: Job) -> None:
    ended, _, scratch = job("allocate", size=200 * MEBIBYTE, limits=limits(memory_bytes=256 * MEBIBYTE))
    assert ended.reason == "completed"
    assert value(scratch) == 200 * MEBIBYTE


def test_resident_memory_is_watched_where_the_address_space_is_too_coarse(job: Job) -> None:
    """160 MiB fit into the address space of a 64 MiB job (thread stacks and arenas), not into its memory."""
    ended, _, _ = job("swell", size=160 * MEBIBYTE, limits=limits(memory_bytes=64 * MEBIBYTE))
    assert (ended.reason, ended.signal) == ("memory", signal.SIGKILL)
    assert ended.peak_rss_bytes - ended.start_rss_bytes > 64 * MEBIBYTE


def test_memory_cannot_be_hidden_behind_an_ended_first_thread(job: Job) -> None:
    ended, _, _ = job("swell_behind_a_dead_thread", size=160 * MEBIBYTE, limits=limits(memory_bytes=64 * MEBIBYTE))
    assert (ended.reason, ended.signal) == ("memory", signal.SIGKILL)


def test_spent_processor_time_is_reported(job: Job) -> None:
    ended, _, _ = job("spin", limits=limits(cpu_seconds=1))
    assert (ended.reason, ended.signal) == ("cpu-time", signal.SIGXCPU)
    # The kernel ends it by what its ticks counted; beside other work that runs ahead of what was really used.
    assert 0.75 <= ended.cpu_seconds <= 2.0


def test_a_job_that_ignores_the_signal_is_killed_soon_after(job: Job) -> None:
    ended, _, _ = job("spin_stubbornly", limits=limits(cpu_seconds=1))
    assert (ended.reason, ended.signal) == ("cpu-time", signal.SIGKILL)
    assert ended.cpu_seconds <= 4.0


def test_the_deadline_ends_a_sleeping_job_even_if_nobody_waits(spawned: Spawned) -> None:
    started = time.monotonic()
    child, _ = spawned("forever", limits=limits(wall_seconds=0.5))
    ended = child.wait(60)
    assert ended is not None
    assert (ended.reason, ended.detail) == ("wall-time", "more than 0.5 s passed")
    assert 0.5 <= time.monotonic() - started < 60


def test_a_file_past_its_limit_is_reported(job: Job) -> None:
    ended, _, scratch = job("big_file", size=2 * MEBIBYTE)
    assert (ended.reason, ended.signal) == ("file-size", None)
    assert (scratch / "results" / "big").stat().st_size <= MEBIBYTE


def test_descriptors_run_out_at_their_limit(job: Job) -> None:
    _, _, scratch = job("many_files", count=500)
    assert value(scratch) == [64 - 5, errno.EMFILE]


@pytest.mark.skipif(os.geteuid() != 0, reason="exact only where the child has its own uid")
def test_threads_run_out_at_their_limit(job: Job) -> None:
    _, _, scratch = job("many_threads", count=100, limits=limits(memory_bytes=8 << 30))
    assert value(scratch) == 16 - 1


def test_a_job_that_needs_more_descriptors_or_threads_says_which(job: Job) -> None:
    assert job("hoard", what="descriptors")[0].reason == "open-files"
    assert job("hoard", what="threads", limits=limits(memory_bytes=8 << 30))[0].reason == "processes"


def test_a_million_small_files_are_not_waited_for(job: Job) -> None:
    ended, _, _ = job("small_files", count=1_000_000, limits=limits(scratch_files=1000))
    assert (ended.reason, ended.signal) == ("scratch", signal.SIGKILL)
    assert ended.cpu_seconds < 10


def test_files_of_allowed_size_may_not_fill_the_disk(job: Job) -> None:
    """Each is below the largest file a child may write."""
    ended, _, scratch = job("fill", each=MEBIBYTE // 2, limits=limits(scratch_bytes=32 * MEBIBYTE))
    assert (ended.reason, ended.signal) == ("scratch", signal.SIGKILL)
    assert sum(path.stat().st_size for path in (scratch / "results").iterdir()) >= 32 * MEBIBYTE


def test_a_sparse_file_counts_as_what_its_reader_would_get(job: Job) -> None:
    """It takes no disk here, but the worker would write all of it when it keeps a result."""
    ended, _, _ = job("sparse", count=40, limits=limits(scratch_bytes=20 * MEBIBYTE))
    assert ended.reason == "scratch"
    assert job("sparse", count=10, limits=limits(scratch_bytes=20 * MEBIBYTE))[0].reason == "completed"


def test_a_folder_nobody_may_look_into_hides_nothing(job: Job) -> None:
    ended, _, _ = job("hide_files", limits=limits(scratch_files=1000))
    assert ended.reason == "scratch"


def test_what_was_staged_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    for name in "abc":
        (tmp_path / "inputs" / name).write_bytes(bytes(4096))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert used(folder, 10) == (4, sum(max(_sizes(path)) for path in tmp_path.rglob("*")))
        assert used(folder, 2)[0] == 3
    finally:
        os.close(folder)


def _sizes(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_blocks * 512


def test_a_fork_bomb_does_not_start(job: Job) -> None:
    ended, said, _ = job("fork_bomb", count=1000)
    assert ended.reason == "failed"
    assert "Operation not permitted" in ended.detail
    assert [message["type"] for message in said] == ["entered"]
