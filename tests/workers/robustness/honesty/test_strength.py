"""Does each comparison count what it says it counts? On lines and planes, with attacks whose answers are prepared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.workers.robustness.honesty.victims import EPSILONS, examined, trained
from workers.attack.classes import Misclassified
from workers.attack.found import Found, Stage
from workers.attack.goal import Goal
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.victim import Asked, Victim
from workers.recheck.legal import illegal
from workers.robustness.honesty import strength
from workers.robustness.honesty.examined import Attack, Examined, mixed
from workers.robustness.honesty.verdict import NotRun, Seen


def line(positions: Sequence[float], by: Attack | None = None) -> Examined:
    """Examples on a line in -10 to 10, class 0 below 0 and class 1 from there, all of class 0; 20 numbers are not read.

    An example at -p breaks at the budget p and no smaller.
    """
    x = torch.cat((torch.tensor(positions)[:, None], torch.zeros(len(positions), 20)), dim=1)
    bounds = (torch.tensor(-10.0), torch.tensor(10.0))
    return Examined(
        victim=Victim(network=lambda made, _: torch.stack((-made[:, 0], made[:, 0]), dim=1)),
        goal=Misclassified(torch.zeros(len(x), dtype=torch.int64)), x=x,
        space=Space(norm="linf", low=bounds[0], high=bounds[1], unit=torch.tensor(1.0)),
        settings=Settings(norm="linf", epsilons=(1.0, 2.0, 4.0), steps=5, queries=10),
        seeds=tuple(mixed(at, "line") for at in range(len(x))), attack=by or saying(), output="logits", classes=True,
    )  # fmt: skip


def finding(of: Examined, at: Sequence[int], by: Sequence[int] | None = None) -> Found:
    """That example breaks at these places of the budgets (3: at none; -1: without an attack), just across the border.

    by: 0 for the stage of gradients, 1 for the search by outputs.
    """
    places, epsilons = torch.tensor(at), of.settings.epsilons
    broke = (places >= 0) & (places < len(epsilons))
    made = of.x.clone()
    made[broke, 0] = 0.001
    stages = tuple(
        Stage(name=name, asked=Asked(10, gradients), broke=(0, 0, 0))
        for name, gradients in (("apgd", 5), ("square", 0))
    )
    found_by = torch.tensor(by if by is not None else [0] * len(at))
    return Found(
        epsilons=epsilons, clean=places >= 0, at=places, made=made,
        distance=of.space.distance(of.x, made).double(), by=torch.where(broke, found_by, -1), stages=stages,
    )  # fmt: skip


def saying(*rounds: Callable[[int], list[int]]) -> Attack:
    """An attack whose answers are prepared: at which place each of so many examples breaks; nowhere where not named."""

    def attack(
        victim: Victim, goal: Goal, x: Tensor, space: Space, settings: Settings, seeds: Sequence[int],
        told: object = None,
    ) -> Found:  # fmt: skip
        at = torch.tensor(rounds[0](len(x)) if rounds else [len(settings.epsilons)] * len(x))
        everywhere = torch.ones(len(x), dtype=torch.bool)
        return Found(
            epsilons=settings.epsilons, clean=everywhere, at=at, made=x, distance=torch.zeros(len(x)).double(),
            by=torch.full((len(x),), -1), stages=(),
        )  # fmt: skip

    return attack


def first(broken: int, at: int = 0, otherwise: int = 3) -> Callable[[int], list[int]]:
    """The first so many break there."""
    return lambda n: [at] * broken + [otherwise] * (n - broken)


def said(seen: Seen) -> tuple[str, float | None, int | None]:
    return seen.verdict, seen.value, seen.n


def test_a_curve_stands_on_adversarials_that_break_within_their_budgets() -> None:
    of = line([-0.5, -1.5, -3.0, -9.0])
    assert said(strength.curve(of, finding(of, [0, 1, 2, 3]))) == ("pass", 1.0, 3)


def test_an_adversarial_that_is_none_or_too_far_fails_the_curve() -> None:
    of = line([-0.5, -1.5, -3.0, -9.0])
    found = finding(of, [0, 1, 2, 3])
    none = found.made.clone()
    none[1, 0] = -0.1
    assert said(strength.curve(of, replace(found, made=none))) == ("fail", 2 / 3, 3)
    assert said(strength.curve(of, finding(of, [0, 0, 2, 3]))) == (
        "fail",
        2 / 3,
        3,
    )  # 1.5 away, and said to be within 1


def test_a_tie_that_falls_the_other_way_is_a_warning() -> None:
    of = line([-0.5, -9.0])
    found = finding(of, [0, 3])
    tie = found.made.clone()
    tie[0, 0] = 0.0  # both logits are zero, and the first comes first
    assert said(strength.curve(of, replace(found, made=tie))) == ("warn", 0.0, 1)


def test_a_step_finds_what_the_attack_missed() -> None:
    """The second breaks at 1.5 and is said to hold at 4; the third breaks at 3, as is said."""
    of = line([-0.5, -1.5, -3.0])
    seen = strength.one_step(of, finding(of, [0, 3, 2]))
    assert said(seen) == ("fail", 0.5, 2)
    assert strength.one_step(of, finding(of, [0, 1, 2])).verdict == "pass"


def test_a_step_is_not_tried_where_nothing_holds() -> None:
    of = line([-0.5])
    with pytest.raises(NotRun, match="smallest budget"):
        strength.one_step(of, finding(of, [0]))


def test_noise_that_breaks_what_held_fails() -> None:
    """Half of all signs lead across the border, at 0.1, within a budget of 4."""
    of = line([-0.1, -3.5])
    assert strength.noise(of, finding(of, [3, 2])).verdict == "fail"


def test_noise_that_breaks_nearly_all_that_the_attack_broke_is_a_warning() -> None:
    of = line([-0.5, -0.6, -9.0])
    assert said(strength.noise(of, finding(of, [0, 0, 3]))) == ("warn", 1.0, 2)


def test_noise_says_nothing_in_few_dimensions_or_where_nothing_broke() -> None:
    of = line([-9.0, -9.0])
    with pytest.raises(NotRun, match="broke no example"):
        strength.noise(of, finding(of, [3, 3]))
    narrow = replace(of, space=replace(of.space, free=torch.arange(21)[None] < 15))
    with pytest.raises(NotRun, match="few dimensions"):
        strength.noise(narrow, finding(of, [3, 3]))


@pytest.mark.parametrize(
    ("more", "verdict", "gain"), [(0, "pass", 0.0), (1, "warn", 0.1 * 0.8), (4, "fail", 0.4 * 0.8)]
)
def test_what_a_doubled_budget_gains_is_counted_in_points_of_all_examples(more: int, verdict: str, gain: float) -> None:
    """80 of 100 hold at 4, of which 10 are attacked again."""
    of = line([-9.0] * 100, saying(first(more, otherwise=1)))
    found = finding(of, [-1] * 20 + [3] * 80)
    seen = strength.doubled(of, found)
    assert said(seen) == (verdict, pytest.approx(gain), 10)
    assert (seen.low or 0) <= gain <= (seen.high or 0)


def test_nothing_is_gained_where_nothing_holds() -> None:
    of = line([-0.5] * 3)
    assert said(strength.doubled(of, finding(of, [0] * 3))) == ("pass", 0.0, 0)


@pytest.mark.parametrize(
    ("blind", "white", "by", "verdict", "value"),
    [
        ([3] * 10, [2] * 10, 0, "pass", -1.0),  # gradients only
        ([2] * 10, [2] * 10, 0, "pass", 0.0),  # the same
        ([1] * 8 + [3] * 2, [3] * 10, 0, "fail", 0.8),  # outputs only
        ([1] + [3] * 9, [3] * 10, 0, "warn", 0.1),  # once: chance
        ([2] * 10, [2] * 10, 1, "fail", 1.0),  # what a search broke, no gradient did
    ],
)  # fmt: skip
def test_a_blind_search_is_compared_budget_by_budget(
    blind: list[int], white: list[int], by: int, verdict: str, value: float
) -> None:
    of = line([-9.0] * 10, saying(lambda n: blind[:n]))
    assert said(strength.black_box(of, finding(of, white, [by] * 10))) == (verdict, pytest.approx(value), 10)


def test_a_blind_search_is_compared_with_nothing_where_no_gradient_was_taken() -> None:
    of = line([-9.0] * 2)
    found = finding(of, [3, 3])
    with pytest.raises(NotRun, match="no stage"):
        strength.black_box(of, replace(found, stages=found.stages[1:]))


def test_an_unlimited_attack_that_misses_what_another_example_shows_fails() -> None:
    of = line([-9.0] * 4 + [3.0])
    found = finding(of, [3] * 4 + [-1])
    assert said(strength.unlimited(of, found)) == ("fail", 1.0, 4)
    assert strength.unlimited(replace(of, attack=saying(first(4, otherwise=1))), found).verdict == "pass"


def test_where_no_example_shows_that_there_is_anything_to_find_it_is_a_warning() -> None:
    of = line([-9.0] * 4)
    assert strength.unlimited(of, finding(of, [3] * 4)).verdict == "warn"
    only_unread = replace(of, space=replace(of.space, free=torch.arange(21)[None] > 0))
    shown = line([-9.0] * 4 + [3.0])
    frozen = replace(shown, space=only_unread.space)
    assert strength.unlimited(frozen, finding(shown, [3] * 4 + [-1])).verdict == "warn"


def test_the_telling_budget_is_the_one_nearest_to_a_half() -> None:
    of = line([-9.0] * 4)
    assert strength.telling(finding(of, [0, 1, 2, 3])) == 1  # 3, 2 and 1 of 4 hold
    assert strength.telling(finding(of, [0, 0, 0, 0])) == 0
    assert strength.telling(finding(of, [3, 3, 3, 3])) == 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("masked", [False, True])
def test_random_inputs_are_legal_and_as_far_as_they_may_be(norm: Literal["linf", "l2"], *, masked: bool) -> None:
    of = examined(trained(hardened=False), examples=5)
    free = torch.arange(64).reshape(1, 64) % 3 > 0 if masked else None
    unit = torch.linspace(0.5, 2, 64)[None]
    of = replace(of, space=replace(of.space, norm=norm, unit=unit, free=free), x=of.x * 0.2 + 0.4)
    made, rows = of.around(3, 0.05, 40, "test"), of.x[[3] * 40]
    arrays = [each.numpy() for each in (rows, made)]
    marks = None if free is None else free.numpy()
    found = illegal(*arrays, np.full(40, 0.05), norm, np.asarray(0.0), np.asarray(1.0), unit.numpy(), marks)
    assert found == [None] * 40
    distances = of.space.take(torch.full((40,), 3)).distance(rows, made)
    assert float(distances[::2].min()) == pytest.approx(0.05, rel=1e-4)
    assert torch.equal(made, of.around(3, 0.05, 40, "test"))
    assert not torch.equal(made, of.around(3, 0.05, 40, "other"))


def test_the_few_that_are_looked_at_hang_on_their_seeds_alone() -> None:
    of = examined(trained(hardened=False), examples=20)
    few = of.few(of.index, 5)
    assert few.tolist() == sorted(few.tolist())
    assert torch.equal(of.few(of.index.flip(0), 5), few)
    assert len(of.few(torch.tensor([3, 1]), 5)) == 2
    assert of.settings.epsilons == EPSILONS
