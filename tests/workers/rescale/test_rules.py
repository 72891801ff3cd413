"""Each rule: by hand, against the paper written out, and adding up however the operation is called."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # as everybody calls it

from tests import networks
from tests.references import deeplift as paper
from tests.workers.rescale.made import gap, lifted
from tests.workers.sweep.methods.made import Made, ready
from workers.sweep.target import Target

ATEN = torch.ops.aten


class Calling(nn.Module):
    """A linear layer, a function of what it gives, and a weighted sum of all that follows, on 6 features."""

    def __init__(self, function, width: int = 8) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(6, width), function

    def forward(self, x: Tensor) -> Tensor:
        made = self.function(self.linear(x)).reshape(len(x), -1)
        return made @ torch.linspace(-1, 2, made.shape[1], dtype=made.dtype).unsqueeze(1)


def called(function, width: int = 8, x: Tensor | None = None, origin: Tensor | None = None) -> Made:
    network = networks.ready(Calling(function, width))
    x = networks.points(3, 6) if x is None else x
    given = ready(network, x, Target.value(), (networks.points(1, 6, seed=9) if origin is None else origin,))
    return lifted(given)


def test_a_relu_pair_by_hand():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    made = lifted(ready(network, x, Target.value()))
    for key in ("input", "shift", "relu"):
        assert made[key].tolist() == [[2.0, -1.0]]
    assert made["out"].tolist() == [[1.0]]


def test_the_derivative_stands_in_where_nothing_changes():
    network = networks.relu_pair()
    x, origin = torch.tensor([[3.0, 1.0]], dtype=torch.float64), torch.tensor([[3.0, 0.0]], dtype=torch.float64)
    made = lifted(ready(network, x, Target.value(), (origin,)))
    assert made["relu"].tolist() == [[0.0, -1.0]]
    assert made["shift"].tolist() == [[0.0, -1.0]]


def test_a_product_is_shared_equally_between_its_factors():
    x = torch.tensor([[3.0, 5.0]], dtype=torch.float64)
    made = lifted(ready(networks.Squares().double().eval(), x, Target.value()))
    assert made["scale"].tolist() == [[15.0, 15.0]]


ELEMENTWISE = {
    "relu": torch.relu, "relu in place": F.relu_, "aten.relu": ATEN.relu.default, "aten.relu_": ATEN.relu_.default,
    "relu6": F.relu6, "leaky_relu": F.leaky_relu, "leaky_relu in place": lambda x: F.leaky_relu(x, 0.2, inplace=True),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.3], dtype=x.dtype)), "elu": F.elu, "elu in place": F.elu_,
    "selu": F.selu, "celu": F.celu, "gelu": F.gelu, "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "aten.gelu": ATEN.gelu.default, "silu": F.silu, "silu in place": lambda x: F.silu(x, inplace=True), "mish": F.mish,
    "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "hardtanh": F.hardtanh, "clamp": lambda x: x.clamp(-0.5, 1),
    "clip": lambda x: x.clip(min=0.1), "sigmoid": torch.sigmoid, "sigmoid in place": lambda x: x.sigmoid_(),
    "logsigmoid": F.logsigmoid, "tanh": torch.tanh, "aten.tanh_": ATEN.tanh_.default, "softplus": F.softplus,
    "exp": torch.exp, "expm1": torch.expm1, "log": lambda x: torch.log(x.abs() + 1),
    "sqrt": lambda x: (x * x + 1).sqrt(),
    "rsqrt": lambda x: (x * x + 1).rsqrt(), "pow": lambda x: x**3, "abs": torch.abs, "square": torch.square,
    "reciprocal": lambda x: 1 / (x.abs() + 1), "sin": torch.sin, "cos": torch.cos, "erf": torch.erf,
    "round": torch.round,
    "threshold": lambda x: F.threshold(x, 0.1, -1), "softshrink": F.softshrink, "hardshrink": F.hardshrink,
    "tanhshrink": F.tanhshrink, "rrelu": F.rrelu, "sign": torch.sign, "2 ** x": lambda x: 2**x,
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_function_has_its_secant_however_it_is_called(name):
    function = ELEMENTWISE[name]
    made, network = called(function), networks.ready(Calling(function))
    with torch.no_grad():
        x, origin = networks.points(3, 6), networks.points(1, 6, seed=9)
        h, g = network.linear(x), network.linear(origin)
        weights = torch.linspace(-1, 2, 8, dtype=torch.float64)
        expected = weights * (function(h.clone()) - function(g.clone()))
    torch.testing.assert_close(made["linear"], expected, rtol=1e-12, atol=1e-13)
    assert gap(made, "input") < 1e-11


def product_in_place(x: Tensor) -> Tensor:
    left, right = x.chunk(2, 1)
    return (left + 1).mul_(torch.tanh(right))


def part_in_place(x: Tensor) -> Tensor:
    wave = 1 - x
    x[:, 1:3].mul_(wave[:, 5:7])
    x[:, 2:5].relu_()
    return x.exp()


def changed_afterwards(x: Tensor) -> Tensor:
    before = 2 * x
    after = torch.sigmoid(before)
    before.sub_(1)
    return 3 * after + before


HALF, THREE = 4, (torch.sin, torch.tanh, torch.exp)
OTHERS = {
    "mul": lambda x: x[:, :HALF] * x[:, HALF:], "div": lambda x: x[:, :HALF] / (x[:, HALF:].exp()),
    "constant by it": lambda x: 3 / (x * x + 1), "mul in place": product_in_place, "part in place": part_in_place,
    "changed afterwards": changed_afterwards, "bmm": lambda x: x.view(-1, 2, 4) @ x.view(-1, 4, 2),
    "einsum": lambda x: torch.einsum("ni,nj->nij", x, x.sigmoid()), "addcmul": lambda x: torch.addcmul(x, x, x.cos()),
    "addcdiv": lambda x: torch.addcdiv(x, x, x.exp(), value=0.5), "lerp": lambda x: torch.lerp(x, x.sin(), x.sigmoid()),
    "glu": lambda x: F.glu(x, 1), "bilinear": lambda x: F.bilinear(x, x.tanh(), torch.ones(3, 8, 8, dtype=x.dtype)),
    "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1), "logsumexp": lambda x: x.logsumexp(1),
    "masked softmax": lambda x: x.masked_fill(torch.arange(8) > 5, -math.inf).softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, (8,)), "group_norm": lambda x: F.group_norm(x, 2),
    "weighted layer_norm": lambda x: F.layer_norm(x, (8,), torch.arange(8.0).double(), torch.ones(8).double()),
    "weighted group_norm": lambda x: F.group_norm(x.view(-1, 4, 2), 2, torch.arange(4.0).double()),
    "instance_norm": lambda x: F.instance_norm(x.view(-1, 2, 4), weight=torch.tensor([1.0, 2.0]).double()),
    "instance_norm, leaky in place": lambda x: F.leaky_relu_(F.instance_norm(x.view(-1, 2, 4)), 0.2),
    "rms_norm": lambda x: F.rms_norm(x, (8,)), "normalize": F.normalize, "norm of ones": lambda x: x.norm(p=1, dim=1),
    "norm": lambda x: torch.linalg.vector_norm(x.view(-1, 2, 4), dim=2),
    "var": lambda x: x.var(1), "std": lambda x: x.std(1),
    "var_mean": lambda x: torch.stack(torch.var_mean(x, 1), 1), "cosine": lambda x: F.cosine_similarity(x, x.exp(), 1),
    "max": lambda x: x.max(1).values, "min": lambda x: x.min(1, keepdim=True)[0],
    "amax": lambda x: x.view(-1, 2, 4).amax((1, 2)),
    "amin": lambda x: x.view(-1, 2, 4).amin(2), "maximum": lambda x: torch.maximum(x, x.flip(1).sin()),
    "minimum": lambda x: torch.minimum(x[:, :1], x), "max_pool1d": lambda x: F.max_pool1d(x.unsqueeze(1), 3, 2, 1),
    "max_pool2d": lambda x: F.max_pool2d(x.view(-1, 1, 2, 4), 2, 1),
    "adaptive": lambda x: F.adaptive_max_pool1d(x.unsqueeze(1), 3),
    "max_pool3d": lambda x: F.max_pool3d(x.view(-1, 1, 2, 2, 2), 2), "softsign": F.softsign,
    "mse": lambda x: F.mse_loss(x, x.sin(), reduction="none"),
    "attention": lambda x: F.scaled_dot_product_attention(*[f(x).view(-1, 2, 2, 2) for f in THREE]),
    "causal": lambda x: F.scaled_dot_product_attention(*[x.view(-1, 1, 4, 2)] * 3, is_causal=True),
    "where": lambda x: torch.where(torch.arange(8) > 3, x.exp(), x.sin()), "index": lambda x: x.exp()[:, [3, 1]],
    "cumsum": lambda x: x.exp().cumsum(1), "pad": lambda x: F.pad(x.exp().unsqueeze(1), (1, 1), "reflect"),
    "interpolate": lambda x: F.interpolate(x.exp().unsqueeze(1), scale_factor=2.0, mode="linear"),
    "fft": lambda x: torch.fft.rfft(x.tanh()).real,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_function_of_several_numbers_shares_its_whole_change_among_them(name):
    made = called(OTHERS[name])
    assert float(made.ends.difference.abs().min()) > 1e-3
    for key in ("input", "linear"):
        assert gap(made, key) < 1e-11


PARTS = {
    "tanh": (lambda: paper.elementwise(math.tanh), torch.tanh),
    "gelu": (lambda: paper.elementwise(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2)))), F.gelu),
    "silu": (lambda: paper.elementwise(lambda v: v / (1 + math.exp(-v))), F.silu),
    "relu": (lambda: paper.elementwise(lambda v: max(v, 0.0)), torch.relu),
    "product": (paper.halves_multiplied, lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1]),
    "softmax": (paper.softmax, lambda x: x.softmax(1)),
    "layer_norm": (lambda: paper.layer_norm(1e-5), lambda x: F.layer_norm(x, x.shape[1:])),
    "largest": (paper.largest, lambda x: x.max(1, keepdim=True).values),
}


class Chain(nn.Module):
    """Linear layers with a function after each, on 4 features."""

    def __init__(self, functions) -> None:
        super().__init__()
        self.functions, self.linears, width = functions, nn.ModuleList(), 4
        for function in functions:
            self.linears.append(nn.Linear(width, 6))
            width = function(torch.zeros(1, 6)).shape[1]
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        for linear, function in zip(self.linears, self.functions, strict=True):
            x = function(linear(x))
        return self.head(x)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3), st.integers(0, 1000))
def test_drawn_chains_equal_the_paper_written_out(names, seed):
    network = networks.ready(Chain([PARTS[name][1] for name in names]), seed)
    x, origin = networks.points(2, 4, seed=seed + 1), networks.points(1, 4, seed=seed + 2)
    made = lifted(ready(network, x, Target.classes(1), (origin,)))
    parts = []
    for name, linear in zip(names, network.linears, strict=True):
        parts += [paper.linear(linear.weight.tolist(), linear.bias.tolist()), PARTS[name][0]()]
    parts.append(paper.linear(network.head.weight.tolist(), network.head.bias.tolist()))
    for i in range(2):
        slow = paper.contributions(parts, x[i].tolist(), origin[0].tolist(), 1)
        for at, key in [(0, "input"), *((2 * k + 1, f"linears.{k}") for k in range(len(names))), (-1, "head")]:
            torch.testing.assert_close(
                made[key][i], torch.tensor(slow[at], dtype=torch.float64), rtol=1e-9, atol=1e-11, msg=f"{names} {key}"
            )


def test_softmax_does_not_notice_what_is_added_to_all_logits_however_large():
    x, origin = torch.zeros(1, 6, dtype=torch.float64), torch.zeros(1, 6, dtype=torch.float64)
    x[0, 0] = 1.0

    def shifted(h: Tensor) -> Tensor:
        return (h + 700 * h.sum(1, keepdim=True)).softmax(1)

    moved, plain = called(shifted, 8, x, origin), called(lambda h: h.softmax(1), 8, x, origin)
    torch.testing.assert_close(moved["linear"], plain["linear"], rtol=1e-9, atol=1e-11)
    assert gap(moved, "linear") < 1e-9


class RootMeanSquare(nn.Module):
    """As language models write their norm, twice, with a wide layer between; on 6 features."""

    def __init__(self, *, inverse: bool) -> None:
        super().__init__()
        self.inverse, self.first, self.second = inverse, nn.Linear(6, 8, bias=False), nn.Linear(8, 8, bias=False)

    def norm(self, h: Tensor) -> Tensor:
        square = h.pow(2).mean(-1, keepdim=True) + 1e-12
        return h * torch.rsqrt(square) if self.inverse else h / square.sqrt()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(self.norm(self.first(x)))).sum(1)


@pytest.mark.parametrize("inverse", [True, False])
def test_a_norm_of_an_empty_baseline_gives_no_large_shares_that_cancel(inverse):
    made = lifted(ready(networks.ready(RootMeanSquare(inverse=inverse)), networks.points(3, 6), Target.value()))
    for key in ("input", "first", "second"):
        assert gap(made, key) < 1e-12
        assert float(made[key].abs().max()) < 100  # with the inverse as a factor like any other: 1e12


def test_softmax_near_its_baseline_has_the_derivative_of_softmax():
    x = networks.points(1, 6)
    network = networks.ready(Calling(lambda h: h.softmax(1)))
    made = lifted(ready(network, x + 1e-6, Target.value(), (x,)))
    moved = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(moved).sum(), moved)
    torch.testing.assert_close(made["input"], slope * 1e-6, rtol=1e-4, atol=1e-12)
