"""Which axis is what: where shapes say it, and where they do not."""

from dataclasses import dataclass

import pytest

from workers.sweep.axes import stays


@dataclass
class Shaped:
    key: str
    shape: tuple[int, ...]


def axes(shape, which, extent, *others):
    return stays([Shaped("it", shape), *(Shaped(str(n), other) for n, other in enumerate(others))], which, extent)["it"]


@pytest.mark.parametrize(
    ("shape", "which", "extent", "expected"),
    [
        ((6, 8), "token", (6,), (0,)),
        ((8, 6), "time", (6,), (1,)),
        ((2, 6, 4), "token", (6,), (1,)),
        ((6, 8), "channel", (6,), (1,)),
        ((16, 8, 8), "place", (8, 8), (1, 2)),
        ((32, 4, 4), "place", (8, 8), (1, 2)),
        ((7, 7, 96), "place", (28, 28), (0, 1)),
        ((3, 5, 14, 28), "place", (28, 56), (2, 3)),
        ((16, 8, 8), "channel", (8, 8), (0,)),
        ((7, 7, 96), "channel", (28, 28), (2,)),
        ((8, 8, 8), "place", (8, 8), (1, 2)),
        ((5,), "channel", (), (0,)),
        ((), "channel", (6,), ()),
        ((3, 4), "scalar", (), ()),
    ],
)
def test_the_lengths_of_the_input_tell_the_axes(shape, which, extent, expected):
    assert axes(shape, which, extent).axes == expected


@pytest.mark.parametrize(
    ("shape", "which", "extent", "reason"),
    [
        ((6, 6), "token", (6,), "more than one axis"),
        ((8,), "token", (6,), "no axis"),
        ((6, 8), "token", (8, 8), "no sequence"),
        ((6, 8), "place", (6,), "no picture"),
        ((16, 8, 2), "place", (8, 8), "do not lie as the picture"),
        ((16, 1, 1), "place", (8, 8), "do not lie as the picture"),
        ((2, 6, 4), "channel", (6,), "2 axes"),
        ((6, 8), "channel", (), "nothing says"),
        ((16, 9, 9), "place", (8, 8), "do not lie as the picture"),
    ],
)
def test_where_the_lengths_leave_a_choice_nothing_is_chosen(shape, which, extent, reason):
    found = axes(shape, which, extent)
    assert found.axes is None
    assert reason in found.reason


def test_attention_between_tokens_is_not_taken_for_a_picture():
    assert axes((12, 197, 197), "place", (224, 224)).axes == (1, 2)
    found = axes((12, 197, 197), "place", (224, 224), (197, 768))
    assert found.axes is None
    assert "tokens by tokens" in found.reason
