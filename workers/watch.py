"""What happens while a child computes? Its leases are renewed, its results are taken in, its askers may cancel.

Several analyses may share one child. Each keeps its own lease and is committed as soon as it is done; one that is
cancelled stops at a chunk end, and the child is killed for it only when it is alone, or after a grace period.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from service.contracts.status import WorkState
from workers.sandbox.spec import ChildMisbehaved, Exit

LISTEN_SECONDS = 0.2
DRAIN_SECONDS = 1.0


class Standing(StrEnum):
    """How one member of a group stands with us."""

    OPEN = "open"
    SAVED = "saved"
    CANCELLED = "cancelled"
    LOST = "lost"  # its lease went to somebody else: nothing of it is ours to write


@dataclass(slots=True)
class Ticket:
    """One member of a group while its child runs."""

    member: str
    standing: Standing = Standing.OPEN
    fraction: float = 0.0
    stage: str = "starting"
    cancel_asked_at: float | None = None


class Watched(Protocol):
    """What is needed of a child here; the sandbox's Child has it."""

    def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Messages that arrive within `timeout` seconds."""

    def poll(self) -> Exit | None:
        """How it ended, or None."""

    def wait(self, timeout: float) -> Exit | None:
        """How it ended, waiting for it."""

    def kill(self) -> None:
        """End all of it."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """One child and the members it works for.

    `beat` renews a member's lease and says its state (None: lost); `save` takes in a finished member; `drop` tells the
    child to leave one out at its next chunk end.
    """

    child: Watched
    tickets: Sequence[Ticket]
    beat: Callable[[Ticket], WorkState | None]
    save: Callable[[Ticket], None]
    drop: Callable[[str], None]
    beat_seconds: float
    grace_seconds: float
    misbehaved: bool = False

    def run(self) -> Exit:
        """Watch until the child has ended; every ticket's standing says what became of it."""
        next_beat = 0.0
        while (ended := self.child.poll()) is None:
            now = time.monotonic()
            if now >= next_beat:
                self._beat_all(now)
                next_beat = now + self.beat_seconds
            self._listen(min(LISTEN_SECONDS, max(next_beat - now, 0.01)))
        self._listen(DRAIN_SECONDS)
        return ended

    def _open(self) -> list[Ticket]:
        return [ticket for ticket in self.tickets if ticket.standing is Standing.OPEN]

    def _listen(self, seconds: float) -> None:
        try:
            for message in self.child.messages(seconds):
                self._hear(message)
        except ChildMisbehaved:
            self.misbehaved = True
            self.child.kill()

    def _hear(self, message: dict[str, Any]) -> None:
        ticket = next((ticket for ticket in self._open() if ticket.member == message.get("member")), None)
        if ticket is None:
            return
        if message.get("type") == "progress":
            fraction, stage = message.get("fraction"), message.get("stage")
            if isinstance(fraction, int | float) and 0 <= fraction <= 1 and isinstance(stage, str):
                ticket.fraction, ticket.stage = float(fraction), "".join(filter(str.isprintable, stage[:128]))
        elif message.get("type") == "result":
            if message.get("status") != "cancelled":
                self.save(ticket)
            elif ticket.cancel_asked_at is not None:
                ticket.standing = Standing.CANCELLED
            else:
                raise ChildMisbehaved("the child says it was cancelled, which nobody asked for")

    def _beat_all(self, now: float) -> None:
        for ticket in self._open():
            state = self.beat(ticket)
            if state is None:
                ticket.standing = Standing.LOST
                self.drop(ticket.member)
            elif state is WorkState.CANCELLING and ticket.cancel_asked_at is None:
                ticket.cancel_asked_at = now
                self.drop(ticket.member)
        waiting = self._open()
        overdue = [
            ticket
            for ticket in waiting
            if ticket.cancel_asked_at is not None
            and (now - ticket.cancel_asked_at >= self.grace_seconds or len(waiting) == 1)
        ]
        for ticket in overdue:
            ticket.standing = Standing.CANCELLED
        if overdue or not waiting:
            self.child.kill()
