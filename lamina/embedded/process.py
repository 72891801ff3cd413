"""How does a long-lived child end with its parent, however the parent ends?

Linux sends a child the signal it asked for with `prctl(PR_SET_PDEATHSIG)` when the *thread* that started it ends
(prctl(2)), so every child is started by one thread that lives as long as the process. Where there is no such call, a
Python child watches its parent itself (`watch_parent`); other programs end with `Process.stop` alone.
"""

import os
import pwd
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_ENTER = str(Path(__file__).with_name("enter.py"))
_POLL_SECONDS = 0.01
_KILLED_WITHIN_SECONDS = 5.0
_LOG_KEEPS_BYTES = 16 * 2**20


class StartError(Exception):
    """A child could not be started, or did not become ready; the text says which, why and what to do."""


class Process:
    """A running child in a session and process group of its own; `log` holds its standard output and error."""

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self._popen = popen
        self._reaping = threading.Lock()
        self.log = log
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs. What is left of its group ends with it."""
        with self._reaping:
            if self._popen.returncode is None and self._has_ended():
                self._signal_group(signal.SIGKILL)
                self._popen.wait()
            return self._popen.returncode

    def alive(self) -> bool:
        """Whether the child runs."""
        return self.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the child alone; nothing happens when it has ended."""
        with self._reaping:
            if self._popen.returncode is None:  # not yet reaped, so the number is still its own
                os.kill(self.pid, number)

    def wait(self, deadline: float) -> int | None:
        """The exit status once it ended, None when `deadline` seconds passed first."""
        until = time.monotonic() + deadline
        while (status := self.poll()) is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return status

    def kill(self) -> int:
        """End the child and its process group at once; its exit status."""
        with self._reaping:
            if self._popen.returncode is None:
                self._signal_group(signal.SIGKILL)
        status = self.wait(_KILLED_WITHIN_SECONDS)
        if status is None:
            raise TimeoutError(f"process {self.pid} outlived SIGKILL by {_KILLED_WITHIN_SECONDS:g} s; see {self.log}")
        return status

    def stop(self, deadline: float, by: int = signal.SIGTERM) -> int:
        """Ask with the signal `by`, and after `deadline` seconds end it with its group; its exit status."""
        return stop_all([self], deadline, by)[0]

    def last_lines(self, count: int = 20) -> str:
        """The end of its log, for an error that has to say why."""
        return last_lines(self.log, count)

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._popen.poll() is not None
        # Not reaped yet, so that the group's number cannot belong to anyone else when it is signalled.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            return


def stop_all(processes: Iterable[Process], deadline: float, by: int = signal.SIGTERM) -> list[int]:
    """Stop several children in one deadline of seconds; their exit statuses in order."""
    asked = list(processes)
    for process in asked:
        process.send(by)
    until = time.monotonic() + deadline
    statuses = [process.wait(max(0.0, until - time.monotonic())) for process in asked]
    return [process.kill() if status is None else status for process, status in zip(asked, statuses, strict=True)]


class Launcher:
    """The one thread that starts children, and that never ends before the process does."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], Process], Future[Process]]] = queue.SimpleQueue()
        # A daemon: joined at exit it would end, and its children with it, before anyone could stop them in order.
        self._thread = threading.Thread(target=self._run, name="lamina-launcher", daemon=True)
        self._thread.start()
        self.owner = os.getpid()

    def start(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        signal_on_parent_death: int = signal.SIGKILL,
        user: str | None = None,
        umask: int | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a child that gets `signal_on_parent_death` when this process ends.

        `argv[0]` is a path or a name on PATH; `env` replaces the environment (None inherits it); `user` needs root;
        output is appended to `log`, which moves to `NAME.1` past 16 MiB. Raises `StartError`.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise StartError(f"cannot start {argv[0]}: it is not an executable file, here or on PATH")
        uid, gid = _identity(user)
        settled = [os.getpid(), int(signal_on_parent_death), -1 if umask is None else umask, uid, gid]
        words = [sys.executable, "-I", "-S", _ENTER, *map(str, settled), str(Path(program).absolute()), *argv[1:]]

        def spawn() -> Process:
            log.parent.mkdir(parents=True, exist_ok=True)
            _rotate(log)
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as output:
                popen = subprocess.Popen(
                    words,
                    env=None if env is None else dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    start_new_session=True,
                )
            return Process(popen, log)

        started: Future[Process] = Future()
        self._work.put((spawn, started))
        return started.result()

    def _run(self) -> None:
        while True:
            spawn, started = self._work.get()
            try:
                started.set_result(spawn())
            except BaseException as error:  # noqa: BLE001 - raised in the caller; this thread's end kills every child
                started.set_exception(error)
            del spawn, started  # or the last child's handle lives until the next one starts


_launcher: Launcher | None = None
_launcher_guard = threading.Lock()


def launcher() -> Launcher:
    """The launcher of this process, made at the first call; a forked copy of the process gets its own."""
    global _launcher  # noqa: PLW0603 - one thread for the life of a process is what the kernel call asks for
    with _launcher_guard:
        if _launcher is None or _launcher.owner != os.getpid():
            _launcher = Launcher()
        return _launcher


def watch_parent(interval: float = 1.0) -> None:
    """End this Python process within `interval` seconds of its parent's end, where the kernel does not do so itself.

    Called by the long-lived commands at their start. On Linux `Launcher` has settled it and nothing is done.
    """
    if sys.platform != "linux":
        watch(os.getppid(), interval)


def watch(parent: int, interval: float) -> None:
    """Start the thread that ends this process once its parent is another than `parent`."""
    threading.Thread(target=_end_after, args=(parent, interval), name="lamina-watch-parent", daemon=True).start()


def _end_after(parent: int, interval: float) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(interval)
    os.kill(os.getpid(), signal.SIGKILL)  # as abrupt as on Linux: leases and journals make that safe


def last_lines(log: Path, count: int = 20) -> str:
    """The last `count` lines of a log, from its last 64 KiB; empty when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 2**16))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_KEEPS_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def _identity(user: str | None) -> tuple[int, int]:
    if user is None:
        return -1, -1
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"cannot start a child as {user}: this machine has no such user") from None
    return entry.pw_uid, entry.pw_gid
