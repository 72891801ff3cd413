"""Who forks the children? One process per worker, with one thread, that has imported all a job needs and holds nothing.

It knows no credential, never touches a GPU and runs no tensor operator; it serves one worker process over a socket,
enforces each child's deadline and memory, and makes sure that nothing of an ended child is left.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import FrameType, ModuleType
from typing import Any, NoReturn

from . import identity, kernel, level, pages, reading, scratch
from .ending import Ending
from .enter import Terms
from .job import Entry, Start, run_job
from .landlock import Handle
from .spec import ChildSpec, Limits, Reason, SandboxUnavailable

WATCH_MILLISECONDS = 100
CLEANING_MILLISECONDS = 5
CLEANING_SECONDS = 5.0
REQUEST_BYTES = 64 * 1024
STAGED_FILES = 100_000
"""What a worker may have laid out in a scratch; far more than any job has."""


@dataclass(slots=True)
class Running:
    """One child, from its fork until nothing of it is left."""

    pid: int
    limits: Limits
    exit_fd: int
    scratch: int
    lease: identity.Lease | None
    started: float
    start_memory: int
    start_scratch: tuple[int, int]
    cause: Reason | None = None
    status: int | None = None
    peak_rss: int = 0
    cpu_seconds: float = 0.0
    ended: float = 0.0
    left_behind: int = 0

    def overdue(self, now: float) -> bool:
        return now - self.started > self.limits.wall_seconds

    def too_large(self) -> bool:
        bound = self.limits.memory_bytes
        return bound is not None and kernel.resident_bytes(self.pid)[1] - self.start_memory > bound

    def too_full(self) -> bool:
        staged_files, staged_bytes = self.start_scratch
        most = self.limits.scratch_files + staged_files
        files, size = scratch.used(self.scratch, most)
        return files > most or size - staged_bytes > self.limits.scratch_bytes

    def ending(self) -> Ending:
        exit_code = os.waitstatus_to_exitcode(self.status or 0)
        return Ending(
            code=exit_code if exit_code >= 0 else None,
            signal=-exit_code if exit_code < 0 else None,
            cause=self.cause,
            peak_rss_bytes=self.peak_rss,
            cpu_seconds=self.cpu_seconds,
            left_behind=self.left_behind,
        )


class Server:
    """The loop: requests in, children out, until the worker closes its end."""

    def __init__(
        self, control: socket.socket, entries: dict[str, Entry], initialise_device: Callable[[str], None] | None
    ) -> None:
        self._control = control
        self._entries = entries
        self._initialise_device = initialise_device
        self._measured = level.measure()
        self._readable: list[Handle] = reading.open_readable()
        self._running: dict[int, Running] = {}
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noticed)

    def serve(self) -> None:
        """Answer requests until the worker is gone; then end what still runs."""
        self._answer({"ready": True, "threads": kernel.tasks_of_this_process(), **asdict(self._measured)})
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        connected = True
        while connected or self._running:
            for fd, _ in waiting.poll(self._pause()):
                if fd == self._wake:
                    os.read(self._wake, 4096)
                elif connected and not self._take_request():
                    connected = False
                    waiting.unregister(self._control)
            if not connected:
                for number in self._running:
                    self._kill(number, "killed")
            self._reap()
            self._watch()

    def _pause(self) -> int | None:
        """Milliseconds until something is to be looked at; None: until something happens."""
        if any(child.status is not None for child in self._running.values()):
            return CLEANING_MILLISECONDS
        return WATCH_MILLISECONDS if self._running else None

    def _answer(self, values: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(values).encode() + b"\n")

    def _take_request(self) -> bool:
        """Serve one request; False once the worker closed its end."""
        content, fds, _, _ = socket.recv_fds(self._control, REQUEST_BYTES, 3)
        while content and not content.endswith(b"\n"):
            more = self._control.recv(REQUEST_BYTES)
            content = content + more if more else b""
        if not content:
            return False
        request = json.loads(content)
        if request["do"] == "kill":
            self._kill(request["pid"], "killed")
            self._answer({"ok": True})
            return True
        try:
            self._answer({"ok": True, "pid": self._spawn(ChildSpec.from_json(request["spec"]), fds)})
        except (SandboxUnavailable, scratch.UnsafeScratch, OSError) as error:
            permanent = not isinstance(error, OSError) and getattr(error, "permanent", True)
            self._answer({"ok": False, "reason": f"{error}", "permanent": permanent})
        finally:
            for fd in fds[:2]:
                os.close(fd)
        return True

    def _spawn(self, spec: ChildSpec, fds: list[int]) -> int:
        """Fork one child for (progress, control, exit) descriptors; the exit end stays here until it has ended."""
        progress, control, exit_fd = fds
        lease, folder = None, -1
        try:
            if spec.entry not in self._entries:
                raise SandboxUnavailable(f"{spec.entry!r} is no entry of this zygote", permanent=True)
            if not self._measured.level.reaches(spec.minimum_level):
                why = "; ".join((*self._measured.missing, *self._measured.open_doors))
                raise SandboxUnavailable(
                    f"this machine gives level {self._measured.level}, not {spec.minimum_level}: {why}", permanent=True
                )
            lease = identity.lease() if self._measured.own_uid else None
            folder = scratch.hand_over(spec.scratch, lease.uid if lease else None)
            staged = scratch.used(folder, STAGED_FILES)
            pid = self._fork(spec, progress, control, folder, lease)
        except BaseException:
            os.close(exit_fd)
            if folder >= 0:
                scratch.take_back(folder)
                os.close(folder)
            if lease:
                lease.release()
            raise
        self._running[pid] = Running(
            pid, spec.limits, exit_fd, folder, lease, time.monotonic(),
            start_memory=kernel.resident_bytes()[1], start_scratch=staged,
        )  # fmt: skip
        return pid

    def _fork(self, spec: ChildSpec, progress: int, control: int, folder: int, lease: identity.Lease | None) -> int:
        me = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        terms = Terms(me, lease.uid if lease else None, spec.limits, spec.threads, spec.device != "cpu")
        entry, hook = self._entries[spec.entry], self._initialise_device
        return run_job(Start(spec, terms, entry, hook, self._readable, folder, progress, control))

    def _kill(self, pid: int, cause: Reason) -> None:
        """End a child's whole process group. Its pid cannot be another's: it was not reaped yet."""
        child = self._running.get(pid)
        if child is None or child.status is not None:
            return
        child.cause = child.cause or cause
        os.kill(pid, signal.SIGKILL)  # its own group may not exist yet
        with_group = os.getpgid(pid) == pid
        if with_group:
            os.killpg(pid, signal.SIGKILL)

    def _watch(self) -> None:
        now = time.monotonic()
        for pid, child in self._running.items():
            if child.status is None and child.overdue(now):
                self._kill(pid, "wall-time")
            elif child.status is None and child.too_large():
                self._kill(pid, "memory")
            elif child.status is None and child.too_full():
                self._kill(pid, "scratch")

    def _reap(self) -> None:
        """Collect what ended; then report each child whose processes are all gone."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._running:
                child = self._running[pid]
                child.status, child.ended = status, time.monotonic()
                child.peak_rss, child.cpu_seconds = usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime
        ended = [child for child in self._running.values() if child.status is not None]
        if not ended:
            return
        strays = self._kill_strays(ended)
        for child in ended:
            if not strays or time.monotonic() - child.ended > CLEANING_SECONDS:
                self._report(child)

    def _kill_strays(self, ended: list[Running]) -> int:
        """Kill what a child left behind: as the subreaper, this process inherits every orphan beneath it."""
        strays = [pid for pid in kernel.children_of_this_process() if pid not in self._running]
        for pid in strays:
            os.kill(pid, signal.SIGKILL)
        for child in ended:
            child.left_behind = max(child.left_behind, len(strays))
        return len(strays)

    def _report(self, child: Running) -> None:
        del self._running[child.pid]
        try:
            scratch.take_back(child.scratch)
        except OSError as error:
            sys.stderr.write(f"a scratch was not taken back: {error}\n")
        os.close(child.scratch)
        if child.lease:
            child.lease.release()
        try:
            os.write(child.exit_fd, json.dumps(asdict(child.ending())).encode() + b"\n")
        except OSError:
            pass  # the worker dropped this child: nobody asks any more
        finally:
            os.close(child.exit_fd)


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD only has to wake the loop, which the wake-up descriptor does."""


def _resolve(name: str) -> Entry:
    module, _, function = name.partition(":")
    entry: Entry = getattr(importlib.import_module(module), function)
    return entry


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workers.sandbox.zygote")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--preload", required=True)
    parser.add_argument("--entry", action="append", required=True)
    return parser.parse_args()


def _import_all(arguments: argparse.Namespace) -> tuple[ModuleType, dict[str, Entry]]:
    preload = importlib.import_module(arguments.preload)
    return preload, {name: _resolve(name) for name in arguments.entry}


def main() -> None:
    arguments = _arguments()
    kernel.die_with_parent(arguments.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=arguments.control)
    try:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    except OSError:
        sys.stderr.write("no subreaper on this kernel: what a child forks may outlive it\n")
    # By default what was just imported is walked again and again, a sixth of the start. Not at all would leave 15 MiB
    # of garbage between it.
    usual = gc.get_threshold()
    gc.set_threshold(10_000, 10, 10)
    try:
        preload, entries = _import_all(arguments)
        threads = kernel.tasks_of_this_process()
        if threads != 1:
            raise RuntimeError(f"importing {arguments.preload} started {threads - 1} thread(s); a fork would lose them")
    except Exception as error:  # noqa: BLE001 - whatever a job imports may raise anything
        _refuse(control, f"{type(error).__name__}: {error}")
    gc.set_threshold(*usual)  # a child collects as often as any process
    gc.disable()
    gc.collect()
    gc.freeze()  # so that the collector of a child touches, and thereby copies, no shared page
    pages.collapse()
    Server(control, entries, getattr(preload, "initialise_device", None)).serve()


def _refuse(control: socket.socket, reason: str) -> NoReturn:
    control.sendall(json.dumps({"ready": False, "reason": reason}).encode() + b"\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
