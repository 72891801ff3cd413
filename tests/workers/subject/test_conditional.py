"""Are the layers in branches of torch.cond seen, and are their numbers those of the branch that was taken?"""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.contracts.manifest import Exit
from workers.subject.exits import exits
from workers.subject.network import Loaded
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal
from workers.sweep.copies import in_precision
from workers.sweep.plan import plan
from workers.sweep.probe import probe
from workers.sweep.reducers import Keep
from workers.sweep.run import sweep
from workers.sweep.target import Target

pytestmark = pytest.mark.slow  # torch takes a second to trace a condition

DYNAMIC: Any = ({0: torch.export.Dim.DYNAMIC},)
X = torch.randn(12, 4, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def came_in(tmp_path) -> Callable[..., Loaded]:
    """A network as intake gives it back."""

    def come(network: nn.Module, rows: int = 2, dynamic: Any = DYNAMIC) -> Loaded:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of gradients that its own tracing of a branch looks at
            program = torch.export.export(network, (torch.randn(rows, 4),), dynamic_shapes=dynamic)
        torch.export.save(program, tmp_path / "m.pt2")
        rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
        return load(Path(tmp_path / "c.pt2"))

    return come


def taking(condition: Tensor, if_true: Any, if_false: Any, operands: tuple[Tensor, ...]) -> Tensor:
    """torch.cond in plain Python, which needs no tracing."""
    return if_true(*operands) if bool(condition) else if_false(*operands)


def alone(network: nn.Module, x: Tensor) -> Tensor:
    """What the network gives each example of `x` by itself, each condition decided in Python."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "cond", taking)
        return torch.cat([network(row) for row in x.split(1)])


def one_by_one(model: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([model(row) for row in x.split(1)])


def fired(model: nn.Module, x: Tensor) -> list[str]:
    seen: list[str] = []
    handles = [
        module.register_forward_hook(lambda _module, _given, _output, name=name: seen.append(name))
        for name, module in model.named_modules()
        if name and not list(module.children())
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return seen


class Early(nn.Module):
    """Leaves early where the mean of a layer is positive."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.sure = nn.Linear(6, 1)
        self.early = nn.Linear(6, 3)
        self.deep = nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(5, 3))
        self.eval()

    def decision(self, h: Tensor) -> Tensor:
        return self.sure(h).mean() > 0

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x)
        return torch.cond(self.decision(h), self.early, self.deep, (h,))


class Selecting(Early):
    """The same, written with torch.where by hand, one decision per example."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x)
        return torch.where(self.sure(h) > 0, self.early(h), self.deep(h.clone()))


def test_each_example_alone_gets_what_torch_cond_gives_it(came_in):
    network = Early()
    assert torch.equal(one_by_one(came_in(network).model, X), alone(network, X))


def test_the_layers_of_both_branches_run_under_their_own_names(came_in):
    loaded = came_in(Early())
    names = ["trunk.0", "trunk.1", "sure", "early", "deep.0", "exit.false.relu", "exit.false.dropout", "deep.3"]
    assert fired(loaded.model, X[:1]) == names
    assert [type(loaded.model.get_submodule(name)) for name in names[3:]] == [
        nn.Linear, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear,
    ]  # fmt: skip
    assert any("exit.false.relu" in note for note in loaded.notes)


def test_the_exit_each_example_takes_is_counted(came_in):
    network = Early()
    early = sum(bool(network.decision(network.trunk(row))) for row in X.split(1))
    assert 0 < early < 12
    assert exits(came_in(network).model, (X,)) == (
        Exit(name="exit.true", taken=early, of=12),
        Exit(name="exit.false", taken=12 - early, of=12),
    )


def test_a_network_without_conditions_has_no_exits(came_in):
    loaded = came_in(nn.Sequential(nn.Linear(4, 3)))
    assert exits(loaded.model, (X,)) == ()
    assert loaded.notes == ()


def conductance(model: nn.Module, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Of each example along its own path, one point at a time."""
    origin, target, kept = torch.zeros(1, 4), Target.element(0), Keep()
    seen = probe(model, (X,), (origin,), target, rows=1)
    chunks = plan(seen, examples=len(X), evaluations=8, memory_bytes=1 << 30, threads=1, layers=layers, dtype="float32")
    sweep(model, seen, chunks, (X,), (origin,), target, [kept])
    return {layer: kept.of(layer) for layer in layers}


def test_conductance_of_layers_is_that_of_a_network_that_selects_by_hand(came_in):
    layers = ("trunk.1", "early", "deep.0", "deep.3")
    mine = conductance(came_in(Early()).model, layers)
    theirs = conductance(Selecting(), layers)
    for layer in layers:
        assert torch.equal(mine[layer], theirs[layer]), layer
        assert mine[layer].any()


def test_one_example_at_a_time_is_asked_for_since_a_condition_is_one_for_all(came_in):
    loaded = came_in(Early())
    assert loaded.batch == 1
    assert any("every pass holds one example" in note for note in loaded.notes)


def test_a_fixed_batch_in_which_examples_decide_together_is_refused(came_in):
    with pytest.raises(Refusal, match="fixed at 3 examples") as caught:
        came_in(Early(), rows=3, dynamic=None)
    assert "torch.where" in str(caught.value.remedy)


def test_a_fixed_batch_of_one_comes_in(came_in):
    assert came_in(Early(), rows=1, dynamic=None).batch == 1


def test_a_condition_that_does_not_read_the_input_leaves_the_batch_open(came_in):
    class Switch(Early):
        def decision(self, h: Tensor) -> Tensor:
            return self.sure.bias.sum() > 0

    network = Switch()
    loaded = came_in(network)
    assert loaded.batch is None
    torch.testing.assert_close(loaded.model(X), alone(network, X))


def test_a_copy_in_double_precision_decides_alike(came_in):
    network, model = Early(), came_in(Early()).model
    double = in_precision(model, torch.float64)
    assert torch.equal(one_by_one(double, X.double()), alone(copy.deepcopy(network).double(), X.double()))
    assert exits(double, (X.double(),)) == exits(model, (X,))


# --- the branch that is not taken


class Root(nn.Module):
    """sqrt(x - 3) where x > 3, else 2x: the derivative of the root is infinite at its edge, and NaN below it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)
        self.scale.weight.data.fill_(1.0)
        self.head = nn.Linear(1, 1, bias=False)
        self.head.weight.data.fill_(2.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.scale(x[:, :1])
        return torch.cond(h.sum() > 3, lambda h: self.head((h - 3).sqrt()) / 2, self.head, (h,))


@pytest.mark.parametrize("at", [3.0, 1.0, -2.0])
def test_a_branch_without_a_derivative_here_leaves_the_gradient_alone_where_it_is_not_taken(at, came_in):
    model = came_in(Root()).model
    x = torch.full((1, 4), at, requires_grad=True)
    output = model(x)
    assert output.item() == 2 * at
    assert torch.autograd.grad(output.sum(), x)[0].tolist() == [[2.0, 0.0, 0.0, 0.0]]


def test_a_branch_that_is_taken_has_its_gradient(came_in):
    x = torch.full((1, 4), 7.0, requires_grad=True)
    output = came_in(Root()).model(x)
    assert output.item() == 2.0
    assert torch.autograd.grad(output.sum(), x)[0].tolist() == [[0.25, 0.0, 0.0, 0.0]]


def test_layers_of_a_branch_that_is_not_taken_have_a_gradient_of_exactly_zero(came_in):
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.other = nn.Linear(4, 2), nn.Linear(4, 2)
            self.first.weight.data.zero_()
            self.first.bias.data.zero_()

        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, self.other, lambda x: torch.relu(self.first(x)).sqrt(), (x,))

    model = came_in(Deep()).model
    given: dict[str, Tensor] = {}
    for name in ("first", "exit.false.relu", "other"):
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: given.update({name: output})
        )
    x = torch.ones(1, 4, requires_grad=True)
    gradients = torch.autograd.grad(model(x).sum(), list(given.values()))
    assert {name: each.tolist() for name, each in zip(given, gradients, strict=True)} == {
        "other": [[1.0, 1.0]],
        "first": [[0.0, 0.0]],
        "exit.false.relu": [[0.0, 0.0]],
    }


# --- where both branches cannot be computed


class Choosing(nn.Module):
    def __init__(self, if_true: Callable[[Tensor], Tensor], when: Callable[[Tensor], Any] | None = None) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.if_true, self.when = if_true, when or (lambda h: h.sum() > 0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        return torch.cond(self.when(h), self.if_true, lambda h: h * 2, (h,))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Choosing(lambda h: h + torch.rand_like(h)), "rand_like"),
        (Choosing(lambda h: h.sigmoid().bernoulli()), "bernoulli"),
        (Choosing(lambda h: h.gather(1, (h > 0).long())), "gather in a branch may fail"),
        (Choosing(lambda h: h + 1, lambda h: h.shape[0] > 5), "not one true or false of a tensor"),
    ],
    ids=["random", "drawn", "positions", "a condition on the size"],
)
def test_a_condition_that_cannot_be_a_selection_stays_and_says_why(network, why, came_in):
    loaded = came_in(network)
    assert any("cannot be seen, because" in note and why in note for note in loaded.notes)
    assert loaded.batch == 1
    assert loaded.type_based is not None
    assert loaded.model(X[:1]).shape == (1, 4)
    assert exits(loaded.model, (X,)) == ()


def test_a_write_into_what_only_the_branch_reads_is_no_obstacle(came_in):
    network = Choosing(lambda h: (h * 3).relu_().add_(1))
    loaded = came_in(network)
    assert not any("cannot be seen" in note for note in loaded.notes)
    assert torch.equal(one_by_one(loaded.model, X), alone(network, X))


# --- conditions in odd places


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        def outer(x: Tensor) -> Tensor:
            return torch.cond(x[:, 1].sum() > 0, self.a, self.b, (x,))

        return torch.cond(x[:, 0].sum() > 0, outer, self.c, (x,))


def test_a_condition_inside_a_branch_counts_only_the_examples_that_reach_it(came_in):
    network = Nested()
    loaded = came_in(network)
    assert torch.equal(one_by_one(loaded.model, X), alone(network, X))
    reached = [row for row in X if row[0] > 0]
    inner = sum(bool(row[1] > 0) for row in reached)
    assert exits(loaded.model, (X,)) == (
        Exit(name="exit.true", taken=len(reached), of=12),
        Exit(name="exit.false", taken=12 - len(reached), of=12),
        Exit(name="exit.true.exit.true", taken=inner, of=len(reached)),
        Exit(name="exit.true.exit.false", taken=len(reached) - inner, of=len(reached)),
    )
    assert fired(loaded.model, X[:1]) == ["a", "b", "c"]


class Twice(nn.Module):
    """A block with a condition, run twice; and a layer that runs before it, in both branches and behind."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)

        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

            def forward(self, x: Tensor) -> Tensor:
                x = self.one(x)
                return torch.cond(x.sum() > 0, self.one, lambda x: self.two(self.one(x).tanh()), (x,))

        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x))


def test_a_layer_in_several_branches_is_one_layer_called_several_times(came_in):
    network = Twice()
    model = came_in(network).model
    assert torch.equal(one_by_one(model, X), alone(network, X))
    layers = [name.replace("@1", "").replace("@2", "") for name in fired(model, X[:1])]
    assert layers.count("block.one") == 6
    assert layers.count("block.two") == layers.count("block.exit.false.tanh") == 2
    assert len(list(model.parameters())) == 4


def test_a_condition_met_twice_is_counted_twice(came_in):
    found = exits(came_in(Twice()).model, (X,))
    assert [(each.name, each.of) for each in found] == [
        ("block.exit.true", 12), ("block.exit.false", 12), ("block.exit@1.true", 12), ("block.exit@1.false", 12),
    ]  # fmt: skip


class Frozen(nn.Module):
    """A backbone without gradients under a head that has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.backbone = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            h = self.backbone(x)
        return self.head(h)


def test_layers_under_no_grad_are_seen_and_pass_no_gradient_on(came_in):
    network = Frozen()
    loaded = came_in(network)
    assert loaded.batch is None
    assert torch.equal(loaded.model(X), network(X))
    assert fired(loaded.model, X) == ["backbone.0", "backbone.1", "head"]
    x = X.clone().requires_grad_()
    assert not loaded.model(x).requires_grad
