"""Kernel SHAP: exact Shapley values by their definition, drawn coalitions against captum, and honest errors."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.references.suffix import shapley_values
from tests.workers.suffix.made import attributed, chunks_of, prepared
from workers.occlusion.kernel_shap import MOST_PARTS, KernelShap
from workers.occlusion.shapley import (
    Coalitions,
    TooFewCoalitions,
    drawn_coalitions,
    every_coalition,
    shapley,
)
from workers.sweep.completeness import completeness
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target

CASES = {
    "table": (networks.mlp, (6,), (1,)),
    "image": (networks.cnn, (1, 12, 12), (0, 6, 6)),
    "series": (networks.lstm, (7, 5), (1, 0)),
    "tokens": (lambda: networks.ready(networks.Attention()), (6, 8), (1, 0)),
}


def test_a_product_is_shared_equally_between_its_factors():
    x = torch.tensor([[3.0, 5.0]], dtype=torch.float64)
    ready = prepared(networks.Squares().double().eval(), x, torch.zeros_like(x), Target.value(), inputs=True)
    made = attributed(KernelShap(samples=4, windows=((1,),)), ready)
    torch.testing.assert_close(made["input"], torch.tensor([[15.0, 15.0]], dtype=torch.float64), rtol=1e-14, atol=0)
    assert KernelShap(samples=4, windows=((1,),)).complete(ready, ready.probe.tap("input"))


@pytest.mark.parametrize("case", CASES)
def test_all_coalitions_give_the_shapley_values_of_the_definition(case):
    make, shape, window = CASES[case]
    network, x, baseline = make(), networks.points(2, *shape), 0.3 * networks.points(1, *shape, seed=4)
    ready = prepared(network, x, baseline, Target.classes([1, 2]), inputs=True)
    method = KernelShap(samples=256, windows=(window,))
    made = attributed(method, ready, cut=chunks_of(17))
    boxes = parts_of(shape, window)
    for i, label in enumerate((1, 2)):

        def worth(members: frozenset[int], i: int = i, label: int = label) -> float:
            mixed = baseline.clone()
            for part in members:
                mixed[0][boxes[part]] = x[i][boxes[part]]
            with torch.no_grad():
                return float(network(mixed)[0, label])

        for box, expected in zip(boxes, shapley_values(worth, len(boxes)), strict=True):
            assert made["input"][i][box].flatten().tolist() == pytest.approx(
                [expected] * made["input"][i][box].numel(), abs=1e-10
            )
    errors = method.standard_errors(ready, made.plan, seed=7)
    assert not bool(errors["input"].any())


def parts_of(shape: tuple[int, ...], window: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """The boxes of a grid, by loops."""
    boxes: list[tuple[slice, ...]] = [()]
    for length, wide in zip(shape, window, strict=True):
        step = wide or length
        boxes = [(*box, slice(at, min(at + step, length))) for box in boxes for at in range(0, length, step)]
    return boxes


@pytest.mark.parametrize("samples", [40, 256])
@pytest.mark.parametrize("case", CASES)
def test_captum_fits_the_same_coalitions_to_the_same_values(case, samples):
    make, shape, window = CASES[case]
    x = networks.points(2, *shape)
    ready = prepared(make(), x, torch.zeros_like(x[:1]), Target.classes([1, 2]), inputs=True)
    method = KernelShap(samples=samples, windows=(window,))
    made = attributed(method, ready)
    (check,) = method.verify(ready, made.plan, made.whole, 7)
    assert check.difference is not None, check.reason
    assert check.difference < 2e-5  # captum fits in float32, and its ends have a large weight and not an infinite one


def test_drawn_coalitions_add_up_and_come_closer_with_more_of_them():
    network, x = networks.mlp(), networks.points(4, 6)
    ready = prepared(network, x, torch.zeros_like(x[:1]), Target.classes(1), inputs=True)
    exact = attributed(KernelShap(samples=64, windows=((1,),)), ready)["input"]
    gaps = []
    for samples in (24, 60):
        made = attributed(KernelShap(samples=samples, windows=((1,),)), ready)
        assert completeness(made.totals.signed("input"), made.ends).worst < 1e-12
        gaps.append(float((made["input"] - exact).square().mean()))
    assert gaps[1] < gaps[0]


def test_the_standard_error_is_that_of_other_draws():
    """Over 200 seeds, the spread of each part's value is what one run says of itself, within a quarter."""
    draws, players = torch.Generator().manual_seed(1), 8
    pairwise = torch.randn(players, players, generator=draws, dtype=torch.float64)

    def fitted(seed: int):
        coalitions = drawn_coalitions(players, 120, seed)
        z = coalitions.members.double()
        worth = torch.einsum("ni,ij,nj->n", z, pairwise, z) + torch.sin(3 * z.sum(1) * z[:, 0])
        full = float(pairwise.sum() + torch.sin(torch.tensor(24.0, dtype=torch.float64)))
        return shapley(coalitions, worth, full)

    runs = [fitted(seed) for seed in range(200)]
    spread = torch.stack([run.values for run in runs]).std(0)
    said = torch.stack([run.standard_error for run in runs]).mean(0)
    assert bool(((said / spread - 1).abs() < 0.25).all()), said / spread


def test_drawn_coalitions_are_fitted_as_the_constrained_least_squares_say():
    """By the whole system of the optimum and of its multiplier at once, where the engine eliminates."""
    coalitions, players = drawn_coalitions(6, 40, seed=5), 6
    worth, change = torch.randn(40, generator=torch.Generator().manual_seed(6), dtype=torch.float64), 1.7
    z = coalitions.members.double().numpy()
    system = np.block([[z.T @ z, np.ones((players, 1))], [np.ones((1, players)), np.zeros((1, 1))]])
    expected = np.linalg.solve(system, np.append(z.T @ worth.numpy(), change))[:players]
    found = shapley(coalitions, worth, change)
    np.testing.assert_allclose(found.values.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_an_additive_game_is_known_without_error():
    worths = torch.tensor([1.0, -2.0, 0.5, 4.0, 0.0], dtype=torch.float64)
    coalitions = drawn_coalitions(5, 20, seed=3)
    found = shapley(coalitions, coalitions.members.double() @ worths, float(worths.sum()))
    torch.testing.assert_close(found.values, worths, rtol=1e-12, atol=1e-12)
    assert float(found.standard_error.max()) < 1e-12


def test_one_part_has_all_of_the_change():
    x = networks.points(2, 6)
    ready = prepared(networks.mlp(), x, torch.zeros_like(x[:1]), Target.classes(1), inputs=True)
    made = attributed(KernelShap(samples=8, windows=((0,),)), ready)
    assert made["input"][:, 0].tolist() == pytest.approx(made.ends.difference.tolist())
    assert not KernelShap(samples=8, windows=((0,),)).complete(ready, ready.probe.tap("input"))


def test_coalitions_are_those_of_the_kernel():
    every = every_coalition(4)
    assert len(every.members) == 14
    assert every.exact
    sizes = every.members.sum(1)
    for size in (1, 2, 3):
        expected = 3 / (comb(4, size) * size * (4 - size))
        assert every.weights[sizes == size].tolist() == pytest.approx([expected] * comb(4, size))
    drawn = drawn_coalitions(6, 4000, seed=2)
    assert torch.equal(drawn.members[:2000], ~drawn.members[2000:])
    sizes = drawn.members.sum(1)
    shares = torch.tensor([1 / (k * (6 - k)) for k in range(1, 6)])
    found = torch.stack([(sizes == k).double().mean() for k in range(1, 6)])
    torch.testing.assert_close(found, (shares / shares.sum()).double(), rtol=0, atol=0.04)
    assert float((drawn.members.double().mean(0) - 0.5).abs().max()) < 1e-12


def test_draws_belong_to_the_example_and_not_to_its_chunk():
    x = networks.points(4, 6)
    ready = prepared(networks.mlp(), x, torch.zeros_like(x[:1]), Target.classes(1), inputs=True)
    method = KernelShap(samples=24, windows=((1,),))
    whole = attributed(method, ready, cut=chunks_of(24, 4))
    for points, examples in ((24, 1), (7, 1), (24, 3), (6, 4)):
        other = attributed(method, ready, cut=chunks_of(points, examples))
        torch.testing.assert_close(other["input"], whole["input"], rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(
        attributed(method, ready.examples(2, 4))["input"], whole["input"][2:], rtol=1e-10, atol=1e-13
    )
    assert not torch.allclose(attributed(method, ready, seed=8)["input"], whole["input"], rtol=1e-6)


def test_all_inputs_play_together():
    x = (networks.points(2, 6), networks.points(2, 6, seed=2))
    origin = tuple(torch.zeros_like(each[:1]) for each in x)
    ready = prepared(networks.ready(networks.Siamese()), x, origin, Target.classes(1), inputs=True)
    method = KernelShap(samples=256, windows=((3,), (2,)))
    made = attributed(method, ready)
    values = made["input"][:, ::3].sum(1) + made["input_2"][:, ::2].sum(1)
    assert values.tolist() == pytest.approx(made.ends.difference.tolist())
    checks = method.verify(ready, made.plan, made.whole, 7)
    assert max(check.difference for check in checks) < 2e-5
    only = attributed(method, ready, layers=("input",))
    assert only.plan.taps == ("input",)
    torch.testing.assert_close(only["input"], made["input"], rtol=1e-10, atol=1e-14)


def test_what_cannot_play_is_refused_with_words():
    x = networks.points(1, 6)
    ready = prepared(networks.mlp(), x, torch.zeros_like(x), Target.classes(1), inputs=True)
    tap = ready.probe.tap("input")
    assert "11 samples cannot tell 6 parts apart; ask for 24" in KernelShap(samples=11, windows=((1,),)).obstacle(
        ready, tap
    )
    assert "larger than" in KernelShap(samples=64, windows=((9,),)).obstacle(ready, tap)
    with pytest.raises(SweepRefused, match="cannot tell"):
        KernelShap(samples=11, windows=((1,),)).plan(ready, 1 << 28, 1, ())
    side = 50
    wide = networks.ready(nn.Sequential(nn.Flatten(), nn.Linear(side * side, 2)))
    pixels = networks.points(1, side, side)
    wide_ready = prepared(wide, pixels, torch.zeros_like(pixels), Target.classes(1), inputs=True)
    assert side * side > MOST_PARTS
    assert "can play" in KernelShap(samples=10_000, windows=((1, 1),)).obstacle(
        wide_ready, wide_ready.probe.tap("input")
    )


def test_an_input_without_fitting_windows_keeps_the_others_from_playing():
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 2)

        def forward(self, row: Tensor, picture: Tensor) -> Tensor:
            return self.head(torch.cat([row, picture.flatten(1)], 1))

    x = (networks.points(2, 4), networks.points(2, 2, 2))
    ready = prepared(
        networks.ready(Pair()), x, tuple(torch.zeros_like(each[:1]) for each in x), Target.classes(1), inputs=True
    )
    reason = KernelShap(samples=256, windows=((1,),)).obstacle(ready, ready.probe.tap("input"))
    assert "'input_2' cannot" in reason


def test_coalitions_that_leave_a_value_open_are_refused():
    same = torch.tensor([[True, False, False], [False, True, True]])
    with pytest.raises(TooFewCoalitions, match="do not determine"):
        shapley(
            Coalitions(same, torch.ones(2, dtype=torch.float64), exact=False), torch.ones(2, dtype=torch.float64), 1.0
        )
