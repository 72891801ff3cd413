"""Is the ladder never weaker than AutoAttack, for less? Both on the same pictures, on networks of several kinds."""

from __future__ import annotations

import pytest
import torch

from tests.references.ensemble import Ensemble, _onto_plane
from tests.workers.attack import cases
from tests.workers.attack.strength_networks import NAMES, data, network
from workers.attack.classes import Misclassified
from workers.attack.found import Found
from workers.attack.frontier import attack
from workers.attack.space import Norm

HALF_A_POINT = 0.005


def ours(name: str, n: int, *epsilons: float, norm: Norm = "linf") -> Found:
    x, y = (each[:n] for each in data())
    return attack(
        cases.victim(network(name)), Misclassified(y), x, cases.space(norm), cases.settings(*epsilons, norm=norm),
        range(n),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "norm", "epsilon"), [("pgd", "linf", 0.15), ("pgd", "l2", 0.7), ("rounded", "linf", 0.15)]
)
def test_it_is_never_weaker_than_autoattack_and_costs_less_where_there_are_gradients(name, norm, epsilon):
    n = 60
    x, y = (each[:n] for each in data())
    theirs = Ensemble(network(name), norm, epsilon).judge(x, y)
    mine = ours(name, n, epsilon, norm=norm)
    assert int(mine.robust().sum()) <= int(theirs.robust.sum()) + HALF_A_POINT * n
    assert mine.asked.gradients * 1.9 < theirs.count.gradients
    if name != "rounded":  # where gradients are zero both search to their ends
        assert mine.asked.forwards * 1.9 < theirs.count.forwards


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.1), ("linf", 0.15), ("l2", 0.5), ("l2", 1.0)])
def test_on_every_network_it_is_never_weaker_than_autoattack_by_half_a_point(name, norm, epsilon):
    n = 500 if name == "pgd" else 200
    x, y = (each[:n] for each in data())
    theirs = Ensemble(network(name), norm, epsilon).judge(x, y)
    assert int(ours(name, n, epsilon, norm=norm).robust().sum()) <= int(theirs.robust.sum()) + HALF_A_POINT * n


@pytest.mark.slow
def test_a_network_that_hides_its_gradients_is_broken_as_far_as_the_one_behind_it():
    hidden, open_ = (ours(name, 60, 0.2).robust().sum() for name in ("rounded", "pgd"))
    assert int(hidden) <= int(open_) + 6


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_reference_breaks_a_linear_model_exactly_where_it_must(norm):
    weight = torch.tensor([[1.0, -2.0, 0.5, 0.0], [-1.0, 1.0, 0.5, 2.0]])
    weight = torch.cat([weight, torch.full((8, 4), -1.0)])
    model = cases.linear(weight.tolist(), [0.0, 0.0, *[-50.0] * 8])
    picture = torch.nn.Sequential(torch.nn.Flatten(), model)
    draws = torch.Generator().manual_seed(0)
    x = (0.4 + 0.2 * torch.rand(30, 1, 2, 2, generator=draws)).requires_grad_(requires_grad=False)
    y = picture(x).argmax(1)
    apart = weight[0] - weight[1]
    dual = apart.abs().sum() if norm == "linf" else apart.norm()
    exact = ((x.flatten(1) @ apart).abs() / dual).detach()
    for parameter in picture.parameters():
        parameter.requires_grad_(requires_grad=False)
    judged = Ensemble(picture, norm, 0.08).judge(x, y, queries=50)
    clear = (exact - 0.08).abs() > 1e-3
    assert torch.equal(judged.robust[clear], (exact > 0.08)[clear])


def test_the_reference_walks_to_a_plane_by_the_smallest_change():
    x = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
    w = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    level = torch.tensor([1.2, -0.4])
    made = _onto_plane(x, w, level, "linf")
    torch.testing.assert_close(made, torch.tensor([[0.1, 0.1], [-0.6, 0.6]]))
    made = _onto_plane(torch.tensor([[0.95, 0.5]]), torch.tensor([[2.0, 1.0]]), torch.tensor([2.75]), "l2")
    torch.testing.assert_close(made, torch.tensor([[0.05, 0.25]]))
