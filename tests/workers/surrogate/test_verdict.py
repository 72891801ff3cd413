"""Which signs lead to which words?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from workers.surrogate.verdict import Signs, verdict

GOOD = Signs(
    change=0.5, held_out=0.9, whole=0.95, off=0.2, unsure=0.05, kept=0.95, by_width=(0.9, 0.5), features=5,
    unknowns=31, distinct=1000, draws=500, lost=0.0,
)  # fmt: skip


def test_good_signs_are_readable_and_say_how_much_is_told() -> None:
    assert verdict(GOOD) == (
        "readable", "Readable: on samples it was not fitted to, the surrogate tells 90 % of what changes."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ({"whole": 0.4, "held_out": 0.3}, "no more than 40 % of what changes"),
        ({"held_out": 0.3}, "the 5 features shown tell 30 % of what changes, and all of them 95 %: show more"),
        ({"off": 1.5}, "at the example itself"),
        ({"unsure": 0.4}, "40 % of the weight shown lies within its own error"),
        ({"kept": 0.3}, "another run would keep 30 % of the weight shown"),
        ({"by_width": (0.2, 0.125)}, "with the kernel width 0.125 only 20 %"),
        ({"distinct": 31}, "31 different samples cannot tell 31 numbers"),
        ({"draws": 61}, "61 independent draws are few for 31 numbers, so that intervals are too narrow"),
        ({"lost": 0.2}, "no number for 20 % of the samples"),
    ],
)
def test_each_doubt_is_told_by_itself(signs: dict[str, object], words: str) -> None:
    said, reason = verdict(replace(GOOD, **signs))  # type: ignore[arg-type] # one sign at a time
    assert said == "doubtful"
    assert words in reason


def test_what_no_line_tells_is_not_to_be_read_whatever_else_is_good() -> None:
    said, reason = verdict(replace(GOOD, whole=-0.1))
    assert said == "not locally linear"
    assert "tells nothing of what changes" in reason


def test_where_nothing_changes_no_fit_is_judged() -> None:
    assert verdict(replace(GOOD, change=1e-7, whole=-3.0))[0] == "nothing changes"


def test_no_other_width_is_no_doubt() -> None:
    assert verdict(replace(GOOD, by_width=None))[0] == "readable"
