"""How does a worker follow one child? Its messages, its end, and the two ways to stop it: ask, or kill."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from .ending import Ending, classify, of_a_lost_zygote
from .lines import Lines
from .spec import ChildMisbehaved, Exit, Level, Limits

READ_BYTES = 64 * 1024
KEPT_MESSAGES = 1000
"""While nobody iterates, the latest are kept."""
OVERDUE_SECONDS = 10.0
"""How long after a deadline the zygote may take to have enforced it, before it is itself taken for dead."""


class Forker(Protocol):
    """What a child needs of its zygote."""

    def kill(self, pid: int) -> None: ...

    def abandon(self, zygote: int) -> None: ...


class Child:
    """One sandboxed process. For one thread at a time. Its descriptors close with its end (or with `kill`)."""

    def __init__(self, zygote: Forker, zygote_pid: int, pid: int, limits: Limits, fds: tuple[int, int, int]) -> None:
        self.pid = pid
        self._zygote, self._zygote_pid, self._limits = zygote, zygote_pid, limits
        self._progress, self._control, self._exit = fds
        self._lines = Lines()
        self._messages: deque[dict[str, Any]] = deque()
        self._started = time.monotonic()
        self._speaking = True
        self._ended: Exit | None = None
        for fd in (self._progress, self._exit):
            os.set_blocking(fd, False)

    @property
    def level(self) -> Level | None:
        """The level this child said it reached, before any foreign code ran; None until it has."""
        return Level(self._lines.entered["level"]) if self._lines.entered else None

    def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Each message as it arrives, until the child has ended or `timeout` seconds have passed.

        The first is {"type": "entered", "level", "abi", "uid", "missing", "resident_bytes"}. Raises ChildMisbehaved,
        after killing the child, for anything that is no message.
        """
        deadline = time.monotonic() + timeout
        while True:
            while self._messages:
                yield self._messages.popleft()
            left = deadline - time.monotonic()
            self._listen(max(left, 0.0))
            if not self._messages and (not self._speaking or left <= 0):
                return

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs. Does not wait."""
        if self._ended is None:
            self._look()
        return self._ended

    def wait(self, timeout: float) -> Exit | None:
        """How it ended; None where it still runs after `timeout` seconds. Raises ChildMisbehaved as `messages` does."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._listen(left)
            while len(self._messages) > KEPT_MESSAGES:
                self._messages.popleft()
        return self._ended

    def cancel(self) -> None:
        """Ask it to stop at its next chunk end (`Line.cancelled`). It may not: `kill` it after a grace period."""
        if self._ended is None:
            with contextlib.suppress(OSError):
                os.write(self._control, b"\n")

    def kill(self) -> None:
        """End it and everything it started, now; returns once nothing of it is left."""
        deadline = time.monotonic() + OVERDUE_SECONDS
        self._speaking = False
        if self.poll() is None:  # an ended child's pid may be another's by now
            self._zygote.kill(self.pid)
        while self.poll() is None:
            if time.monotonic() > deadline:
                self._zygote.abandon(self._zygote_pid)
            _wait_for([self._exit], 0.1)

    def _listen(self, seconds: float) -> None:
        """Wait for one of its pipes, at most so long, and take in what there is."""
        if self._ended is None:
            fds = [self._exit, self._progress] if self._speaking else [self._exit]
            _wait_for(fds, min(seconds, OVERDUE_SECONDS))
            try:
                self._hear()
            except ChildMisbehaved:
                self.kill()
                raise
            self._look()

    def _hear(self) -> bool:
        """Read once; whether there may be more."""
        if not self._speaking:
            return False
        try:
            content = os.read(self._progress, READ_BYTES)
        except BlockingIOError:
            return False
        if not content:
            self._speaking = False
            return False
        self._messages.extend(self._lines.feed(content))
        return True

    def _look(self) -> None:
        """See whether the zygote reported its end, in one line; end of file without one means the zygote died."""
        try:
            report = os.read(self._exit, READ_BYTES)
        except BlockingIOError:
            if time.monotonic() - self._started > self._limits.wall_seconds + 2 * OVERDUE_SECONDS:
                self._zygote.abandon(self._zygote_pid)
            return
        overdue = time.monotonic() - self._started > self._limits.wall_seconds + OVERDUE_SECONDS
        try:
            while self._hear():
                pass
        finally:
            self._finish(report, overdue=overdue)

    def _finish(self, report: bytes, *, overdue: bool) -> None:
        if report:
            start = (self._lines.entered or {}).get("resident_bytes", 0)
            ending = Ending(**json.loads(report))
            self._ended = classify(ending, self._limits, said=self._lines.ended, start_rss_bytes=start)
        else:
            self._ended = of_a_lost_zygote(self._limits, overdue=overdue)
        self._speaking = False
        for fd in (self._progress, self._control, self._exit):
            os.close(fd)


def _wait_for(fds: list[int], seconds: float) -> None:
    waiting = select.poll()
    for fd in fds:
        waiting.register(fd, select.POLLIN)
    waiting.poll(seconds * 1000)
