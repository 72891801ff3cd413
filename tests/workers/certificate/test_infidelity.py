"""Infidelity and max-sensitivity: by hand, by the paper term by term, and against captum."""

from __future__ import annotations

import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from torch import Tensor, nn

from tests import networks
from tests.planted import prepared
from tests.references import certificate as reference
from tests.workers.certificate.conftest import gradient_x_input, linear, only, slopes
from workers.certificate.draws import stream
from workers.certificate.features import attributed, distance
from workers.certificate.infidelity import away, infidelity
from workers.certificate.sensitivity import max_sensitivity, neighbour
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

SEED, DRAWS = 3, 7


def classes(*labels: int) -> Target:
    return Target.classes(list(labels))


def test_the_complete_attribution_of_a_sum_has_no_infidelity():
    ready = prepared(linear(1.0, -2.0, 3.0, 0.5), networks.points(5, 4), target=Target.value())
    raw, share = infidelity(ready, gradient_x_input(ready), draws=9, seed=SEED, rows=64)
    assert raw.value == pytest.approx(0, abs=1e-25)
    assert share.value == pytest.approx(0, abs=1e-25)
    assert share.verdict == "passed"


def test_an_attribution_of_the_wrong_sign_is_worse_than_zeros():
    ready = prepared(linear(1.0, -2.0, 3.0, 0.5), networks.points(5, 4), target=Target.value())
    wrong = {key: -each for key, each in gradient_x_input(ready).items()}
    share = only(infidelity(ready, wrong, draws=9, seed=SEED, rows=64), "infidelity_share")
    assert share.value == pytest.approx(4)
    assert share.verdict == "failed"
    assert not share.necessary


def test_slopes_of_a_sum_predict_every_small_step():
    ready = prepared(linear(1.0, -2.0, 3.0, 0.5), networks.points(5, 4), target=Target.value())
    raw, _ = infidelity(ready, slopes(ready), draws=9, seed=SEED, rows=64, multiplied=False)
    assert raw.value == pytest.approx(0, abs=1e-25)


def drawn(family: str) -> Prepared:
    made = {
        "mlp": lambda: prepared(networks.mlp(), networks.points(3, 6), target=classes(0, 2, 1)),
        "cnn": lambda: prepared(networks.cnn(), networks.points(3, 1, 12, 12), target=classes(4, 0, 1)),
        "lstm": lambda: prepared(networks.lstm(), networks.points(3, 7, 5), target=classes(0, 2, 1)),
    }
    return made[family]()


def scores(ready: Prepared):
    return lambda x: ready.target.select(ready.model(x), len(x)) if len(x) == len(ready) else _many(ready, x)


def _many(ready: Prepared, x: Tensor) -> Tensor:
    """captum repeats each example in place: all versions of the first, then of the next."""
    labels = ready.target.index[:, 0].repeat_interleave(len(x) // len(ready))
    return ready.model(x).gather(1, labels[:, None]).squeeze(1)


@pytest.mark.parametrize("family", ["mlp", "cnn", "lstm"])
def test_infidelity_is_captums(family: str):
    ready = drawn(family)
    ours = gradient_x_input(ready)
    count = ready.x[0][0].numel()
    masks = torch.stack([away(SEED, draw, 3, count) for draw in range(DRAWS)])
    each = masks.transpose(0, 1).reshape(3 * DRAWS, *ready.x[0].shape[1:])

    def perturb(x: Tensor) -> tuple[Tensor, Tensor]:
        return each.double(), torch.where(each, 0.0, x)

    theirs = captum_infidelity(scores(ready), perturb, ready.x[0], ours["input"], n_perturb_samples=DRAWS)
    raw, _ = infidelity(ready, ours, draws=DRAWS, seed=SEED, rows=64)
    assert raw.value == pytest.approx(float(theirs.mean()), rel=1e-10)


def test_infidelity_is_the_papers_sum_term_by_term():
    ready = drawn("mlp")
    ours = gradient_x_input(ready)["input"]
    masks = [away(SEED, draw, 3, 6) for draw in range(DRAWS)]
    expected = [
        reference.infidelity(
            lambda x, i=i: float(ready.model(x).detach()[0, ready.target.index[i, 0]]),
            ready.x[0][i : i + 1], ready.origin[0], ours[i : i + 1], [mask[i : i + 1] for mask in masks],
        )
        for i in range(3)
    ]  # fmt: skip
    raw, _ = infidelity(ready, {"input": ours}, draws=DRAWS, seed=SEED, rows=64)
    assert raw.value == pytest.approx(sum(expected) / 3, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 5, 1000])
def test_how_many_rows_run_at_once_changes_rounding_alone(rows: int):
    ready = drawn("cnn")
    ours = gradient_x_input(ready)
    expected, _ = infidelity(ready, ours, draws=DRAWS, seed=SEED, rows=64)
    made, _ = infidelity(ready, ours, draws=DRAWS, seed=SEED, rows=rows)
    assert made.value == pytest.approx(expected.value, rel=1e-12)
    whole = max_sensitivity(ready, slopes, slopes(ready), neighbours=5, seed=SEED, rows=64)
    cut = max_sensitivity(ready, slopes, slopes(ready), neighbours=5, seed=SEED, rows=rows)
    assert cut.value == pytest.approx(whole.value, rel=1e-10)


def test_several_inputs_are_perturbed_together():
    ready = prepared(networks.ready(networks.Siamese()), networks.points(4, 6), networks.points(4, 6, seed=2))
    ours = gradient_x_input(ready)
    assert len(ours) == 2
    both, _ = infidelity(ready, ours, draws=DRAWS, seed=SEED, rows=64)
    one, _ = infidelity(ready, {"input": ours["input"]}, draws=DRAWS, seed=SEED, rows=64)
    assert both.value != one.value
    assert both.verdict == "no threshold"


def test_units_of_a_group_go_together():
    ready = prepared(linear(1.0, 1.0, 1.0, 1.0), networks.points(3, 4), target=Target.value())
    crossed = gradient_x_input(ready)["input"][:, [1, 0, 3, 2]]  # wrong for single units, right for the pairs
    groups = {"input": torch.tensor([0, 0, 1, 1])}
    alone, _ = infidelity(ready, {"input": crossed}, draws=20, seed=SEED, rows=64)
    grouped, _ = infidelity(ready, {"input": crossed}, draws=20, seed=SEED, rows=64, groups=groups)
    assert alone.value > 0.1
    assert grouped.value == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("family", ["mlp", "cnn", "lstm"])
def test_max_sensitivity_is_captums(family: str):
    ready = drawn(family)
    keys = attributed(ready, slopes(ready))
    near = torch.stack([neighbour(ready, keys, SEED, i)[0] for i in range(DRAWS)])
    near = near.transpose(0, 1).flatten(0, 1)

    def explain(given: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = (given[0] if isinstance(given, tuple) else given).clone().requires_grad_()
        with torch.enable_grad():
            return (torch.autograd.grad(scores(ready)(x).sum(), x)[0].contiguous(),)  # captum takes views

    theirs = sensitivity_max(explain, ready.x[0], perturb_func=lambda _: near, n_perturb_samples=DRAWS)
    made = max_sensitivity(ready, slopes, slopes(ready), neighbours=DRAWS, seed=SEED, rows=64)
    assert made.value == pytest.approx(float(theirs.mean()), rel=1e-10)


def test_neighbours_lie_within_two_hundredths_of_the_distance_from_the_baseline():
    ready = drawn("mlp")
    (moved,) = neighbour(ready, {"input": 0}, SEED, 0)
    gap = (moved - ready.x[0]).abs().max()
    assert 0.01 * distance(ready, 0) < float(gap) <= 0.02 * distance(ready, 0)


def test_the_slope_of_a_sum_never_moves():
    ready = prepared(linear(1.0, 2.0, 3.0), networks.points(4, 3), target=Target.value())
    assert max_sensitivity(ready, slopes, slopes(ready), neighbours=5, seed=SEED, rows=64).value == 0


def test_a_network_of_one_batch_size_is_asked_for_no_other():
    class Four(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = networks.mlp()

        def forward(self, x: Tensor) -> Tensor:
            assert len(x) == 4
            return self.inner(x)

    free, fixed = (
        prepared(network, networks.points(3, 6), target=classes(0, 2, 1), rows=rows)
        for network, rows in ((networks.mlp(), None), (Four(), 4))
    )
    ours = gradient_x_input(free)
    one, _ = infidelity(free, ours, draws=5, seed=SEED, rows=64)
    other, _ = infidelity(fixed, ours, draws=5, seed=SEED, rows=64)
    assert other.value == pytest.approx(one.value, rel=1e-12)


@pytest.mark.parametrize(
    ("attribution", "reason"),
    [
        ({"head": torch.ones(2, 3)}, "of layers"),
        ({"input": torch.ones(2, 5)}, "has shape"),
        ({"input": torch.zeros(2, 6)}, "zero everywhere"),
        ({"input": torch.full((2, 6), torch.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_checked_says_why(attribution: dict[str, Tensor], reason: str):
    ready = prepared(networks.mlp(), networks.points(2, 6))
    checks = [*infidelity(ready, attribution, draws=3, seed=SEED, rows=64)]
    checks.append(max_sensitivity(ready, slopes, attribution, neighbours=3, seed=SEED, rows=64))
    assert all(check.verdict == "not applicable" and reason in check.because for check in checks)


def test_inputs_at_their_baselines_leave_nothing_to_perturb():
    ready = prepared(networks.mlp(), torch.zeros(2, 6, dtype=torch.float64))
    raw, share = infidelity(ready, {"input": torch.ones(2, 6)}, draws=3, seed=SEED, rows=64)
    assert "equals its baseline" in raw.because
    assert share.value is None


def test_draws_come_from_seed_purpose_and_example_alone():
    numbers = [
        float(torch.rand(1, generator=stream(*each))) for each in ((1, "a", 0), (1, "a", 1), (1, "b", 0), (2, "a", 0))
    ]
    assert len(set(numbers)) == 4
    assert float(torch.rand(1, generator=stream(1, "a", 0))) == numbers[0]
