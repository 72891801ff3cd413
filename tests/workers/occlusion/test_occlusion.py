"""Occlusion of the input: by hand, window by window, against captum, and its refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.references.suffix import occlusion
from tests.workers.suffix.made import attributed, chunks_of, prepared
from workers.occlusion.occlusion import Occlusion
from workers.suffix.ablation import MOST_GROUPS
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target

CASES = {
    "table": (networks.mlp, (6,), (1,), (1,)),
    "table, overlapping": (networks.mlp, (6,), (3,), (2,)),
    "image": (networks.cnn, (1, 12, 12), (0, 5, 4), (0, 3, 4)),
    "colour image": (networks.resnet, (3, 12, 12), (0, 4, 4), (0, 4, 4)),
    "series": (networks.lstm, (7, 5), (2, 0), (1, 0)),
    "tokens": (lambda: networks.ready(networks.Attention()), (6, 8), (1, 0), (1, 0)),
    "in-place input": (lambda: networks.ready(networks.InPlaceInput()), (6,), (2,), (2,)),
}


def test_a_hidden_column_takes_what_it_gave():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    ready = prepared(network, x, torch.zeros_like(x), Target.value(), inputs=True)
    made = attributed(Occlusion(windows=((1,),)), ready)
    assert made.plan.taps == ("input",)
    assert made["input"].tolist() == [[2.0, -1.0]]


@pytest.mark.parametrize("case", CASES)
def test_it_equals_window_by_window(case):
    make, shape, window, stride = CASES[case]
    network, x, baseline = make(), networks.points(2, *shape), 0.3 * networks.points(1, *shape, seed=4)
    ready = prepared(network, x, baseline, Target.classes([1, 2]), inputs=True)
    made = attributed(Occlusion(windows=(window,), strides=(stride,)), ready, cut=chunks_of(4))
    sizes, steps = (tuple(n or length for n, length in zip(each, shape, strict=True)) for each in (window, stride))
    for i, label in enumerate((1, 2)):

        def score(one: Tensor, label: int = label) -> float:
            with torch.no_grad():
                return float(network(one[None].clone())[0, label])

        expected = occlusion(score, x[i], baseline[0], sizes, steps)
        torch.testing.assert_close(made["input"][i], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_captum_gives_the_same_numbers(case):
    make, shape, window, stride = CASES[case]
    x = networks.points(3, *shape)
    ready = prepared(make(), x, 0.3 * networks.points(1, *shape, seed=4), Target.classes([0, 1, 2]), inputs=True)
    method = Occlusion(windows=(window,), strides=(stride,))
    made = attributed(method, ready)
    (check,) = method.verify(ready, made.plan, made.whole, 0)
    assert check.difference is not None, check.reason
    assert check.difference < 1e-10


def test_inputs_are_hidden_from_one_at_a_time_each_with_its_windows():
    x = (networks.points(2, 6), networks.points(2, 6, seed=2))
    ready = prepared(networks.ready(networks.Siamese()), x, tuple(torch.zeros_like(each[:1]) for each in x),
                     Target.classes(1), inputs=True)  # fmt: skip
    method = Occlusion(windows=((2,), (3,)))
    made = attributed(method, ready)
    assert set(made.plan.taps) == {"input", "input_2"}
    checks = method.verify(ready, made.plan, made.whole, 0)
    assert max(check.difference for check in checks) < 1e-10
    only = attributed(method, ready, layers=("input_2",))
    assert only.plan.taps == ("input_2",)
    torch.testing.assert_close(only["input_2"], made["input_2"])


def test_a_mask_of_integers_stays_as_it_is():
    x, mask = networks.points(2, 6, 8), torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    network = networks.ready(networks.Masked())
    ready = prepared(network, (x, mask), (torch.zeros_like(x[:1]), mask[:1]), Target.classes(1), inputs=True)
    method = Occlusion(windows=((1, 0),))
    made = attributed(method, ready)
    assert not bool(made["input"][0, 4:].any())  # what the mask leaves out changes nothing
    assert bool(made["input"][1, 4:].any())
    (check,) = method.verify(ready, made.plan, made.whole, 0)
    assert check.difference < 1e-10


class Three(nn.Module):
    """Reads three inputs of two features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 2)

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return self.head(torch.tanh(torch.cat([a, b, c], 1)))


def test_captum_is_not_asked_about_three_inputs_whose_windows_it_mixes_up():
    x = tuple(networks.points(2, 2, seed=i) for i in range(3))
    ready = prepared(
        networks.ready(Three()), x, tuple(torch.zeros_like(each[:1]) for each in x), Target.classes(1), inputs=True
    )
    method = Occlusion(windows=((1,),))
    made = attributed(method, ready)
    for check in method.verify(ready, made.plan, made.whole, 0):
        assert check.difference is None
        assert "mixes up" in check.reason


def test_windows_that_do_not_fit_are_refused_with_words():
    x = networks.points(1, 6)
    ready = prepared(networks.mlp(), x, torch.zeros_like(x), Target.classes(1), inputs=True)
    tap = ready.probe.tap("input")
    assert "larger than one example" in Occlusion(windows=((7,),)).obstacle(ready, tap)
    assert "2 windows for 1 inputs" in Occlusion(windows=((1,), (1,))).obstacle(ready, tap)
    assert "layer_ablation" in Occlusion(windows=((1,),)).obstacle(ready, ready.probe.tap("0"))
    with pytest.raises(SweepRefused, match="larger than one example"):
        Occlusion(windows=((7,),)).plan(ready, 1 << 28, 1, ())


def test_too_many_windows_are_refused():
    side = 130
    network = networks.ready(nn.Sequential(nn.Flatten(), nn.Linear(side * side, 2)))
    x = networks.points(1, side, side)
    ready = prepared(network, x, torch.zeros_like(x), Target.classes(1), inputs=True)
    assert side * side > MOST_GROUPS
    assert f"{side * side} windows" in Occlusion(windows=((1, 1),)).obstacle(ready, ready.probe.tap("input"))


def test_a_target_that_depends_on_no_input_is_refused():
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x) + self.bias

    x = networks.points(1, 2)
    ready = prepared(Deaf().double().eval(), x, torch.zeros_like(x), Target.classes(1), inputs=True)
    with pytest.raises(SweepRefused, match="depends on no floating-point input"):
        Occlusion(windows=((1,),)).plan(ready, 1 << 28, 1, ())


def test_settings_are_told_as_plain_values():
    assert Occlusion(windows=((0, 2),)).as_json() == {"windows": [[0, 2]], "strides": [[0, 2]]}
