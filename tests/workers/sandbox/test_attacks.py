"""Can a child stall, confuse or outlast those who watch it? Each way was tried, and what was found is mended."""

import dataclasses
import signal
import time
from pathlib import Path

import pytest
import sandbox_driver

from service.contracts.status import WorkState
from workers.sandbox.spec import MEBIBYTE, Limits
from workers.watch import Standing, Ticket, Watch

from .conftest import Job, Spawned

pytestmark = pytest.mark.stack


def limits(**changes: float) -> Limits:
    return dataclasses.replace(sandbox_driver.LIMITS, **changes)  # type: ignore[arg-type]  # each test names its field


def test_a_child_that_closes_its_line_keeps_nobody_busy(spawned: Spawned) -> None:
    child, _ = spawned("close_the_line", limits=limits(wall_seconds=1.5))
    before, began = time.thread_time(), time.monotonic()
    while child.poll() is None:
        list(child.messages(0.2))
    assert time.monotonic() - began >= 1
    assert time.thread_time() - before < 0.3


def test_a_child_that_stops_itself_meets_its_deadline(job: Job) -> None:
    ended, _, _ = job("stop_itself", limits=limits(wall_seconds=0.5))
    assert (ended.reason, ended.signal) == ("wall-time", signal.SIGKILL)


def test_what_a_child_prints_is_bounded_as_any_file(job: Job) -> None:
    ended, _, scratch = job("talk_to_itself")
    assert ended.reason in ("file-size", "scratch")
    assert (scratch / "output.txt").stat().st_size <= sandbox_driver.LIMITS.file_bytes


def test_a_thread_that_outlives_the_first_is_ended_too(spawned: Spawned) -> None:
    child, _ = spawned("live_on_in_a_thread", limits=limits(wall_seconds=1.0))
    ended = child.wait(60)
    assert ended is not None
    assert ended.reason in ("wall-time", "cpu-time")
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_name_that_looks_like_a_size_hides_no_memory(job: Job) -> None:
    ended, _, _ = job("swell_under_a_false_name", size=160 * MEBIBYTE, limits=limits(memory_bytes=64 * MEBIBYTE))
    assert ended.reason == "memory"


def test_where_memory_runs_out_the_child_is_the_first_to_go(spawned: Spawned) -> None:
    child, _ = spawned("forever")
    next(message for message in child.messages(20) if message["type"] == "ready")
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "1000"
    assert Path(f"/proc/{child._zygote_pid}/oom_score_adj").read_text().strip() != "1000"


def test_many_folders_made_in_a_hurry_are_counted_without_error(job: Job) -> None:
    ended, said, _ = job("churn", seconds=1.0, limits=limits(scratch_files=20_000))
    assert ended.reason == "completed"
    assert said[-1]["count"] > 100


@pytest.mark.parametrize("do", ["answer_and_stay", "answer_and_crash"])
def test_an_answer_counts_however_its_child_ends(do: str, spawned: Spawned) -> None:
    child, _ = spawned(do)
    ticket, saved = Ticket("a"), []

    def save(one: Ticket) -> None:
        saved.append(one.member)
        one.standing = Standing.SAVED

    began = time.monotonic()
    watch = Watch(
        child=child, tickets=[ticket], beat=lambda _: WorkState.RUNNING, save=save, drop=lambda _: None,
        beat_seconds=0.2, grace_seconds=60.0,
    )  # fmt: skip
    ended = watch.run()
    child.kill()
    assert saved == ["a"]
    assert ended.signal == signal.SIGKILL
    assert time.monotonic() - began < 50
