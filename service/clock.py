"""What time is it? The only place that reads the clock, so that every other place can be given one."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that knows the time."""

    def now(self) -> datetime:
        """The current time, in UTC, with its zone."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The machine's time in UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that moves only when told to; for tests and replays."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """The time it was set to."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move forward."""
        self._at += by

    def set(self, at: datetime) -> None:
        """Jump to a time, also back."""
        self._at = at


def seconds(value: float) -> timedelta:
    """A duration in seconds."""
    return timedelta(seconds=value)
