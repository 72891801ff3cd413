"""Does the ladder find what there is to be found, legally, and the same however it is asked?"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.workers.attack import cases
from workers.attack.classes import Classified, Misclassified
from workers.attack.found import Found
from workers.attack.frontier import Resumed, attack
from workers.attack.named import fgsm, pgd
from workers.attack.numbers import Hidden, Shifted
from workers.attack.space import Norm, Space


@cache
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    x, y = cases.digits()
    return cases.trained(cases.small_cnn(), x[:1200], y[:1200]), x[1200:1260], y[1200:1260]


def attacked(network: nn.Module, x: Tensor, y: Tensor, *epsilons: float, rows: int = 512, **more: object) -> Found:
    norm: Norm = more.pop("norm", "linf")  # type: ignore[assignment]
    return attack(
        cases.victim(network, rows), Misclassified(y), x, cases.space(norm),
        cases.settings(*epsilons, norm=norm, **more), range(len(x)),
    )  # type: ignore[arg-type]  # fmt: skip


WEIGHT = [[1.0, -2.0, 0.5, 0.0], [-1.0, 1.0, 0.5, 2.0]]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_model_breaks_just_above_its_margin_by_the_dual_norm(norm):
    torch.manual_seed(1)
    x = 0.3 + 0.4 * torch.rand(40, 4)
    network = cases.linear(WEIGHT)
    y = network(x).argmax(1)
    apart = torch.tensor(WEIGHT[0]) - torch.tensor(WEIGHT[1])
    dual = apart.abs().sum() if norm == "linf" else apart.norm()
    exact = ((x @ apart).abs() / dual).detach()
    grid = tuple((torch.arange(1, 400) * 0.001).tolist())
    found = attack(
        cases.victim(network), Misclassified(y), x, replace(cases.space(norm, -9.0, 9.0)),
        cases.settings(*grid, norm=norm, queries=0), range(40),
    )  # fmt: skip
    inside = exact < 0.39
    smallest = torch.tensor(grid)[found.at[inside]]
    assert bool((smallest >= exact[inside] - 1e-5).all())
    assert bool((smallest <= exact[inside] * 1.01 + 0.0011).all())
    assert bool((found.at[exact > 0.4] == len(grid)).all())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_is_no_weaker_than_plain_pgd_and_fgsm(norm):
    network, x, y = digits()
    epsilons = (0.05, 0.1, 0.15) if norm == "linf" else (0.3, 0.6, 0.9)
    ours = attacked(network, x, y, *epsilons, norm=norm, queries=300).robust().sum(0)
    given_settings = cases.settings(*epsilons, norm=norm)
    victim, goal, space = cases.victim(network), Misclassified(y), cases.space(norm)
    for name, singles in (
        ("fgsm", fgsm(victim, goal, x, space, given_settings)),
        ("pgd", pgd(victim, goal, x, space, given_settings, range(len(x)))),
    ):
        theirs = torch.cat([single.robust().sum(0) for single in singles])
        assert bool((ours <= theirs).all()), (name, ours, theirs)


@pytest.mark.slow
def test_a_curve_says_of_each_budget_what_an_attack_at_that_budget_alone_says():
    network, x, y = digits()
    epsilons = (0.02, 0.05, 0.08, 0.12, 0.2)
    curve = attacked(network, x, y, *epsilons, queries=200).robust().sum(0)
    single = torch.stack([attacked(network, x, y, epsilon, queries=200).robust().sum() for epsilon in epsilons])
    assert bool((curve - single <= 1).all()), (curve, single)


@pytest.mark.slow
def test_everything_it_gives_is_legal_and_is_what_it_says():
    network, x, y = digits()
    for norm, epsilons in (("linf", (0.03, 0.1)), ("l2", (0.2, 0.8))):
        found = attacked(network, x, y, *epsilons, norm=norm, queries=100)
        broken = (found.at >= 0) & (found.at < 2)
        assert int(broken.sum()) > 10
        budget = torch.tensor(epsilons, dtype=torch.float64)[found.at[broken]]
        assert bool((found.distance[broken] <= budget * (1 + 1e-6)).all())
        assert float(found.made.min()) >= 0
        assert float(found.made.max()) <= 1
        assert bool((network(found.made[broken]).argmax(1) != y[broken]).all())
        assert torch.equal(found.made[~broken], x[~broken])


@pytest.mark.slow
@given(
    norm=st.sampled_from(["linf", "l2"]), seed=st.integers(0, 10**6), epsilon=st.floats(0.01, 3.0),
    shape=st.sampled_from([(3,), (2, 4), (1, 4, 4)]), masked=st.booleans(),
)  # fmt: skip
@drawn(max_examples=60)
def test_whatever_bounds_units_and_masks_no_result_leaves_them(norm, seed, epsilon, shape, masked):
    draws = torch.Generator().manual_seed(seed)
    low = -torch.rand(1, *shape, generator=draws)
    high = torch.rand(1, *shape, generator=draws) + 0.1
    unit = 0.1 + torch.rand(1, *shape, generator=draws)
    free = torch.rand(8, *shape, generator=draws) < 0.6 if masked else None
    x = low + (high - low) * torch.rand(8, *shape, generator=draws)
    size = int(np.prod(shape))
    network = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.Tanh(), nn.Linear(8, 3))
    for each in network.parameters():
        each.data = torch.randn(each.shape, generator=draws)
    space = Space(norm=norm, low=low, high=high, unit=unit, free=free)
    y = network(x).argmax(1)
    found = attack(
        cases.victim(network), Misclassified(y), x, space,
        cases.settings(epsilon / 2, epsilon, norm=norm, steps=8, queries=20), range(8),
    )  # fmt: skip
    change = (found.made - x) / unit
    length = change.abs().flatten(1).amax(1) if norm == "linf" else change.flatten(1).norm(dim=1)
    budgets = torch.tensor([epsilon / 2, epsilon, 0.0])[found.at]
    assert bool((length <= budgets * (1 + 1e-5) + 1e-6).all())
    assert bool(((found.made >= low) & (found.made <= high)).all())
    if free is not None:
        assert torch.equal(found.made[~free], x[~free])


@pytest.mark.slow
def test_the_same_request_gives_the_same_bits_and_chunks_change_no_draw():
    network, x, y = digits()
    one, two = (attacked(network, x, y, 0.05, 0.1, queries=100) for _ in range(2))
    assert torch.equal(one.made, two.made)
    assert torch.equal(one.at, two.at)
    alone = attack(
        cases.victim(network), Misclassified(y[7:8]), x[7:8], cases.space(), cases.settings(0.05, 0.1, queries=100), [7]
    )
    assert alone.at[0] == one.at[7]
    few = attacked(network, x, y, 0.05, 0.1, queries=100, rows=20)
    assert int((few.at != one.at).sum()) <= 1


@pytest.mark.slow
def test_an_attack_that_was_cut_off_goes_on_to_the_same_end():
    network, x, y = digits()
    kept: list[Resumed] = []
    given_ = (cases.victim(network), Misclassified(y), x, cases.space(), cases.settings(0.05, 0.1, queries=50))
    whole = attack(*given_, range(len(x)), kept=kept.append)
    assert len(kept) == len(whole.stages)
    again = attack(*given_, range(len(x)), begun=kept[1])
    assert torch.equal(again.made, whole.made)
    assert again.asked == whole.asked
    assert [stage.name for stage in again.stages] == [stage.name for stage in whole.stages]


def test_what_is_asked_of_the_network_is_counted():
    network, x, y = digits()
    rows = 0

    def counting(made: Tensor, _index: Tensor) -> Tensor:
        nonlocal rows
        rows += len(made)
        return network(made)

    victim = cases.victim(network)
    victim.network = counting
    found = attack(victim, Misclassified(y), x, cases.space(), cases.settings(0.05, queries=30), range(len(x)))
    assert found.asked.forwards + len(x) == rows  # and once each as they are
    assert 0 < found.asked.gradients < found.asked.forwards


def test_what_is_wrong_without_an_attack_is_robust_nowhere_and_is_not_attacked():
    network, x, y = digits()
    wrong = y.clone()
    wrong[:5] = (network(x[:5]).argmax(1) + 1) % 10
    found = attacked(network, x, wrong, 0.05, queries=0)
    assert not bool(found.clean[:5].any())
    assert bool((found.at[:5] == -1).all())
    assert torch.equal(found.made[:5], x[:5])
    assert not bool(found.robust()[:5].any())


def test_a_targeted_attack_ends_in_the_class_that_is_wanted():
    network, x, _ = digits()
    wanted = (network(x).argmax(1) + 1) % 10
    found = attack(
        cases.victim(network), Classified(wanted), x, cases.space(), cases.settings(0.1, 0.4, queries=50), range(len(x))
    )
    reached = found.at < 2
    assert int(reached.sum()) > 30
    assert bool((network(found.made[reached]).argmax(1) == wanted[reached]).all())


def test_a_regression_is_moved_just_as_far_as_its_slope_allows():
    network = cases.linear([[2.0, -1.0, 1.0]])
    x = torch.full((4, 3), 0.5)
    victim = cases.victim(network)
    victim.network = lambda made, _index: network(made).squeeze(1)
    before = network(x).squeeze(1).detach()
    found = attack(
        victim, Shifted(before, 1.0), x, cases.space(), cases.settings(0.2, 0.24, 0.26, 0.4, queries=10), range(4)
    )
    assert found.at.tolist() == [2] * 4  # 4 per unit of epsilon: more than 1 from 0.25 on
    shift = network(found.made).squeeze(1) - before
    assert bool((shift.abs() > 1).all())


def test_an_anomaly_is_hidden_where_its_score_can_be_brought_to_the_threshold():
    network = cases.linear([[1.0, 1.0]])
    victim = cases.victim(network)
    victim.network = lambda made, _index: network(made).squeeze(1)
    x = torch.tensor([[0.9, 0.9], [0.6, 0.6]])
    found = attack(victim, Hidden(1.0), x, cases.space(), cases.settings(0.05, 0.11, 0.41, queries=10), range(2))
    assert found.at.tolist() == [2, 1]


def test_a_black_box_is_broken_by_asking_alone():
    network, x, y = digits()
    victim = cases.victim(network, black_box=True)
    found = attack(victim, Misclassified(y), x, cases.space(), cases.settings(0.3, queries=300), range(len(x)))
    assert found.asked.gradients == 0
    assert int(found.robust().sum()) < 20


def test_numbers_that_are_not_finite_break_nothing_and_stop_nothing():
    network, x, y = digits()
    victim = cases.victim(network)

    def holed(made: Tensor, _index: Tensor) -> Tensor:
        out = network(made)
        return torch.where(made.flatten(1).sum(1, keepdim=True) > 20, torch.nan, out)

    victim.network = holed
    found = attack(victim, Misclassified(y), x, cases.space(), cases.settings(0.1, queries=30), range(len(x)))
    broken = (found.at == 0) & found.clean
    assert bool(torch.isfinite(holed(found.made, torch.arange(len(x)))[broken]).all())


@pytest.mark.parametrize("epsilons", [(), (0.0,), (0.2, 0.1), (0.1, 0.1)])
def test_budgets_that_do_not_ascend_are_refused(epsilons):
    network, x, y = digits()
    with pytest.raises(ValueError, match="ascend"):
        attacked(network, x, y, *epsilons)


def test_examples_outside_the_bounds_are_refused():
    network, x, y = digits()
    with pytest.raises(ValueError, match="outside the bounds"):
        attacked(network, x * 255, y, 0.1)


@pytest.mark.slow
@pytest.mark.skipif("LAMINA_TEST_DATA" not in os.environ, reason="the public network is not here")
def test_on_the_public_network_it_is_as_strong_as_autoattack():
    folder = Path(os.environ["LAMINA_TEST_DATA"]) / "mnist_cnn_a_adv"
    network = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    data = np.load(folder / "images200.npz")
    x, y = torch.from_numpy(data["inputs"]), torch.from_numpy(data["labels"])
    found = attacked(network, x, y, 0.3)
    assert float(found.clean.float().mean()) == pytest.approx(0.975)
    assert int(found.robust().sum()) <= 153
    assert found.asked.gradients < 80_000
    assert found.asked.forwards < 200_000
