"""Is the nearest adversarial as near as it is known to be, and is every one of them legal?"""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.attack.classes import Classified, Misclassified
from workers.attack.goal import Goal
from workers.attack.minimum.draw_in import drawn_in
from workers.attack.minimum.search import Minimum, minimum
from workers.attack.numbers import Hidden, Shifted
from workers.attack.space import Norm, Space
from workers.attack.victim import Victim

FAR = 1e6


def space(norm: Norm, low: float = -FAR, high: float = FAR, unit: Tensor | None = None) -> Space:
    return Space(
        norm=norm, low=torch.tensor(low), high=torch.tensor(high), unit=torch.tensor(1.0) if unit is None else unit
    )


def victim(network: nn.Module, rows: int = 512) -> Victim:
    for each in network.parameters():
        each.requires_grad_(False)
    return Victim(network=lambda x, _index: network(x), rows=rows)


def found(network: nn.Module, goal: Goal, x: Tensor, within: Space, steps: int = 40, rows: int = 512) -> Minimum:
    return minimum(victim(network, rows), goal, x, within, steps, range(len(x)))


def dual(weights: Tensor, norm: Norm) -> Tensor:
    return weights.abs().sum(-1) if norm == "linf" else weights.norm(dim=-1)


# --- what it refuses


def test_a_black_box_is_refused() -> None:
    box = Victim(network=lambda x, _index: x, black_box=True)
    with pytest.raises(ValueError, match="HopSkipJump"):
        minimum(box, Hidden(0.0), torch.ones(1), space("l2"), 5, [0])


@pytest.mark.parametrize(("steps", "seeds"), [(0, [0]), (5, []), (5, [0, 1])])
def test_no_step_or_a_wrong_number_of_seeds_is_refused(steps: int, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="seed"):
        minimum(
            victim(nn.Linear(2, 2)), Misclassified(torch.zeros(1).long()), torch.ones(1, 2), space("l2"), steps, seeds
        )


# --- linear models, whose answer is margin over dual norm


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 10, 40])
def test_on_a_linear_model_it_is_the_margin_over_the_dual_norm(norm: Norm, classes: int) -> None:
    torch.manual_seed(classes)
    network, x = nn.Linear(20, classes), torch.randn(50, 20)
    outputs = network(x).detach()
    labels = outputs.argmax(1)
    weights = network.weight.detach()
    gap = outputs.gather(1, labels[:, None]) - outputs
    exact = gap / dual(weights[labels][:, None] - weights[None], norm)
    exact = exact.scatter(1, labels[:, None], torch.inf).amin(1)
    made = found(network, Misclassified(labels), x, space(norm))
    assert bool(made.found.all())
    torch.testing.assert_close(made.distance, exact.double(), rtol=0.001, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_unit_per_feature_is_what_distances_count(norm: Norm) -> None:
    torch.manual_seed(0)
    network, x, unit = nn.Linear(6, 2), torch.randn(20, 6), torch.rand(6) * 10 + 0.1
    outputs = network(x).detach()
    exact = (outputs[:, 0] - outputs[:, 1]).abs() / dual((network.weight[0] - network.weight[1]).detach() * unit, norm)
    made = found(network, Misclassified(outputs.argmax(1)), x, space(norm, unit=unit[None]))
    torch.testing.assert_close(made.distance, exact.double(), rtol=0.001, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_features_that_are_not_free_give_no_part_of_the_dual_norm_and_stay(norm: Norm) -> None:
    torch.manual_seed(0)
    network, x, free = nn.Linear(6, 2), torch.randn(20, 6), torch.tensor([True, False, True, True, False, True])
    within = Space(norm=norm, low=torch.tensor(-FAR), high=torch.tensor(FAR), unit=torch.tensor(1.0), free=free[None])
    outputs = network(x).detach()
    exact = (outputs[:, 0] - outputs[:, 1]).abs() / dual((network.weight[0] - network.weight[1]).detach() * free, norm)
    made = found(network, Misclassified(outputs.argmax(1)), x, within)
    torch.testing.assert_close(made.distance, exact.double(), rtol=0.001, atol=1e-6)
    assert torch.equal(made.made[:, ~free], x[:, ~free])


def test_bounds_turn_the_nearest_point_to_the_features_that_are_left() -> None:
    # x₁ + x₂ + x₃ has to fall from 1.2 to 0 and x₁ = 0.2 can give 0.2 only: the rest of 1 is shared by the others.
    network = nn.Linear(3, 1, bias=False)
    network.weight.data.fill_(1.0)
    x = torch.tensor([[0.2, 0.9, 0.9]])
    made = found(nn.Sequential(network, nn.Flatten(0)), Hidden(0.8), x, space("l2", 0.0, 1.0), steps=100)
    exact = math.sqrt(0.2**2 + 2 * 0.5**2)
    assert made.distance.item() == pytest.approx(exact, rel=0.01)
    made = found(nn.Sequential(network, nn.Flatten(0)), Hidden(0.8), x, space("linf", 0.0, 1.0))
    assert made.distance.item() == pytest.approx(0.5, rel=0.001)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_number_is_shifted_by_the_tolerance_over_the_dual_norm(norm: Norm) -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(8, 1), nn.Flatten(0)), torch.randn(10, 8)
    before = network(x).detach()
    made = found(network, Shifted(before, 0.5), x, space(norm))
    exact = 0.5 / dual(network[0].weight.detach(), norm)
    torch.testing.assert_close(made.distance, exact.double().expand(10), rtol=0.001, atol=0)
    assert bool(((network(made.made) - before).abs() > 0.5).all())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_class_that_is_wanted_is_as_far_as_the_half_spaces_it_lies_in(norm: Norm) -> None:
    torch.manual_seed(1)
    network, x = nn.Linear(8, 2), torch.randn(10, 8)
    outputs = network(x).detach()
    wanted = 1 - outputs.argmax(1)
    exact = (outputs[:, 0] - outputs[:, 1]).abs() / dual((network.weight[0] - network.weight[1]).detach(), norm)
    made = found(network, Classified(wanted), x, space(norm))
    torch.testing.assert_close(made.distance, exact.double(), rtol=0.001, atol=1e-6)
    assert torch.equal(network(made.made).argmax(1), wanted)


# --- what there is no answer to


def test_what_is_wrong_already_is_at_distance_zero_and_not_clean() -> None:
    torch.manual_seed(0)
    network, x = nn.Linear(4, 3), torch.randn(5, 4)
    labels = (network(x).argmax(1) + 1) % 3
    made = found(network, Misclassified(labels), x, space("l2"))
    assert not bool(made.clean.any())
    assert bool(made.found.all())
    assert made.distance.tolist() == [0.0] * 5
    assert torch.equal(made.made, x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_cannot_be_broken_is_infinitely_far(norm: Norm) -> None:
    network = nn.Linear(4, 2)
    network.weight.data.zero_()
    network.bias.data = torch.tensor([1.0, 0.0])
    x = torch.rand(5, 4)
    made = found(network, Misclassified(torch.zeros(5).long()), x, space(norm, 0.0, 1.0), steps=10)
    assert not bool(made.found.any())
    assert made.distance.tolist() == [math.inf] * 5
    assert torch.equal(made.made, x)


def test_a_loss_that_is_flat_at_the_example_is_left_by_a_random_step() -> None:
    class Plateau(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x.abs().amax(1) - 0.1)

    made = found(Plateau(), Hidden(0.5, raised=True), torch.zeros(4, 3), space("linf", -1.0, 1.0))
    torch.testing.assert_close(made.distance, torch.full((4,), 0.6).double(), rtol=0.001, atol=0)


def test_an_example_on_the_boundary_is_broken_next_to_it() -> None:
    network = nn.Linear(2, 2, bias=False)
    network.weight.data = torch.eye(2)
    made = found(network, Misclassified(torch.tensor([0])), torch.tensor([[0.5, 0.5]]), space("l2", 0.0, 1.0))
    assert bool(made.clean.all())
    assert bool(made.found.all())
    assert made.distance.item() < 1e-5


def test_an_adversarial_that_is_known_is_where_the_search_begins_and_never_improved_away() -> None:
    class Hole(nn.Module):
        """Its gradient leads nowhere; only around (0.9, 0.9) is the answer another."""

        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.9).abs().amax(1).gt(0.1).to(x) + 0.0 * x.sum(1)

    x = torch.zeros(2, 2)
    known = Minimum(
        clean=torch.ones(2).bool(), found=torch.tensor([True, False]),
        made=torch.tensor([[0.95, 0.95], [0.0, 0.0]]), distance=torch.tensor([0.95, math.inf]).double(),
        asked=victim(Hole()).asked,
    )  # fmt: skip
    made = minimum(victim(Hole()), Hidden(0.5), x, space("linf", 0.0, 1.0), 5, [0, 1], known=known)
    assert made.found[0].item() is True
    assert 0.8 <= made.distance[0].item() <= 0.8 + 1e-3


def test_drawing_in_stops_just_behind_the_boundary() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    x, index = torch.zeros(1, 1), torch.tensor([0])
    goal = Hidden(0.25, raised=True)
    point = drawn_in(victim(nn.Sequential(network, nn.Flatten(0))), goal, x, space("l2"), index, torch.tensor([[1.0]]))
    assert 0.25 < point.item() < 0.2502


# --- a network, and DDN as it is written


def trained() -> tuple[nn.Module, Tensor, Tensor]:
    data = load_digits()
    x, y = torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(25):
        for rows in torch.randperm(1200).split(64):
            optimizer.zero_grad()
            cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return network, x[1300:1500], y[1300:1500]


def ddn(network: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """arXiv:1811.09600, algorithm 1, untargeted, without quantisation: the smallest norm that broke each example."""
    best, delta, epsilon = torch.full((len(x),), math.inf), torch.zeros_like(x), torch.ones(len(x))
    for step in range(steps):
        point = (x + delta).requires_grad_()
        outputs = network(point)
        (slope,) = torch.autograd.grad(cross_entropy(outputs, y, reduction="sum"), point)
        broken, norm = outputs.argmax(1) != y, delta.norm(dim=1)
        best = torch.where(broken & (norm < best), norm, best)
        length = 0.01 + (1 - 0.01) * (1 + math.cos(math.pi * step / steps)) / 2
        delta = delta + length * slope / slope.norm(dim=1, keepdim=True).clamp(min=1e-12)
        epsilon = torch.where(broken, 0.95 * epsilon, 1.05 * epsilon)
        delta = delta * (epsilon / delta.norm(dim=1).clamp(min=1e-12))[:, None]
        delta = (x + delta).clamp(0, 1) - x
    return best


@pytest.mark.slow
def test_on_a_network_norms_are_those_of_ddn_with_a_thousand_steps() -> None:
    network, x, y = trained()
    made = found(network, Misclassified(y), x, space("l2", 0.0, 1.0), steps=100)
    literal = ddn(network, x, y, 1000)[made.clean].double()
    ours = made.distance[made.clean]
    assert len(ours) >= 180
    assert ours.median() <= 1.0 * literal.median() * 1.001
    assert ours.median() >= 0.9 * literal.median()
    assert (ours <= literal * 1.02).double().mean() >= 0.99
    assert made.asked.gradients <= 2.2 * 100 * len(x)


@pytest.mark.slow
def test_more_steps_come_no_less_near() -> None:
    network, x, y = trained()
    for norm in ("l2", "linf"):
        few, many = (found(network, Misclassified(y), x[:60], space(norm, 0.0, 1.0), steps) for steps in (25, 200))
        assert many.distance.mean() <= few.distance.mean() * 1.0005


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_run_gives_the_same_bits_again_and_hardly_depends_on_the_rows_that_fit(norm: Norm) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4)).double()
    x = torch.rand(12, 10).double()
    goal = Misclassified(network(x).argmax(1))
    first, again, small = (found(network, goal, x, space(norm, 0.0, 1.0), 20, rows) for rows in (512, 512, 9))
    assert torch.equal(first.made, again.made)
    torch.testing.assert_close(first.distance, small.distance, rtol=1e-6, atol=1e-9)


def test_what_is_found_for_an_example_is_the_same_whatever_stands_beside_it() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4)).double()
    x = torch.rand(12, 10).double()
    labels = network(x).argmax(1)
    whole = minimum(victim(network), Misclassified(labels), x, space("l2", 0.0, 1.0), 20, range(12))
    alone = minimum(victim(network), Misclassified(labels[7:8]), x[7:8], space("l2", 0.0, 1.0), 20, [7])
    torch.testing.assert_close(whole.made[7:8], alone.made, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_adversarial_is_legal_in_thousands_of_drawn_cases(norm: Norm) -> None:
    draw = torch.Generator().manual_seed(5)
    seen = 0
    for case in range(51):
        shape = [(7,), (5, 3), (1, 4, 4)][case % 3]
        torch.manual_seed(case)
        numbers = math.prod(shape)
        network = nn.Sequential(nn.Flatten(), nn.Linear(numbers, 12), nn.Tanh(), nn.Linear(12, 4))
        low = torch.rand(shape, generator=draw) * 4 - 3
        high = low + torch.rand(shape, generator=draw) * 3 + 0.01
        x = low + (high - low) * torch.rand(40, *shape, generator=draw)
        x = torch.minimum(torch.maximum(x, low), high)
        unit, free = torch.rand(shape, generator=draw) + 0.05, torch.rand(40, *shape, generator=draw) < 0.8
        within = Space(norm=norm, low=low[None], high=high[None], unit=unit[None], free=free)
        labels = network(x).argmax(1)
        made = found(network, Misclassified(labels), x, within, steps=8, rows=97)
        assert bool(((made.made >= low) & (made.made <= high)).all())
        assert torch.equal(made.made[~free], x[~free])
        change = ((made.made.double() - x.double()) / unit.double()).flatten(1)
        length = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
        torch.testing.assert_close(length[made.found], made.distance[made.found], rtol=1e-9, atol=1e-12)
        assert torch.equal(network(made.made).argmax(1) != labels, made.found)
        seen += len(x)
    assert seen >= 2000
