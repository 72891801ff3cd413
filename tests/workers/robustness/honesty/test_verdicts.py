"""Does each way of hiding from an attack raise its flag, and does an honest network raise none?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.workers.robustness.honesty.victims import MASKED, examined, trained
from workers.attack.classes import Misclassified
from workers.attack.found import Found, Stage
from workers.attack.goal import Goal
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.victim import Asked, Victim
from workers.robustness.honesty.checks import CHECKS, checks
from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.features import last_features
from workers.robustness.honesty.gradients import detached
from workers.robustness.honesty.verdict import Verdict


def found_by(of: Examined) -> Found:
    """What the attack finds, by outputs alone where the graph is cut."""
    victim = replace(of.victim, black_box=of.victim.black_box or detached(of) is not None)
    victim.whose()
    return of.attack(victim, of.goal, of.x, of.space, of.settings, of.seeds)


@cache
def verdicts(name: str) -> dict[str, Verdict]:
    """Of one of the networks."""
    honest = {"standard": False, "hardened": True}
    network = trained(hardened=honest[name]) if name in honest else MASKED[name]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        of = examined(network)
        return {each.name: each for each in checks(of, found_by(of))}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["standard", "hardened"])
def test_an_honest_network_raises_no_flag(name: str) -> None:
    found = verdicts(name)
    assert list(found) == list(CHECKS)
    assert {each.name: (each.verdict, each.observed) for each in found.values() if each.verdict != "pass"} == {}


@pytest.mark.slow
@pytest.mark.skipif("LAMINA_TEST_DATA" not in os.environ, reason="the public network is not here")
def test_a_public_network_trained_against_attacks_raises_no_flag() -> None:
    folder = Path(os.environ["LAMINA_TEST_DATA"]) / "mnist_cnn_a_adv"
    network = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    ).eval().requires_grad_(requires_grad=False)  # fmt: skip
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    data = np.load(folder / "images200.npz")
    x, y = torch.from_numpy(data["inputs"][:40]), torch.from_numpy(data["labels"][:40])
    victim = Victim(network=lambda made, _: network(made))
    of = replace(
        examined(trained(hardened=False), examples=40), victim=victim, goal=Misclassified(y), x=x, precise=None,
        features=last_features(victim.network, network, x[:1]),
        settings=Settings(norm="linf", epsilons=(0.1, 0.3), steps=30, queries=500),
    )  # fmt: skip
    found = checks(of, found_by(of))
    assert {each.name: (each.verdict, each.observed) for each in found if each.verdict != "pass"} == {}


FLAGS = {
    "quantised": ("gradients there", "black box"),
    "saturated": ("softmax not saturated",),
    "random": ("same answer twice", "curve"),
    "shattered": ("gradients lead",),
    "replaced": ("finite differences", "gradients lead", "black box"),
    "detached": ("graph to the input",),
    "probabilities": ("logits or probabilities",),
    "coupled": ("alone and in a batch",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAGS)
def test_each_way_of_hiding_raises_its_own_flag(name: str) -> None:
    found = verdicts(name)
    assert {flag: found[flag].verdict for flag in FLAGS[name]} == dict.fromkeys(FLAGS[name], "fail")


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAGS)
def test_what_was_not_run_says_what_it_would_take(name: str) -> None:
    for each in verdicts(name).values():
        if each.verdict == "not run":
            assert "it takes" in each.because
            assert each.observed == ""
        else:
            assert each.observed
            assert each.because


def of_noise(
    victim: Victim, goal: Goal, x: Tensor, space: Space, settings: Settings, seeds: Sequence[int],
    told: object = None, **_: object,
) -> Found:  # fmt: skip
    """An attack that looks at one random input of each example and budget."""
    asked, epsilons = victim.whose(), settings.epsilons
    index = torch.arange(len(x))
    clean = ~goal.broken(victim.outputs(x, index), index)
    at, made = torch.where(clean, len(epsilons), -1), x.clone()
    for place in reversed(range(len(epsilons))):
        within = torch.full((len(x),), epsilons[place], dtype=torch.float64)
        draws = torch.Generator().manual_seed(seeds[0] % 2**32 + place)
        tried = space.project(x, x + epsilons[place] * torch.randn(x.shape, generator=draws).sign(), within)
        broke = clean & goal.broken(victim.outputs(tried, index), index)
        at, made = torch.where(broke, place, at), torch.where(broke[:, None], tried, made)
    stage = Stage(name="noise", asked=Asked(asked.forwards, 1), broke=(0,) * len(epsilons))
    by = torch.where(at < len(epsilons), 0, -1)
    return Found(
        epsilons=epsilons, clean=clean, at=at, made=made, distance=space.distance(x, made).double(), by=by,
        stages=(stage,),
    )  # fmt: skip


@pytest.mark.slow
def test_an_attack_that_is_noise_is_found_out_by_three_checks() -> None:
    """A step, chance and the planted adversarials tell it."""
    of = examined(trained(hardened=False), by=of_noise)
    found = {each.name: each.verdict for each in checks(of, found_by(of))}
    assert [found[name] for name in ("one step", "random noise", "planted adversarial")] == ["fail"] * 3


@pytest.mark.slow
def test_attacks_by_gradients_alone_miss_what_is_planted_behind_rounding() -> None:
    of = examined(MASKED["quantised"]())
    of = replace(of, settings=replace(of.settings, queries=0))
    (planted,) = (
        each for each in checks(of, found_by(of), wanted={"planted adversarial"}) if each.verdict != "not run"
    )
    assert planted.verdict == "fail"


def test_a_black_box_is_told_which_checks_take_its_weights() -> None:
    of = examined(trained(hardened=False), examples=10)
    of = replace(of, victim=replace(of.victim, black_box=True), settings=replace(of.settings, queries=50))
    wanted = {"graph to the input", "gradients there", "finite differences", "gradients lead", "one step"}
    found = {each.name: each for each in checks(of, found_by(of), wanted=wanted)}
    assert all("black box gives no gradients" in found[name].because for name in wanted)
    assert all("not asked for" in found[name].because for name in found if name not in wanted)


@pytest.mark.slow
def test_the_same_checks_say_the_same_again_whatever_the_global_seed() -> None:
    of = examined(trained(hardened=False), examples=12)
    found = found_by(of)
    first = checks(of, found)
    torch.manual_seed(torch.seed() % 1000)
    assert checks(of, found) == first


def test_checks_leave_the_count_of_the_attack_alone() -> None:
    of = examined(trained(hardened=False), examples=10)
    found = found_by(of)
    before = (found.asked, of.victim.asked.forwards, of.victim.asked.gradients)
    checks(of, found)
    assert (found.asked, of.victim.asked.forwards, of.victim.asked.gradients) == before


def test_progress_rises_from_nothing_and_a_refusal_to_go_on_ends_it() -> None:
    class Enough(Exception):
        """Told often enough."""

    of = examined(trained(hardened=False), examples=10)
    found, heard = found_by(of), []

    def told(fraction: float, stage: str) -> None:
        heard.append((fraction, stage))
        if fraction > 0.5:
            raise Enough

    with pytest.raises(Enough):
        checks(of, found, told)
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0


def test_every_gradient_zero_is_the_share_one_with_its_interval() -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x[:, :10] > 2).float() + 0 * x[:, :10] + torch.arange(10)

    of = examined(Flat(), examples=20)
    found = replace(
        found_by(examined(trained(hardened=False), examples=20)), clean=torch.ones(20, dtype=torch.bool)
    )  # fmt: skip
    seen = {each.name: each for each in checks(of, found, wanted={"gradients there"})}["gradients there"]
    assert (seen.verdict, seen.value, seen.n) == ("fail", 1.0, 20)
    assert seen.low == pytest.approx(0.8389, abs=1e-4)  # Wilson, 20 of 20
