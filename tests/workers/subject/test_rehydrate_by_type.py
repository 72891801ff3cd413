"""Is it said, and with the reason, where a method that goes by module type would be wrong?"""

import warnings
from collections.abc import Callable

import captum.attr
import pytest
import torch
from captum.attr._core import deep_lift, lrp
from torch import Tensor, nn
from torch.nn import functional

from tests.workers.networks import Lstm, Residual, Transformer, made
from tests.workers.subject.test_rehydrate import rehydrated
from workers.subject.by_type import _RELEVANCE, RULED, Reason, by_layer, reasons, why_not


class Between(nn.Module):
    """Two linear layers with something between them; reads (N, 4), gives (N, 3)."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.between, self.last = nn.Linear(4, 4), between, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


X = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)) * 2


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.exp() + torch.relu(self.scale)


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.act = nn.Linear(4, 4), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.inner(x))


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squash = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.squash(x)


class Spectral(nn.Module):
    """Divides its weights by a norm that it works out at each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Preactivated(nn.Module):
    """A tensor that two non-linearities and a sum read."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.ReLU(), nn.Tanh(), nn.MaxPool1d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.one(x) + 2 * self.two(x)
        return torch.cat([self.three(y[:, None]).flatten(1), y[:, :2]], 1)


class Overwriting(nn.Module):
    """Its in-place ReLU also changes what the sum reads."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return x - 2 * self.act(x)


SOUND = {
    "a tensor with several readers": Preactivated(),
    "a tensor that is written over": Overwriting(),
    "pooling right after a non-linearity": nn.Sequential(
        nn.Sigmoid(), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 4)
    ),
    "dropout between two": nn.Sequential(nn.ELU(), nn.Dropout(), nn.LeakyReLU(), nn.Identity(), nn.Sigmoid()),
    "ReLU": nn.ReLU(),
    "ReLU in place": nn.ReLU(inplace=True),
    "a function of weights alone": Scaled(),
    "a skip connection": Skip(),
    "two in a row": nn.Sequential(nn.Tanh(), nn.Softplus(), nn.Dropout()),
    "shapes": nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Upsample(scale_factor=2), nn.AvgPool1d(2), nn.Flatten()),
    "moved": lambda x: torch.cat([x[:, 2:].flip(1), -x[:, :2] / 3], 1),
    "sizes": lambda x: x + x.new_ones(x.shape[0], 4) * torch.full_like(x, 2),
    "a mean": lambda x: x - x.mean(1, keepdim=True),
    "weights made anew": Spectral(),
}
WRONG = {
    "relu": (functional.relu, Reason("", "relu", "is a functional operation and no module of its own")),
    "product": (Squared(), Reason("between", "mul", "is a functional operation and no module of its own")),
    "gate": (Gate(), Reason("between", "mul", "is a functional operation and no module of its own")),
    "mask": (
        lambda x: torch.where(x > 0, x, 0.1 * x),
        Reason("", "where", "is a functional operation and no module of its own"),
    ),
    "quotient": (lambda x: 1 / (2 + x.abs()), Reason("", "abs", "is a functional operation and no module of its own")),
    "GELU": (nn.GELU(), Reason("between", "GELU", "has no rule in these methods")),
    "LayerNorm": (nn.LayerNorm(4), Reason("between", "LayerNorm", "has no rule in these methods")),
    "Softmax": (nn.Softmax(1), Reason("between", "Softmax", "has no rule in these methods")),
    "windows that overlap": (
        nn.Sequential(nn.Unflatten(1, (1, 4)), nn.MaxPool1d(3, 1, 1), nn.Flatten()),
        Reason("between.1", "MaxPool1d", "has windows that overlap, for which its rule does not add up"),
    ),
    "written over": (
        nn.Sequential(nn.Tanh(), nn.ReLU(inplace=True)),
        Reason("between.1", "ReLU", "writes into a tensor that others read, or that another non-linearity gave"),
    ),
    "PReLU": (nn.PReLU(), Reason("between", "PReLU", "has no rule in these methods")),
}


def left_over(model: nn.Module) -> float:
    """How far DeepLift's attributions are from adding up to the change of the output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says which hooks it sets
        given = captum.attr.DeepLift(model).attribute(X, torch.zeros_like(X), target=0, return_convergence_delta=True)
    return float(given[1].abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_where_nothing_stands_in_the_way_deeplift_adds_up(name):
    model = rehydrated(Between(SOUND[name]), X)
    assert why_not(model) is None
    assert left_over(model) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_where_something_does_it_is_named_and_deeplift_does_not_add_up(name):
    between, reason = WRONG[name]
    model = rehydrated(Between(between), X)
    assert reasons(model)[0] == reason
    assert left_over(model) > 1e-3


def test_the_sentence_names_operation_layer_and_fault():
    model = rehydrated(nn.Sequential(Between(functional.relu), nn.Linear(3, 2)), X)
    assert why_not(model) == "relu in layer '0' is a functional operation and no module of its own"
    assert by_layer(model) == {"0": "relu is a functional operation and no module of its own"}


def test_a_long_list_of_reasons_is_cut():
    model = rehydrated(nn.Sequential(*[nn.GELU() for _ in range(5)]), X)
    assert str(why_not(model)).endswith("GELU in layer '2' has no rule in these methods (and 2 more)")


@pytest.mark.slow
def test_a_layer_that_stayed_a_graph_is_named_by_what_it_computes():
    found = by_layer(rehydrated(made(Lstm), torch.randn(2, 5, 4)))
    assert found == {"lstm": "lstm is a functional operation and no module of its own"}


@pytest.mark.slow
def test_attention_and_norms_stand_in_the_way():
    found = by_layer(rehydrated(made(Transformer), torch.randn(2, 5, 8)))
    assert found["encoder.layers.0.self_attn"].startswith("scaled_dot_product_attention")
    assert found["encoder.layers.0.norm1"] == "LayerNorm has no rule in these methods"


# --- modules that run twice


def test_each_call_of_a_reused_relu_becomes_a_module_so_that_deeplift_applies():
    network = made(Residual).eval()
    model = rehydrated(network, X)
    assert torch.equal(model(X), network(X))
    assert (type(model.act), type(model.get_submodule("act@1"))) == (nn.ReLU, nn.ReLU)
    assert why_not(model) is None
    assert left_over(model) < 1e-5


class Twice(nn.Module):
    """A block with a ReLU of its own, run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.block(x)))


def test_a_non_linearity_in_a_block_that_runs_twice_stands_in_the_way():
    model = rehydrated(Twice(), X)
    assert why_not(model) == "ReLU in layer 'block.1' runs more than once as one module"


def test_a_linear_layer_that_runs_twice_does_not():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.first, self.second = nn.Linear(4, 4), nn.ReLU(), nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.inner(self.first(self.inner(x))))

    model = rehydrated(Tied(), X)
    assert why_not(model) is None
    assert left_over(model) < 1e-5


# --- relevance


def test_relevance_asks_for_more_than_gradients_at_non_linearities_do():
    model = rehydrated(Between(Skip()), X)
    assert why_not(model, "deeplift") is None
    assert by_layer(model, "lrp") == {"between": "add is a functional operation, through which relevance is not shared"}
    assert why_not(rehydrated(Between(nn.ReLU()), X), "lrp") is None
    assert by_layer(rehydrated(Between(nn.Softplus()), X), "lrp") == {
        "between": "Softplus has no rule in these methods"
    }


def test_the_modules_with_rules_are_those_of_captum():
    assert {*RULED, nn.Softmax} == set(deep_lift.SUPPORTED_NON_LINEAR)
    supported = {*lrp.SUPPORTED_LAYERS_WITH_RULES, *lrp.SUPPORTED_NON_LINEAR_LAYERS}
    assert set(_RELEVANCE) == {kind for kind in supported if kind.__module__.startswith("torch.")}
