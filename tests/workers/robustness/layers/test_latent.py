"""How little at a layer breaks an example."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workers.kind import AnalysisError
from workers.robustness.layers.latent import Search, latent

SEEDS = list(range(100, 164))


def search(largest=2.0, steps=10, rounds=2):
    return Search(largest=largest, steps=steps, rounds=rounds)


def silent(_fraction):
    pass


def ask(network, h, labels=None, asked=None, rows=256):
    outputs = network(h, torch.arange(len(h)))
    labels = outputs.argmax(1) if labels is None else labels
    return latent(network, h, outputs, labels, asked or search(), SEEDS[: len(h)], rows, silent)


def head(classes=4, units=20, n=16, seed=0):
    stream = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, units, generator=stream)
    return weight, torch.randn(n, units, generator=stream)


def true_budget(weight, h):
    logits = h @ weight.T
    labels = logits.argmax(1)
    own = logits.gather(1, labels[:, None])
    norms = (weight[labels][:, None] - weight[None]).norm(dim=2)
    return torch.where(norms > 0, (own - logits) / norms, torch.inf).amin(1) / h.norm(dim=1)


def test_at_a_linear_head_the_budget_is_the_margin_over_both_norms():
    weight, h = head()
    found = ask(lambda values, _: values @ weight.T, h, asked=search(steps=20))
    torch.testing.assert_close(found.rho, true_budget(weight, h).double(), rtol=0.02, atol=0)
    assert found.asked.gradients > 0


def test_it_is_never_below_the_truth_however_little_is_tried():
    weight, h = head(seed=3)
    truth = true_budget(weight, h).double()
    for steps in (1, 3, 30):
        found = ask(lambda values, _: values @ weight.T, h, asked=search(steps=steps, rounds=0))
        assert bool((found.rho >= truth * (1 - 1e-5)).all())


def test_an_example_that_holds_at_the_largest_budget_is_told_so():
    weight, h = head()
    truth = true_budget(weight, h)
    largest = float(truth.median())
    found = ask(lambda values, _: values @ weight.T, h, asked=search(largest=largest))
    clear = (truth / largest - 1).abs() > 0.02
    assert torch.equal(found.rho.isinf()[clear], (truth > largest)[clear])


def test_examples_that_are_wrong_and_layers_that_are_zero_have_no_budget():
    weight, h = head(n=4)
    h[1] = 0
    labels = (h @ weight.T).argmax(1)
    labels[2] = (labels[2] + 1) % 4
    found = ask(lambda values, _: values @ weight.T, h, labels)
    assert found.rho.isnan().tolist() == [False, True, True, False]


def test_it_depends_on_the_example_alone():
    weight, h = head()

    def network(values, _index):
        return torch.tanh(values) @ weight.T

    together, alone = ask(network, h), ask(network, h[:1])
    torch.testing.assert_close(together.rho[:1], alone.rho, rtol=1e-3, atol=0)
    narrow = ask(network, h, rows=50)
    torch.testing.assert_close(narrow.rho, together.rho, rtol=1e-3, atol=0)


def test_behind_bends_it_is_near_what_a_search_of_many_directions_finds():
    torch.manual_seed(0)
    suffix = nn.Sequential(nn.ReLU(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval().requires_grad_(False)
    h = torch.randn(12, 6)
    found = ask(lambda values, _: suffix(values), h, asked=search(steps=20))
    labels, ratios = suffix(h).argmax(1), []
    directions = torch.nn.functional.normalize(torch.randn(20_000, 6), dim=1)
    for at in range(12):
        low, high = 0.0, 3.0
        for _ in range(10):
            middle = (low + high) / 2
            points = h[at] + middle * h[at].norm() * directions
            broken = bool((suffix(points).argmax(1) != labels[at]).any())
            low, high = (low, middle) if broken else (middle, high)
        if high < 1.9:
            ratios.append(float(found.rho[at]) / high)
    assert len(ratios) >= 8
    assert sorted(ratios)[len(ratios) // 2] <= 1.02
    assert sum(ratio <= 1.15 for ratio in ratios) >= 0.75 * len(ratios)


def test_a_network_that_is_not_the_same_from_there_on_is_refused():
    weight, h = head(n=3)
    outputs = h @ weight.T
    with pytest.raises(AnalysisError, match="given its own output back"):
        latent(lambda values, _: values @ weight.T + 1, h, outputs, outputs.argmax(1), search(), SEEDS[:3], 64, silent)


def test_an_output_that_does_not_hang_on_the_layer_raises():
    fixed = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
    with pytest.raises(RuntimeError):
        latent(
            lambda _, index: fixed[index], torch.randn(3, 5), fixed, fixed.argmax(1), search(), SEEDS[:3], 64, silent
        )
