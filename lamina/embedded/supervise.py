"""When is a child that ended started again, and when is it given up?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lamina.embedded.folder import InUseError, NotPrivateError
from lamina.embedded.process import Process, StartError


class GivenUpError(StartError):
    """A child ended too often, too soon; the text has its last lines."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait after each quick end, in seconds, and how many quick ends in a row are too many."""

    first: float = 0.2
    factor: float = 2.0
    longest: float = 10.0
    restarts: int = 5
    settled: float = 30.0
    """A child that ran this long is sound: its end starts the count again."""

    def delay(self, quick_ends: int) -> float | None:
        """Seconds to wait after the `quick_ends`-th quick end in a row (from 1); None to give up."""
        if quick_ends > self.restarts:
            return None
        return min(self.longest, self.first * self.factor ** (quick_ends - 1))


class Kept:
    """One child of the supervisor: started, watched, started again; `tell` is told each time it ended."""

    def __init__(
        self, name: str, start: Callable[[], Process], backoff: Backoff, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.name = name
        self.process: Process | None = None
        self.restarts = 0
        self._start = start
        self._backoff = backoff
        self._tell = tell
        self._quick_ends = 0
        self._due: float | None = None

    def launch(self) -> None:
        """Start it for the first time. Raises what the start raises: a child that never ran is not tried again."""
        self.process = self._start()

    def tick(self) -> None:
        """Look once: note its end, or start it again when the wait is over. Raises `GivenUpError`. Never sleeps."""
        if self._due is not None:
            if time.monotonic() >= self._due:
                self._relaunch()
        elif self.process is not None and (status := self.process.poll()) is not None:
            lived = time.monotonic() - self.process.started
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._note_end(
                lived,
                f"ended with {how} after {lived:.1f} s",
                f"the end of {self.process.log}:\n{self.process.last_lines()}",
            )

    def _relaunch(self) -> None:
        self._due = None
        self.restarts += 1
        try:
            self.process = self._start()
        except (StartError, InUseError, NotPrivateError, OSError) as error:
            self._note_end(0.0, "could not be started again", str(error))

    def _note_end(self, lived: float, how: str, why: str) -> None:
        self._quick_ends = 1 if lived >= self._backoff.settled else self._quick_ends + 1
        delay = self._backoff.delay(self._quick_ends)
        if delay is None:
            raise GivenUpError(f"{self.name} {how}, {self._quick_ends} times in a row, and is given up; {why}")
        self._due = time.monotonic() + delay
        self._tell(f"{self.name} {how}; it starts again in {delay:g} s")
