"""What a network that raises on some samples loses, and how many rows run at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.workers import subjects
from tests.workers.lime.made import pictures, reading
from workers.lime.careful import Careful
from workers.lime.case import asked
from workers.lime.parameters import LimeParameters
from workers.lime.rows import LEAST_ROWS, MOST_ROWS, rows
from workers.lime.told import most_features, written


def predict(inputs):
    (x,) = inputs
    if bool((x == 3).any()):
        raise ValueError("no threes")
    return np.asarray(x.double().numpy())


def test_only_the_rows_that_raise_are_lost():
    careful = Careful(predict, 1)
    x = torch.arange(8.0)[:, None]
    found = careful((x,))
    assert np.isnan(found[:, 0]).tolist() == [False, False, False, True, False, False, False, False]
    assert found[[0, 7], 0].tolist() == [0.0, 7.0]
    assert careful.because == "no threes"


def test_a_network_that_raises_everywhere_gives_no_number_at_all():
    careful = Careful(predict, 2)
    assert np.isnan(careful((torch.full((5, 1), 3.0),))).all()


def test_running_out_of_memory_is_no_fault_of_a_row():
    def exhausted(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        Careful(exhausted, 1)((torch.zeros(4, 1),))


def test_rows_follow_from_the_largest_layer_and_never_from_a_clock():
    small, _ = asked(subjects.classifier(), LimeParameters())
    assert rows(small, 1 << 28).count == MOST_ROWS
    wide, _ = asked(reading(lambda x: x.repeat(1, 64, 1, 1).mean((1, 2, 3)), pictures(side=128)), LimeParameters())
    assert rows(wide, 1 << 30).row_bytes == 3 * 128 * 128 * 4, "of a network without layers, the input"
    assert rows(wide, 1 << 30) == rows(wide, 1 << 30)
    assert LEAST_ROWS < rows(wide, 1 << 30).count < MOST_ROWS
    assert rows(wide, 1 << 20).count == 1, "memory is kept to"
    assert rows(wide, 1 << 30, 12).count == 12, "as asked"


def test_a_network_of_one_batch_size_gets_whole_batches():
    of = subjects.classifier()
    fixed = subjects.subject(of.model, of.examples["evaluation"].inputs, None, of.facts, batch=6)
    case, _ = asked(fixed, LimeParameters(precision="float64"))
    assert rows(case, 1 << 28, 20).count == 18
    assert rows(case, 1 << 28, 3).count == 6


def test_what_is_listed_is_bounded_whatever_is_asked():
    assert most_features(1, 1, 10) == 20
    assert most_features(256, 10, 200) == 7
    assert most_features(256, 10, 1) == 7


def test_a_name_is_written_on_one_line():
    assert written("a\nb\x00 c") == "a b c"
    assert written("\n") == "(white space)"
