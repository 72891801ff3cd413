"""Leases are renewed, results taken in, cancels obeyed: with a child made of a script, and no clock but steps."""

from collections.abc import Iterator
from typing import Any

from service.contracts.status import WorkState
from workers.sandbox.spec import ChildMisbehaved, Exit
from workers.watch import Standing, Ticket, Watch

DONE = Exit(code=0, signal=None, reason="completed", detail="", peak_rss_bytes=1)
KILLED = Exit(code=None, signal=9, reason="killed", detail="", peak_rss_bytes=1)


class Scripted:
    """A child that says one batch of messages each time it is listened to, and then ends."""

    def __init__(self, *batches: list[dict[str, Any]] | Exception) -> None:
        self.batches = list(batches)
        self.killed = False

    def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
        if self.batches:
            batch = self.batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            yield from batch

    def poll(self) -> Exit | None:
        if self.killed:
            return KILLED
        return None if len(self.batches) > 1 else DONE

    def wait(self, timeout: float) -> Exit | None:
        return self.poll()

    def kill(self) -> None:
        self.killed = True


def watch(child: Scripted, tickets: list[Ticket], states: dict[str, WorkState | None] | None = None) -> dict[str, Any]:
    seen: dict[str, Any] = {"saved": [], "dropped": []}

    def save(ticket: Ticket) -> None:
        seen["saved"].append(ticket.member)
        ticket.standing = Standing.SAVED

    one = Watch(
        child=child,
        tickets=tickets,
        beat=lambda ticket: (states or {}).get(ticket.member, WorkState.RUNNING),
        save=save,
        drop=seen["dropped"].append,
        beat_seconds=0.0,
        grace_seconds=0.0 if states and "grace" in states else 60.0,
    )
    seen["exit"] = one.run()
    seen["misbehaved"] = one.misbehaved
    return seen


def test_progress_is_kept_and_nonsense_is_not() -> None:
    ticket = Ticket("a")
    said = [
        {"type": "progress", "member": "a", "fraction": 0.5, "stage": "sweep"},
        {"type": "progress", "member": "a", "fraction": 7, "stage": "lies"},
        {"type": "progress", "member": "b", "fraction": 0.9, "stage": "not ours"},
        {"type": "progress", "fraction": 0.9},
        {"nothing": "at all"},
    ]
    watch(Scripted(said, []), [ticket])
    assert (ticket.fraction, ticket.stage) == (0.5, "sweep")


def test_each_member_is_saved_as_soon_as_it_is_done_and_once() -> None:
    tickets = [Ticket("a"), Ticket("b")]
    done = {"type": "result", "member": "a", "status": "succeeded"}
    seen = watch(Scripted([done, done], [], []), tickets)
    assert seen["saved"] == ["a"]
    assert [ticket.standing for ticket in tickets] == [Standing.SAVED, Standing.OPEN]


def test_a_result_said_with_the_last_breath_is_taken_in() -> None:
    seen = watch(Scripted([{"type": "result", "member": "a", "status": "succeeded"}]), [Ticket("a")])
    assert seen["saved"] == ["a"]
    assert seen["exit"] is DONE


def test_cancelling_the_only_member_kills_the_child() -> None:
    ticket = Ticket("a")
    child = Scripted([], [], [])
    watch(child, [ticket], {"a": WorkState.CANCELLING})
    assert child.killed
    assert ticket.standing is Standing.CANCELLED


def test_cancelling_one_of_two_asks_first_and_leaves_the_other_alone() -> None:
    tickets = [Ticket("a"), Ticket("b")]
    child = Scripted([], [{"type": "result", "member": "a", "status": "cancelled"}], [], [])
    seen = watch(child, tickets, {"a": WorkState.CANCELLING})
    assert seen["dropped"] == ["a"]
    assert not child.killed
    assert [ticket.standing for ticket in tickets] == [Standing.CANCELLED, Standing.OPEN]


def test_cancelling_one_of_two_kills_after_the_grace_period() -> None:
    tickets = [Ticket("a"), Ticket("b")]
    child = Scripted([], [], [])
    watch(child, tickets, {"a": WorkState.CANCELLING, "grace": None})
    assert child.killed
    assert [ticket.standing for ticket in tickets] == [Standing.CANCELLED, Standing.OPEN]


def test_a_lost_lease_ends_the_child_and_saves_nothing() -> None:
    ticket = Ticket("a")
    child = Scripted([], [{"type": "result", "member": "a", "status": "succeeded"}], [])
    seen = watch(child, [ticket], {"a": None})
    assert child.killed
    assert seen["saved"] == []
    assert ticket.standing is Standing.LOST


def test_a_child_that_babbles_is_killed_and_said_to_have_misbehaved() -> None:
    child = Scripted(ChildMisbehaved("not JSON"), [], [])
    seen = watch(child, [Ticket("a")])
    assert child.killed
    assert seen["misbehaved"]


def test_a_child_that_says_it_was_cancelled_unasked_is_killed_and_nothing_is_cancelled() -> None:
    ticket = Ticket("a")
    seen = watch(Scripted([], [{"type": "result", "member": "a", "status": "cancelled"}], [], []), [ticket])
    assert (ticket.standing, seen["exit"], seen["misbehaved"]) == (Standing.OPEN, KILLED, True)


def test_a_stage_holds_nothing_a_database_or_a_page_cannot_show() -> None:
    ticket = Ticket("a")
    said = {"type": "progress", "member": "a", "fraction": 0.5, "stage": "lay\0er \x1b[31mone"}
    watch(Scripted([], [said], []), [ticket])
    assert ticket.stage == "layer [31mone"
