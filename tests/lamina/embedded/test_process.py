"""Does a child end with its parent, and does stopping it leave nothing behind?"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lamina.embedded.process import Launcher, Process, StartError, last_lines, launcher, stop_all, watch
from tests.lamina.embedded.witness import left, parent, running, until

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    *SLEEP[:4],
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
WITH_GRANDCHILD = [
    *SLEEP[:4],
    (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True); time.sleep(600)"
    ),
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


@pytest.fixture
def started(log: Path) -> Iterator[list[Process]]:
    """Children a test starts, ended whatever the test does."""
    children: list[Process] = []
    yield children
    for child in children:
        child.kill()


def said(log: Path) -> str:
    assert until(lambda: bool(last_lines(log)))
    return last_lines(log)


def test_a_program_that_does_not_exist_is_refused_by_name(log: Path) -> None:
    with pytest.raises(StartError, match="no-such-program: it is not an executable file"):
        launcher().start(["no-such-program"], log=log)


def test_an_unknown_user_is_refused_by_name(log: Path) -> None:
    with pytest.raises(StartError, match="no-such-user: this machine has no such user"):
        launcher().start(SLEEP, log=log, user="no-such-user")


def test_a_file_that_cannot_run_says_so_in_its_log(log: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF, almost")
    program.chmod(0o755)
    child = launcher().start([str(program)], log=log)
    assert child.wait(60) == 126
    assert f"cannot execute {program}" in child.last_lines()


def test_the_exit_status_of_a_child_is_told(log: Path) -> None:
    child = launcher().start([*SLEEP[:4], "raise SystemExit(7)"], log=log)
    assert child.wait(60) == 7
    assert not child.alive()


def test_waiting_for_a_child_that_runs_gives_none(log: Path, started: list[Process]) -> None:
    started.append(launcher().start(SLEEP, log=log))
    assert started[0].wait(0.05) is None


def test_a_child_is_stopped_by_the_signal_asked_for(log: Path, started: list[Process]) -> None:
    started.append(launcher().start(SLEEP, log=log))
    said(log)
    assert started[0].stop(5, signal.SIGQUIT) == -signal.SIGQUIT


def test_a_child_hears_the_signals_that_its_starter_ignores(log: Path, started: list[Process]) -> None:
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGQUIT)}
    try:
        started.append(launcher().start(SLEEP, log=log))
        said(log)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert started[0].stop(5, signal.SIGQUIT) == -signal.SIGQUIT


def test_a_deaf_child_is_killed_after_the_deadline(log: Path, started: list[Process]) -> None:
    started.append(launcher().start(DEAF, log=log))
    said(log)
    assert started[0].stop(0.1) == -signal.SIGKILL


def test_stopping_several_takes_one_deadline(tmp_path: Path, started: list[Process]) -> None:
    started.append(launcher().start(DEAF, log=tmp_path / "deaf.log"))
    started.append(launcher().start(SLEEP, log=tmp_path / "sound.log"))
    said(tmp_path / "deaf.log")
    said(tmp_path / "sound.log")
    assert stop_all(started, 0.2) == [-signal.SIGKILL, -signal.SIGTERM]


@pytest.mark.parametrize("how", ["stop", "kill", "its own end"])
def test_what_a_child_started_ends_with_it(how: str, log: Path, started: list[Process]) -> None:
    started.append(launcher().start(WITH_GRANDCHILD, log=log))
    grandchild = psutil.Process(int(said(log)))
    if how == "its own end":
        os.kill(started[0].pid, signal.SIGTERM)
        started[0].wait(60)
    else:
        {"stop": lambda: started[0].stop(5), "kill": started[0].kill}[how]()
    assert left([grandchild]) == []


def test_a_child_outlives_the_thread_that_asked_for_it(log: Path, started: list[Process]) -> None:
    thread = threading.Thread(target=lambda: started.append(launcher().start(SLEEP, log=log)))
    thread.start()
    thread.join()
    said(log)
    assert started[0].wait(0.2) is None


def test_a_failed_start_leaves_the_launcher_at_work(tmp_path: Path, started: list[Process]) -> None:
    own = Launcher()
    started.append(own.start(SLEEP, log=tmp_path / "first.log"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        own.start(SLEEP, log=tmp_path / "folder")
    started.append(own.start(SLEEP, log=tmp_path / "second.log"))
    said(tmp_path / "second.log")
    assert [child.alive() for child in started] == [True, True]


def test_a_child_has_its_own_environment_umask_folder_and_session(log: Path, tmp_path: Path) -> None:
    program = "import os; os.mkdir('made'); print(os.environ['WORD'], os.getcwd(), os.getsid(0) == os.getpid())"
    child = launcher().start([*SLEEP[:4], program], log=log, env={"WORD": "said"}, umask=0o077, cwd=tmp_path)
    assert child.wait(60) == 0
    assert child.last_lines() == f"said {tmp_path} True"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_a_child_gets_a_broken_pipe_as_programs_expect_it(log: Path) -> None:
    child = launcher().start(["/bin/sh", "-c", "kill -PIPE $$; exit 3"], log=log)
    assert child.wait(60) == -signal.SIGPIPE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a child as another user")
def test_root_starts_a_child_as_another_user_without_roots_groups(log: Path) -> None:
    child = launcher().start(["/usr/bin/env", "id"], log=log, user="nobody")
    assert child.wait(60) == 0
    assert child.last_lines().startswith("uid=65534(nobody)")
    assert "root" not in child.last_lines()


def test_a_log_grows_over_restarts_and_moves_aside_when_it_is_long(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hello = [*SLEEP[:4], "print('hello')"]
    for _ in range(2):
        launcher().start(hello, log=log).wait(60)
    assert last_lines(log) == "hello\nhello"
    monkeypatch.setattr("lamina.embedded.process._LOG_KEEPS_BYTES", 10)
    launcher().start(hello, log=log).wait(60)
    assert last_lines(log) == "hello"
    assert last_lines(log.with_name("child.log.1")) == "hello\nhello"


def test_the_last_lines_are_the_last_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == ""
    log.write_text("".join(f"{number}\n" for number in range(50_000)))
    assert last_lines(log, 2) == "49998\n49999"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not end children")
def test_killing_the_parent_ends_a_deaf_child_and_a_child_of_another_user(tmp_path: Path) -> None:
    program = """
        import json, os, pathlib, signal, sys
        from lamina.embedded.process import launcher
        ignore = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
        deaf = [sys.executable, "-I", "-S", "-c", ignore]
        users = [None, "nobody"] if os.geteuid() == 0 else [None]
        words = {None: deaf, "nobody": ["/bin/sleep", "600"]}
        pids = [launcher().start(words[user], log=pathlib.Path(sys.argv[1]), user=user).pid for user in users]
        print(json.dumps({"pids": pids}), flush=True)
        signal.pause()
    """
    with parent(program, str(tmp_path / "log")) as killed:
        assert sorted(process.pid for process in killed.family) == sorted(killed.said["pids"])  # type: ignore[call-overload] # JSON
        killed.kill()
        assert left(killed.family) == []


def test_a_child_whose_parent_is_already_gone_does_not_begin(tmp_path: Path) -> None:
    from lamina.embedded import enter

    words = [sys.executable, "-I", "-S", enter.__file__, "1", "9", "-1", "-1", "-1", "/bin/sh", "-c", "exit 3"]
    child = launcher().start(words, log=tmp_path / "log")  # its parent is this process, not number 1
    assert child.wait(60) == enter.EXIT_ORPHANED


def test_a_watching_child_ends_after_its_parent_where_the_kernel_does_not_do_it() -> None:
    program = """
        import json, subprocess, sys, time
        watcher = "import os, time; from lamina.embedded.process import watch; watch(os.getppid(), 0.05); "
        watcher += "print('up', flush=True); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", watcher], stdout=subprocess.PIPE)
        child.stdout.readline()
        print(json.dumps({"pid": child.pid}), flush=True)
        time.sleep(600)
    """
    with parent(program) as killed:
        killed.kill()
        assert left(killed.family) == []


def test_a_watching_child_stays_while_its_parent_lives() -> None:
    watch(os.getppid(), 0.01)
    assert not until(lambda: not running(psutil.Process()), 0.1)
