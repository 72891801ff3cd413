"""Random changes as long as an attack's."""

from __future__ import annotations

import torch

from workers.attack.space import Space
from workers.robustness.layers.noise import equal_noise, reached


def space(norm="linf", low=-10.0, high=10.0, unit=1.0, free=None):
    return Space(norm=norm, low=torch.tensor(low), high=torch.tensor(high), unit=torch.tensor(unit), free=free)


def test_noise_is_as_long_as_the_change_it_stands_beside():
    x = torch.zeros(3, 20)
    made = x.clone()
    made[0, 0], made[1, :4], made[2] = 3.0, 1.0, 0.1
    for norm in ("linf", "l2"):
        noisy = equal_noise(space(norm), x, made, [1, 2, 3], 5)
        assert noisy.shape == (5, 3, 20)
        torch.testing.assert_close(noisy.norm(dim=2), made.norm(dim=1).expand(5, 3), rtol=1e-5, atol=0)
    assert set((equal_noise(space(), x, made, [1, 2, 3], 2)[0, 2] / 0.1).round().tolist()) == {-1.0, 1.0}


def test_where_bounds_clip_the_other_numbers_change_more():
    x = torch.zeros(1, 40)
    made = x + 0.1
    within = space(low=0.0, high=1.0)
    noisy = equal_noise(within, x, made, [4], 3)
    assert bool((noisy >= 0).all())
    assert bool((noisy <= 1).all())
    torch.testing.assert_close(noisy.norm(dim=2), made.norm(dim=1).expand(3, 1), rtol=1e-5, atol=0)
    assert float(noisy.max()) > 0.1


def test_noise_that_the_bounds_keep_short_says_how_short():
    x = torch.zeros(1, 4)
    made = torch.ones(1, 4)
    within = space(low=0.0, high=1.0)
    noisy = equal_noise(within, x, made, [4], 6)
    lengths = reached(within, x, made, noisy)
    torch.testing.assert_close(lengths, noisy.double().norm(dim=2) / 2)
    assert float(lengths.min()) < 0.9


def test_what_may_not_change_stays_and_units_are_counted():
    free = torch.tensor([[True, True, False, True]])
    counted = Space(
        norm="l2", low=torch.tensor(-99.0), high=torch.tensor(99.0), unit=torch.tensor([1.0, 10.0, 1.0, 1.0]), free=free
    )
    x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    made = x + torch.tensor([1.0, 0.0, 0.0, 0.0])
    noisy = equal_noise(counted, x, made, [1, 2], 4)
    assert torch.equal(noisy[:, :, 2], x[:, 2].expand(4, 2))
    torch.testing.assert_close(((noisy - x) / counted.unit).norm(dim=2), torch.ones(4, 2), rtol=1e-4, atol=0)


def test_the_noise_of_an_example_does_not_depend_on_its_company():
    x = torch.zeros(3, 7)
    made = x + 0.5
    together = equal_noise(space(), x, made, [11, 12, 13], 3)
    alone = equal_noise(space(), x[1:2], made[1:2], [12], 3)
    assert torch.equal(together[:, 1:2], alone)
    assert not torch.equal(together[0, 0], together[0, 1])
    assert not torch.equal(together[0, 0], together[1, 0])


def test_no_adversarial_has_no_noise():
    assert equal_noise(space(), torch.zeros(0, 5), torch.zeros(0, 5), [], 3).shape == (3, 0, 5)
