"""What does a worker see of a child, from the fork to the last of its processes?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sandbox_driver

from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildMisbehaved, ChildSpec, Level, Limits, SandboxUnavailable

from .conftest import SITE, Job, Spawned, value

pytestmark = pytest.mark.stack


def test_a_job_runs_and_says_first_that_it_entered(job: Job) -> None:
    ended, said, scratch = job("describe", settings={"threads": 3})
    assert (ended.reason, ended.code, ended.signal, ended.detail) == ("completed", 0, None, "")
    assert [message["type"] for message in said] == ["entered", "hello"]
    assert said[0]["level"] == "full"
    seen = value(scratch)
    assert (seen["threads"], seen["device"]) == (3, "cpu")
    assert seen["cwd"] == str(scratch)
    assert seen["sid"] == seen["pid"]
    assert seen["umask"] == 0o077
    assert ended.peak_rss_bytes >= ended.start_rss_bytes >= 1 << 20


def test_the_scratch_comes_back_to_the_worker(job: Job) -> None:
    _, _, scratch = job("describe")
    status = scratch.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.geteuid(), 0o700)


def test_a_mess_does_not_keep_the_scratch_from_coming_back(job: Job) -> None:
    ended, _, scratch = job("leave_a_mess")
    assert ended.reason == "completed"
    assert scratch.stat().st_uid == os.geteuid()


def test_progress_is_thinned_to_ten_a_second(job: Job) -> None:
    ended, said, _ = job("progress", count=20_000)
    reports = [message for message in said if message["type"] == "progress"]
    assert ended.reason == "completed"
    assert reports[0] == {"type": "progress", "fraction": 1 / 20_000, "stage": "counting", "step": 0}
    assert 1 <= len(reports) <= 1 + 10 * 40
    assert reports == sorted(reports, key=lambda report: report["fraction"])


def test_a_job_that_is_asked_to_stop_can(spawned: Spawned) -> None:
    child, _ = spawned("cancellable")
    said = child.messages(20)
    assert [next(said)["type"], next(said)["type"]] == ["entered", "ready"]
    assert child.poll() is None
    child.cancel()
    assert [message["type"] for message in said] == ["stopping"]
    ended = child.wait(60)
    assert ended is not None
    assert ended.reason == "completed"


def test_what_a_job_prints_is_kept_in_its_scratch(job: Job) -> None:
    _, _, scratch = job("chat")
    assert (scratch / "output.txt").read_text() == "to whom it may concern\n"


def test_a_killed_child_is_gone_when_kill_returns(spawned: Spawned) -> None:
    child, _ = spawned("forever")
    assert child.wait(0.05) is None
    child.kill()
    assert not Path(f"/proc/{child.pid}").exists()
    ended = child.poll()
    assert ended is not None
    assert (ended.reason, ended.signal, ended.detail) == ("killed", signal.SIGKILL, "as asked")
    child.kill()
    child.cancel()


def test_a_child_can_be_killed_the_moment_it_was_forked(spawned: Spawned) -> None:
    for _ in range(10):
        child, _ = spawned("forever")
        child.kill()
        ended = child.poll()
        assert ended is not None
        assert ended.reason == "killed"


def test_an_exception_is_the_jobs_failure_with_its_text(job: Job) -> None:
    ended, _, scratch = job("fail")
    assert (ended.reason, ended.signal) == ("failed", None)
    assert ended.detail == "the entry raised: ValueError: the third layer is empty"
    assert "Traceback" in (scratch / "output.txt").read_text()


@pytest.mark.parametrize(
    ("do", "code", "number"), [("crash", None, signal.SIGSEGV), ("abort", None, signal.SIGABRT), ("leave", 7, None)]
)
def test_a_crash_is_told_from_a_failure(do: str, code: int | None, number: int | None, job: Job) -> None:
    ended, _, _ = job(do, **({"code": code} if code is not None else {}))
    assert (ended.reason, ended.code, ended.signal) == ("crashed", code, number)


def test_a_lie_about_completion_is_only_about_itself(job: Job) -> None:
    """os._exit(0) reads as completed: that is why the parent checks every result."""
    ended, _, scratch = job("leave", code=0)
    assert ended.reason == "completed"
    assert list((scratch / "results").iterdir()) == []


def test_no_module_is_imported_inside_a_job(job: Job) -> None:
    _, _, scratch = job("grow")
    at_fork, imported_since = value(scratch)
    assert at_fork > 50
    assert imported_since == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only a child of root has another uid")
def test_a_job_that_imports_late_fails_where_the_interpreter_is_out_of_reach(job: Job) -> None:
    reachable = all(part.stat().st_mode & 0o001 for part in Path(sys.base_prefix).resolve().parents)
    ended, _, _ = job("modules")
    assert ended.reason == ("completed" if reachable else "failed")
    if not reachable:
        assert "ModuleNotFoundError" in ended.detail


def test_an_entry_not_on_the_list_is_refused(zygote: Zygote, tmp_path: Path) -> None:
    scratch = sandbox_driver.stage(tmp_path / "scratch", "nothing")
    with pytest.raises(SandboxUnavailable, match=r"'os:abort' is no entry") as refused:
        zygote.spawn(ChildSpec(entry="os:abort", scratch=scratch))
    assert refused.value.permanent


def test_a_preload_that_fails_or_starts_a_thread_is_refused_at_start() -> None:
    for preload, reason in (("no_such_module", "ModuleNotFoundError"), ("sandbox_threaded_preload", "1 thread")):
        zygote = sandbox_driver.make_zygote(preload=preload)
        with pytest.raises(SandboxUnavailable, match=reason) as refused:
            zygote.start()
        assert refused.value.permanent
        assert zygote.pid is None


def test_a_level_that_cannot_be_had_is_refused_before_the_fork(
    zygote_of_my_own: Callable[..., Zygote], spawned: Spawned
) -> None:
    weak = zygote_of_my_own(preload="sandbox_weak_preload")
    assert weak.level is Level.RLIMITS_ONLY
    with pytest.raises(SandboxUnavailable, match="level rlimits-only, not full") as refused:
        spawned("nothing", by=weak)
    assert refused.value.permanent


def test_a_weak_level_is_reported_by_the_child(zygote_of_my_own: Callable[..., Zygote], job: Job) -> None:
    weak = zygote_of_my_own(preload="sandbox_weak_preload")
    ended, said, _ = job("nothing", by=weak, settings={"minimum_level": Level.RLIMITS_ONLY})
    assert ended.reason == "completed"
    assert (said[0]["level"], said[0]["abi"]) == ("rlimits-only", 0)
    assert len(said[0]["missing"]) == 2


def test_what_a_weakly_confined_child_forked_dies_with_it(zygote_of_my_own: Callable[..., Zygote], job: Job) -> None:
    weak = zygote_of_my_own(preload="sandbox_weak_preload")
    ended, said, _ = job("fork_bomb", by=weak, count=4, settings={"minimum_level": Level.RLIMITS_ONLY})
    assert ended.reason == "completed"
    assert "were killed" in ended.detail
    assert not any(Path(f"/proc/{pid}").exists() for pid in said[-1]["pids"])
    assert _descendants(weak.pid or 0) == []


def test_killing_a_weakly_confined_child_ends_its_daemons_too(
    zygote_of_my_own: Callable[..., Zygote], spawned: Spawned
) -> None:
    weak = zygote_of_my_own(preload="sandbox_weak_preload")
    child, _ = spawned("orphan_and_wait", by=weak, settings={"minimum_level": Level.RLIMITS_ONLY})
    next(message for message in child.messages(20) if message["type"] == "forked")
    child.kill()
    assert _descendants(weak.pid or 0) == []


def test_a_device_hook_runs_before_entering_and_its_threads_lower_the_level(
    zygote_of_my_own: Callable[..., Zygote], job: Job
) -> None:
    own = zygote_of_my_own(preload="sandbox_gpu_preload")
    ended, said, scratch = job("describe", by=own, settings={"device": "cuda:0", "minimum_level": Level.PARTIAL})
    assert ended.reason == "completed"
    if said[0]["abi"] < 8:
        assert said[0]["level"] == "partial"
        assert "holds for one thread" in said[0]["missing"][0]
    assert value(scratch)["device"] == "cuda:0"


def test_a_child_that_falls_short_of_the_level_ends_before_its_entry(
    zygote_of_my_own: Callable[..., Zygote], job: Job
) -> None:
    own = zygote_of_my_own(preload="sandbox_gpu_preload")
    ended, said, scratch = job("describe", by=own, settings={"device": "cuda:0"})
    if said[0]["abi"] < 8:
        assert ended.reason == "crashed"
        assert "level partial where full is required" in ended.detail
        assert list((scratch / "results").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("not json\n", 1), ('{"type": "a", "x": NaN}\n', 1), ('{"type": "a", "x": 1e999}\n', 1), ("[1]\n", 1),
        ('{"x": 1}\n', 1), ('{"type": "a", "type": "b"}\n', 1), ('{"type": "a", "x": "\\ud800"}\n', 1),
        ("[" * 50_000 + "\n", 1), ('{"type":"a","x":' + "[" * 40 + "]" * 40 + "}\n", 1), ("x" * 70_000, 1),
        ('{"type":"a"}\n', 5000), ('{"type": "entered", "level": "full"}\n', 1),
        ('{"type":"a","x":[' + "[]," * 20_000 + "[]]}\n", 200),
    ],
)  # fmt: skip
def test_a_child_that_writes_no_message_is_killed(text: str, times: int, spawned: Spawned) -> None:
    child, _ = spawned("write_raw", text=text, times=times)
    with pytest.raises(ChildMisbehaved):
        list(child.messages(20))
    assert not Path(f"/proc/{child.pid}").exists()
    ended = child.poll()
    assert ended is not None
    assert ended.reason == "killed"


def test_waiting_without_listening_does_not_block_a_talkative_child(spawned: Spawned) -> None:
    child, _ = spawned("write_raw", text='{"type":"a","x":"' + "x" * 60_000 + '"}\n', times=50)
    assert child.wait(1.0) is None
    assert child.poll() is None
    assert 1 < len(list(child.messages(0.0))) <= 51


def test_fifty_children_leave_no_descriptor_behind(zygote: Zygote, job: Job) -> None:
    job("nothing")
    before, zygotes = _open(os.getpid()), _settled(zygote)
    for _ in range(50):
        assert job("nothing")[0].reason == "completed"
    assert _open(os.getpid()) == before
    _until(lambda: _open(zygote.pid or 0) == zygotes)


def test_a_refused_spawn_leaves_no_descriptor_behind(zygote: Zygote, tmp_path: Path) -> None:
    before, zygotes = _open(os.getpid()), _settled(zygote)
    for _ in range(5):
        with pytest.raises(SandboxUnavailable):
            zygote.spawn(ChildSpec(entry="sandbox_jobs:run", scratch=tmp_path / "missing"))
    assert _open(os.getpid()) == before
    _until(lambda: _open(zygote.pid or 0) == zygotes)


def test_children_of_several_threads_do_not_mix(zygote: Zygote, tmp_path: Path) -> None:
    results: dict[int, Any] = {}

    def run(index: int) -> None:
        ended, said = sandbox_driver.finish(zygote, tmp_path / str(index), "describe")
        results[index] = (ended.reason, len(said), value(tmp_path / str(index))["cwd"])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {index: ("completed", 2, str(tmp_path / str(index))) for index in range(6)}


def test_a_zygote_started_by_a_thread_outlives_that_thread(tmp_path: Path) -> None:
    zygote = sandbox_driver.make_zygote()
    try:
        thread = threading.Thread(target=zygote.start)
        thread.start()
        thread.join(60)
        pid = zygote.pid
        ended, _ = sandbox_driver.finish(zygote, tmp_path / "scratch", "nothing")
        assert ended.reason == "completed"
        assert zygote.pid == pid
    finally:
        zygote.close()


def test_a_killed_zygote_takes_its_children_along_and_the_next_spawn_works(
    zygote_of_my_own: Callable[..., Zygote], spawned: Spawned
) -> None:
    own = zygote_of_my_own()
    child, _ = spawned("forever", by=own)
    next(message for message in child.messages(20) if message["type"] == "ready")
    first = own.pid
    os.kill(first or 0, signal.SIGKILL)
    ended = child.wait(60)
    assert ended is not None
    assert (ended.reason, ended.detail) == ("killed", "its zygote died, and its children with it")
    _until(lambda: not _lives(child.pid))
    again, _ = spawned("describe", by=own)
    ended = again.wait(60)
    assert ended is not None
    assert ended.reason == "completed"
    assert own.pid != first


def test_closing_a_zygote_ends_its_children(zygote_of_my_own: Callable[..., Zygote], spawned: Spawned) -> None:
    own = zygote_of_my_own()
    child, _ = spawned("forever", by=own)
    pid = own.pid or 0
    own.close()
    assert not _lives(child.pid)
    assert not _lives(pid)
    ended = child.poll()
    assert ended is not None
    assert ended.reason == "killed"
    own.close()


WORKER = """
import json, pathlib, sys, sandbox_driver
from workers.sandbox.spec import ChildSpec
zygote = sandbox_driver.make_zygote()
zygote.start()
scratch = sandbox_driver.stage(pathlib.Path(sys.argv[1]), "forever")
child = zygote.spawn(ChildSpec(entry="sandbox_jobs:run", scratch=scratch))
next(message for message in child.messages(20) if message["type"] == "ready")
print(json.dumps([zygote.pid, child.pid]), flush=True)
sys.stdin.read()
"""


def test_a_killed_worker_leaves_neither_zygote_nor_child(tmp_path: Path) -> None:
    root = SITE.parents[3]
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", WORKER, str(tmp_path / "scratch")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={"PYTHONPATH": f"{root}{os.pathsep}{SITE}", "PATH": os.defpath},
    )  # fmt: skip
    with worker:
        try:
            assert worker.stdout is not None
            pids = json.loads(worker.stdout.readline())
            assert all(_lives(pid) for pid in pids)
        finally:
            worker.kill()
    _until(lambda: not any(_lives(pid) for pid in pids))


def test_a_zygote_of_before_a_fork_is_refused(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="before the fork"):
        zygote.spawn(ChildSpec(entry="sandbox_jobs:run", scratch=Path("/nowhere")))


def test_limits_and_specs_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="wall_seconds"):
        Limits(wall_seconds=float("nan"))
    with pytest.raises(ValueError, match="absolute"):
        ChildSpec(entry="sandbox_jobs:run", scratch=Path("relative"))
    with pytest.raises(ValueError, match="device"):
        ChildSpec(entry="sandbox_jobs:run", scratch=Path("/x"), device="tpu")
    spec = ChildSpec(entry="sandbox_jobs:run", scratch=Path("/x"), device="cuda:1", minimum_level=Level.PARTIAL)
    assert ChildSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def _open(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _settled(zygote: Zygote) -> int:
    """The zygote's descriptors once it is done with the last child: it closes a few right after it has reported."""
    counts = [_open(zygote.pid or 0)]
    while len(counts) < 5 or len(set(counts[-5:])) > 1:
        time.sleep(0.01)
        counts.append(_open(zygote.pid or 0))
    return counts[-1]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _descendants(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
