"""Are freed pages kept while that helps, and given back once there are too many?"""

import pytest

from workers.numerics import memory
from workers.numerics.memory import KeptPages

MEBIBYTE = 1 << 20


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A process whose resident size is told; giving back brings it to what is alive."""
    state = {"resident": 100 * MEBIBYTE, "alive": 100 * MEBIBYTE, "given_back": 0}

    def give_back() -> bool:
        state["resident"] = state["alive"]
        state["given_back"] += 1
        return True

    monkeypatch.setattr(memory, "resident_bytes", lambda: state["resident"])
    monkeypatch.setattr(memory, "give_back_freed_pages", give_back)
    return state


def test_equal_chunks_that_leave_no_holes_keep_their_pages(process: dict[str, int]) -> None:
    pages = KeptPages()
    process["resident"] += 80 * MEBIBYTE
    for _ in range(100):
        pages.after_chunk()
    assert process["given_back"] == 0


def test_holes_are_given_back_once_they_are_an_eighth_of_what_a_chunk_takes(process: dict[str, int]) -> None:
    pages = KeptPages()
    process["resident"] += 80 * MEBIBYTE
    pages.after_chunk()
    process["resident"] += 10 * MEBIBYTE
    pages.after_chunk()
    assert process["given_back"] == 0
    process["resident"] += 1
    pages.after_chunk()
    assert (process["given_back"], process["resident"]) == (1, 100 * MEBIBYTE)


def test_a_small_sweep_is_left_alone_within_four_mebibytes(process: dict[str, int]) -> None:
    pages = KeptPages()
    process["resident"] += MEBIBYTE
    pages.after_chunk()
    process["resident"] += 4 * MEBIBYTE
    pages.after_chunk()
    assert process["given_back"] == 0


def test_where_the_system_says_nothing_nothing_is_given_back(process: dict[str, int]) -> None:
    process["resident"] = 0
    pages = KeptPages()
    for _ in range(3):
        pages.after_chunk()
    assert process["given_back"] == 0
