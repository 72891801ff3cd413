"""Is a child that ended started again at the right time, and given up at the right count?"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.embedded.process import Process, StartError, launcher
from lamina.embedded.supervise import Backoff, GivenUpError, Kept
from tests.lamina.embedded.witness import until


def test_waits_double_up_to_the_longest_and_then_end() -> None:
    backoff = Backoff(first=0.5, factor=2.0, longest=3.0, restarts=5)
    assert [backoff.delay(count) for count in range(1, 7)] == [0.5, 1.0, 2.0, 3.0, 3.0, None]


def ends_at_once(log: Path) -> Callable[[], Process]:
    return lambda: launcher().start([sys.executable, "-I", "-S", "-c", "print('last words')"], log=log)


def ticked(kept: Kept) -> bool:
    kept.tick()
    return False


def test_quick_ends_in_a_row_are_given_up_with_the_last_words(tmp_path: Path) -> None:
    kept = Kept("fragile", ends_at_once(tmp_path / "log"), Backoff(first=0.01, restarts=2))
    kept.launch()
    with pytest.raises(GivenUpError, match=r"(?s)fragile ended with status 0.*3 times in a row.*last words"):
        until(lambda: ticked(kept))
    assert kept.restarts == 2


def test_ends_after_a_sound_life_are_not_counted(tmp_path: Path) -> None:
    kept = Kept("sound", ends_at_once(tmp_path / "log"), Backoff(first=0.01, restarts=1, settled=0.0))
    kept.launch()
    assert until(lambda: ticked(kept) or kept.restarts >= 4)
    assert kept.process is not None
    kept.process.wait(60)


def test_it_waits_before_it_starts_again(tmp_path: Path) -> None:
    kept = Kept("patient", ends_at_once(tmp_path / "log"), Backoff(first=600.0))
    kept.launch()
    assert kept.process is not None
    kept.process.wait(60)
    for _ in range(3):
        kept.tick()
    assert kept.restarts == 0


def test_a_first_start_that_fails_is_not_tried_again() -> None:
    def refuse() -> Process:
        raise StartError("no such program")

    with pytest.raises(StartError, match="no such program"):
        Kept("absent", refuse, Backoff()).launch()


def test_a_later_start_that_fails_counts_as_a_quick_end(tmp_path: Path) -> None:
    first = [True]

    def once() -> Process:
        if first.pop() if first else False:
            return ends_at_once(tmp_path / "log")()
        raise StartError("the disk is full")

    kept = Kept("server", once, Backoff(first=0.01, restarts=2))
    kept.launch()
    with pytest.raises(GivenUpError, match=r"(?s)could not be started again.*the disk is full"):
        until(lambda: ticked(kept))
