"""Where windows lie, what lies in them, and which do not fit."""

from __future__ import annotations

import pytest
import torch

from workers.occlusion.windows import Windows, as_lists, misfit


def test_the_last_window_is_cut_at_the_edge():
    windows = Windows.of((5,), (2,), (2,))
    assert windows.count == 3
    assert windows.members(0, 3, torch.device("cpu")).int().tolist() == [
        [1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_zero_stands_for_a_whole_axis():
    windows = Windows.of((3, 4, 4), (0, 2, 2), (0, 2, 2))
    assert windows.places == (1, 2, 2)
    assert windows.parts
    assert windows.members(0, 4, torch.device("cpu")).sum((1, 2, 3)).tolist() == [12, 12, 12, 12]
    assert windows.numbered(10)[1].tolist() == [[10, 10, 11, 11], [10, 10, 11, 11], [12, 12, 13, 13], [12, 12, 13, 13]]


def test_an_element_gets_the_mean_of_the_windows_it_lies_in():
    windows = Windows.of((4,), (2,), (1,))
    assert not windows.parts
    averaged = windows.averaged(torch.tensor([[1.0, 3.0, 8.0]]))
    assert averaged.tolist() == [[1.0, 2.0, 5.5, 8.0]]


@pytest.mark.parametrize(
    ("window", "stride", "reason"),
    [
        ((2,), (2, 2), "the window has 1 axes"),
        ((2, 2), (2,), "the stride has 1 axes"),
        ((2, 9), (1, 1), "larger than one example"),
        ((-1, 2), (1, 1), "negative"),
        ((2, 2), (3, 2), "never be hidden"),
    ],
)
def test_windows_that_do_not_fit_are_refused(window, stride, reason):
    assert reason in misfit((4, 4), window, stride)


def test_windows_that_fit_are_not():
    assert misfit((4, 4), (2, 0), (1, 0)) == ""
    assert as_lists(((1, 2), (3,))) == [[1, 2], [3]]
