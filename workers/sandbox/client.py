"""How does a worker get a child? It asks its zygote over a socket, and reads and waits on pipes of that child alone.

Standard library only: the process that imports this holds the broker's credentials and never imports torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from .children import Child
from .spec import ChildSpec, Level, SandboxUnavailable

READY_SECONDS = 120.0
ANSWER_SECONDS = 30.0
CLOSE_SECONDS = 10.0
LOG_TAIL_BYTES = 2000
PASSED_ON = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_MODULE_LOADING", "CUBLAS_WORKSPACE_CONFIG", "LD_LIBRARY_PATH",
)  # fmt: skip
"""All that a zygote learns of this process's environment."""


def environment() -> dict[str, str]:
    """The zygote's environment: fixed values, the device choice, the import path. No credential can be in it.

    One thread per numeric library, or a second one would exist when the zygote forks.
    """
    folders = [Path(entry).absolute() for entry in sys.path]
    libraries = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "USER": "lamina",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in folders if folder.is_dir()),
        **{f"{library}_NUM_THREADS": "1" for library in libraries},
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
    }


class Zygote:
    """One per worker process, started in that process (not before a fork). Any thread may call its methods."""

    def __init__(
        self,
        *,
        preload: str = "workers.preload",
        entries: tuple[str, ...] = ("workers.child:run",),
        log: Path | None = None,
    ) -> None:
        self._preload, self._entries, self._log = preload, entries, log
        self._lock = threading.RLock()
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._output: IO[bytes] | None = None
        self.level = Level.RLIMITS_ONLY
        """What the zygote measured when it started; before that, the weakest."""
        self.missing: tuple[str, ...] = ()
        """Why the level is not `full`."""

    @property
    def pid(self) -> int | None:
        """The zygote's process, None before `start` and after `close`."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the zygote and wait until everything is imported. SandboxUnavailable where it fails or takes 120 s.

        The kernel kills a process with the thread that started it, so a thread of its own, which lasts as long as the
        zygote, starts it; the caller's thread may end.
        """
        with self._lock:
            self._stop()
            self._owner = os.getpid()
            self._output = self._log.open("a+b") if self._log else tempfile.TemporaryFile()  # noqa: SIM115 - _stop does
            self._control, theirs = socket.socketpair()
            with theirs:
                self._launch(theirs.fileno())
            try:
                ready = self._receive(READY_SECONDS)
            except (OSError, ValueError) as error:
                tail = self._log_tail()
                self._stop()
                raise SandboxUnavailable(f"the zygote did not start: {error}\n{tail}", permanent=False) from error
            if not ready["ready"]:
                self._stop()
                raise SandboxUnavailable(f"the zygote could not import its jobs: {ready['reason']}", permanent=True)
            self.level = Level(ready["level"])
            self.missing = (*ready["missing"], *ready["open_doors"])

    def spawn(self, spec: ChildSpec) -> Child:
        """Have one child forked. SandboxUnavailable where it cannot be; a dead zygote is started anew, once."""
        with self._lock:
            self._own()
            if self._process is None:
                self.start()
            try:
                return self._spawn(spec)
            except OSError:
                self.start()
            try:
                return self._spawn(spec)
            except OSError as error:
                raise SandboxUnavailable(f"the zygote died twice: {error}", permanent=False) from error

    def kill(self, pid: int) -> None:
        """Ask for the end of a child of this zygote; nothing happens where it has ended, or the zygote has."""
        with self._lock, contextlib.suppress(OSError):
            self._own()
            self._request({"do": "kill", "pid": pid}, [])

    def abandon(self, zygote: int) -> None:
        """Kill the zygote process with this id, and thereby all its children, because it no longer does its work."""
        with self._lock:
            if self._process is not None and self._process.pid == zygote:
                self._process.kill()

    def close(self) -> None:
        """End the zygote and whatever it still has. Safe to call twice."""
        with self._lock:
            if self._owner in (0, os.getpid()):
                self._stop()

    def _own(self) -> None:
        if self._owner not in (0, os.getpid()):
            raise RuntimeError("this zygote belongs to the process before the fork; make one in this process")

    def _launch(self, control: int) -> None:
        command = [
            sys.executable, "-P", "-m", "workers.sandbox.zygote", "--control", str(control),
            "--parent", str(os.getpid()), "--preload", self._preload,
            *(part for entry in self._entries for part in ("--entry", entry)),
        ]  # fmt: skip
        launched: list[subprocess.Popen[bytes] | OSError] = []
        done = threading.Event()

        def keep() -> None:
            try:
                process = subprocess.Popen(
                    command, env=environment(), cwd="/", stdin=subprocess.DEVNULL, stdout=self._output,
                    stderr=self._output, pass_fds=(control,), start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                launched.append(error)
                done.set()
                return
            launched.append(process)
            done.set()
            process.wait()

        threading.Thread(target=keep, name="zygote-keeper", daemon=True).start()
        done.wait()
        if isinstance(launched[0], OSError):
            raise SandboxUnavailable(f"the zygote could not be started: {launched[0]}", permanent=True)
        self._process = launched[0]

    def _spawn(self, spec: ChildSpec) -> Child:
        assert self._process is not None  # spawn() started it
        progress, their_progress = os.pipe()
        their_control, control = os.pipe()
        exit_, their_exit = os.pipe()
        mine, theirs = (progress, control, exit_), [their_progress, their_control, their_exit]
        try:
            answer = self._request({"do": "spawn", "spec": spec.to_json()}, theirs)
            if not answer["ok"]:
                raise SandboxUnavailable(answer["reason"], permanent=answer["permanent"])
        except BaseException:
            for fd in mine:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        return Child(self, self._process.pid, answer["pid"], spec.limits, mine)

    def _request(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """One question, one answer. OSError where the zygote is gone or silent (then it is killed)."""
        if self._control is None:
            raise ConnectionError("the zygote is closed")
        socket.send_fds(self._control, [json.dumps(request).encode() + b"\n"], fds)
        try:
            return self._receive(ANSWER_SECONDS)
        except TimeoutError:
            if self._process is not None:
                self._process.kill()
            raise

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._control is not None  # both callers made or checked it
        deadline, content = time.monotonic() + seconds, b""
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        while not content.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                raise TimeoutError(f"the zygote gave no answer within {seconds:g} s")
            part = self._control.recv(64 * 1024)
            if not part:
                raise ConnectionError("the zygote ended")
            content += part
        answer: dict[str, Any] = json.loads(content)
        return answer

    def _log_tail(self) -> str:
        if self._output is None:
            return ""
        self._output.flush()
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES)).decode(errors="replace")

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        if self._output is not None:
            self._output.close()
        self._control = self._process = self._output = None
