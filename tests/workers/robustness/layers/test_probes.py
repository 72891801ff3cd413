"""Linear probes, their flips and their null."""

from __future__ import annotations

import torch

from workers.robustness.layers.probes import pooled, probed
from workers.robustness.layers.told import _first as first_of


def clusters(n=60, seed=0):
    stream = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    x = 0.1 * torch.randn(n, 5, generator=stream, dtype=torch.float64)
    x[torch.arange(n), labels] += 1.0
    return x, labels


def test_a_probe_reads_what_is_linearly_there_and_sees_it_moved():
    x, labels = clusters()
    of = torch.tensor([0, 1, 2, 30])
    moved = x[of].clone()
    moved[:2] = x[[1, 2]]  # now as examples of the next class are
    found = probed(x, labels, 3, of, moved, [x[of] + 0.05, x[of]])
    assert torch.equal(found.clean, labels)
    assert found.adversarial.tolist() == [1, 2, 2, 0]
    assert torch.equal(found.random, labels[of].expand(2, 4))


def test_no_example_is_read_by_a_probe_that_was_fitted_on_it():
    stream = torch.Generator().manual_seed(1)
    x = torch.randn(60, 200, generator=stream, dtype=torch.float64)
    labels = torch.arange(60) % 2
    found = probed(x, labels[torch.randperm(60, generator=stream)], 2, torch.tensor([0]), x[:1], [x[:1]])
    right = int((found.clean == labels).sum())
    assert 15 <= right <= 45, "labels of noise cannot be read, though 200 units fit 60 examples by heart"


def test_a_layer_that_says_nothing_gives_a_class_and_no_error():
    found = probed(
        torch.zeros(30, 4).double(), torch.arange(30) % 3, 3, torch.tensor([1]), torch.zeros(1, 4).double(), []
    )
    assert found.clean.shape == (30,)


def test_large_layers_are_pooled_in_their_order():
    assert pooled(torch.arange(8.0).reshape(2, 4)).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    wide = pooled(torch.arange(4096.0)[None])
    assert wide.shape == (1, 2048)
    assert wide[0, :2].tolist() == [0.5, 2.5]


def test_the_first_flip_is_the_earliest_layer_of_each():
    flips = [torch.tensor([[False, True, False]]), torch.tensor([[True, True, False]])]
    assert first_of(flips).tolist() == [[1, 0, -1]]
    assert first_of([]).numel() == 0
