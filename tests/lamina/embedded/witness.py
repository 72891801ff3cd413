"""Who is still running? For tests that kill a parent and look for what it left behind."""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_REPOSITORY = Path(__file__).parents[3]
SEES_US = {
    "PYTHONPATH": f"{_REPOSITORY}{os.pathsep}{sysconfig.get_path('platlib')}",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The environment in which any Python of the same version can import Lamina and what it needs."""


@dataclass
class Parent:
    """A Python process that started something, and every process under it."""

    popen: "subprocess.Popen[str]"
    said: dict[str, object]
    family: list[psutil.Process]

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer would."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(60)


@contextlib.contextmanager
def parent(program: str, *arguments: str, user: str | None = None, python: str = sys.executable) -> Iterator[Parent]:
    """Run a program that prints one line of JSON once its children run, and then waits; all are ended after."""
    popen = subprocess.Popen(
        [python, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **SEES_US},
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
    )
    family: list[psutil.Process] = []
    try:
        assert popen.stdout is not None
        line = popen.stdout.readline()
        assert line, f"the parent ended with {popen.wait(60)} before it said anything"
        family = psutil.Process(popen.pid).children(recursive=True)
        yield Parent(popen, json.loads(line), family)
    finally:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()  # by its own handle, which refuses a number that was given to another process
        popen.kill()
        popen.wait(60)
        assert popen.stdout is not None
        popen.stdout.close()


def running(process: psutil.Process) -> bool:
    """Whether it still runs; one that ended and waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def owners(processes: list[psutil.Process]) -> set[str]:
    """The users of those that run."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.username())
    return found


def left(processes: list[psutil.Process], within: float = 60.0) -> list[psutil.Process]:
    """Those still running after `within` seconds, or as soon as there are none."""
    until(lambda: not any(map(running, processes)), within)
    return [process for process in processes if running(process)]


def until(condition: Callable[[], bool], within: float = 60.0) -> bool:
    """Wait for a condition; whether it came true in `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
