"""Totals, unit moments and whole attributions: against numpy on the whole data, whatever the blocks."""

import numpy as np
import pytest
import torch

from tests.workers.sweep.blocks import SPLITS, fed
from workers.sweep.reducers import Keep, Moments, Totals, UnitMoments

VALUES = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3, 2)))


@pytest.mark.parametrize("sizes", SPLITS)
def test_totals_are_of_each_example(sizes):
    made = fed(Totals(), {"a": VALUES}, sizes)
    assert torch.equal(made.signed("a"), VALUES.flatten(1).sum(1))
    assert torch.equal(made.absolute("a"), VALUES.abs().flatten(1).sum(1))


@pytest.mark.parametrize("sizes", SPLITS)
def test_moments_are_numpys_over_all_examples(sizes):
    made, given = fed(Moments(), {"a": VALUES}, sizes).of("a"), VALUES.numpy()
    assert made.n == 20
    np.testing.assert_allclose(made.mean, given.mean(0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(made.absolute_mean, np.abs(given).mean(0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(made.standard_error, given.std(0, ddof=1) / 20**0.5, rtol=1e-12)


def test_one_example_has_no_standard_error_and_none_has_no_mean():
    made = fed(Moments(), {"a": VALUES[:1]}, [1])
    assert made.of("a").standard_error is None
    with pytest.raises(KeyError):
        made.of("b")


@pytest.mark.parametrize("sizes", SPLITS)
def test_keep_holds_the_first_examples_of_the_taps_named(sizes):
    made = fed(Keep(["a"], first=6), {"a": VALUES, "b": VALUES}, sizes)
    assert torch.equal(made.of("a"), VALUES[:6])
    with pytest.raises(KeyError):
        made.of("b")


def test_a_large_block_is_summed_in_parts_and_not_kept(monkeypatch):
    monkeypatch.setattr("workers.sweep.reducers._SUMMED", 5)
    draws = torch.Generator().manual_seed(0)
    first, second = (torch.randn(n, 3, 2, generator=draws) for n in (9, 4))
    whole, moments = torch.cat([first, second]).double(), UnitMoments()
    moments.add(first)
    assert moments._first is None  # nine examples take more than three sums
    moments.add(second)
    for found, expected in zip(moments.sums, (whole, whole.abs(), whole.square()), strict=True):
        torch.testing.assert_close(found, expected.sum(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.mean, whole.mean(0))
