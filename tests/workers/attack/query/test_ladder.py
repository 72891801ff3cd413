"""Do the attacks of a black box, one after the other, give what a curve needs?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.workers.attack.query.made import SHAPES, any_space, black_box, illegal, network_for, space
from workers.attack.classes import Misclassified
from workers.attack.draws import Draws
from workers.attack.found import Found
from workers.attack.goal import Goal
from workers.attack.query.ladder import stages
from workers.attack.settings import Settings
from workers.attack.space import Norm, Space
from workers.attack.standing import Standing
from workers.attack.victim import Victim


def climbed(
    victim: Victim, goal: Goal, x: Tensor, within: Space, settings: Settings, unlike: Tensor | None = None
) -> Found:
    standing = Standing(victim, goal, x, within, settings)
    fractions: list[float] = []
    for name, weight, run in stages(settings, unlike):
        assert weight > 0
        draws = Draws(range(len(x)))
        standing.stage(name, lambda run=run, draws=draws: run(standing, draws, fractions.append))
    assert all(0 <= each <= 1 for each in fractions)
    return standing.found()


def test_without_queries_and_rows_there_is_noise_alone() -> None:
    names = [[name for name, _, _ in stages(settings, unlike)] for settings, unlike in (
        (Settings(norm="l2", epsilons=(1.0,), queries=0), None),
        (Settings(norm="l2", epsilons=(1.0,), queries=9), None),
        (Settings(norm="l2", epsilons=(1.0,), queries=9), torch.ones(1, 1)),
    )]  # fmt: skip
    assert names == [
        ["noise"], ["noise", "square", "hopskipjump"], ["noise", "unlike-neighbour", "square", "hopskipjump"]
    ]  # fmt: skip


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_plane_every_budget_above_the_distance_breaks_and_none_below(norm: Norm) -> None:
    network = nn.Linear(4, 2)
    network.weight.data = torch.tensor([[0.0] * 4, [1.0, -1.0, 1.0, -1.0]])
    network.bias.data = torch.tensor([1.0, 0.0])
    exact = 0.5 if norm == "l2" else 0.25
    epsilons = (exact * 0.5, exact * 0.9, exact * 1.2, exact * 2)
    settings = Settings(norm=norm, epsilons=epsilons, queries=600)
    made = climbed(black_box(network), Misclassified(torch.zeros(6).long()), torch.zeros(6, 4), space(norm), settings)
    assert made.at.tolist() == [2] * 6
    assert bool((made.distance <= epsilons[2] * (1 + 1e-6)).all())
    assert made.asked.gradients == 0
    assert made.asked.forwards > 0


def test_an_unlike_neighbour_within_the_budget_breaks_what_noise_does_not() -> None:
    class Spike(nn.Module):
        """Only close to one point of a hundred numbers the answer is another."""

        def forward(self, x: Tensor) -> Tensor:
            near = (x - 0.5).abs().amax(1) < 0.05
            return torch.stack([1.0 - near.to(x), near.to(x)], 1)

    settings = Settings(norm="linf", epsilons=(0.2, 0.6), queries=0)
    x, goal = torch.zeros(3, 100), Misclassified(torch.zeros(3).long())
    without = climbed(black_box(Spike()), goal, x, space("linf", 0.0, 1.0), settings)
    assert without.at.tolist() == [2, 2, 2]
    made = climbed(black_box(Spike()), goal, x, space("linf", 0.0, 1.0), settings, torch.full((1, 100), 0.5))
    assert made.at.tolist() == [1, 1, 1]
    assert made.by.tolist() == [1, 1, 1]
    assert bool((made.distance < 0.46).all())


def test_hopskipjump_breaks_what_only_decisions_lead_to() -> None:
    class Decision(nn.Module):
        """One-hot answers: a margin that is flat everywhere."""

        def forward(self, x: Tensor) -> Tensor:
            other = (x @ torch.linspace(1.0, 2.0, 30) > 3.0).to(x)
            return torch.stack([1.0 - other, other], 1)

    exact = 3.0 / torch.linspace(1.0, 2.0, 30).norm().item()
    settings = Settings(norm="l2", epsilons=(exact * 1.15, exact * 20), queries=2000)
    made = climbed(
        black_box(Decision()), Misclassified(torch.zeros(4).long()), torch.zeros(4, 30), space("l2", -1, 1), settings
    )
    assert made.at.tolist() == [0] * 4
    assert {made.stages[place].name for place in made.by.tolist()} <= {"square", "hopskipjump"}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_run_gives_the_same_bits_again(norm: Norm) -> None:
    network, x = network_for((6,)), torch.rand(9, 6)
    goal = Misclassified(network(x).argmax(1))
    settings = Settings(norm=norm, epsilons=(0.1, 0.4, 1.0), queries=80)
    first, again = (climbed(black_box(network), goal, x, space(norm, 0, 1), settings, x.flip(0)) for _ in range(2))
    assert torch.equal(first.made, again.made)
    assert torch.equal(first.at, again.at)
    assert [stage.asked for stage in first.stages] == [stage.asked for stage in again.stages]


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_adversarial_is_legal_in_thousands_of_drawn_cases(norm: Norm) -> None:
    draw = torch.Generator().manual_seed(4)
    broken = 0
    for case in range(12):
        shape = SHAPES[case % len(SHAPES)]
        network = network_for(shape, case)
        within, x = any_space(norm, shape, 60, draw)
        goal = Misclassified(network(x).argmax(1))
        settings = Settings(norm=norm, epsilons=(0.2, 0.7, 2.0, 6.0), queries=40)
        made = climbed(black_box(network, 97), goal, x, within, settings, torch.randn(20, *shape, generator=draw))
        some = made.at < 4
        epsilon = torch.tensor(settings.epsilons)[made.at[some]]
        assert illegal(within.take(some.nonzero().flatten()), x[some], made.made[some], epsilon) == 0
        assert torch.equal(network(made.made).argmax(1) != goal.labels, some)
        broken += int(some.sum())
    assert broken >= 300
