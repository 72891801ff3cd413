"""What the engine promises besides its rules: parity, completeness, chunks, refusals, networks as they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # as everybody calls it

from lamina.zoo.families import FAMILIES
from tests import networks
from tests.workers.rescale.made import everywhere, gap, lifted
from tests.workers.sweep.methods.made import CLASSES, MEMORY, ready, worst
from workers.numerics.determinism import NotFinite
from workers.rescale.deep_lift import DeepLift
from workers.sweep.completeness import completeness
from workers.sweep.entered import Ids
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target

LIFT = DeepLift()
SWITCHES = {"exit_masked", "exit_if", "exit_cond", "experts_sparse"}


def reasons(ready_: Prepared) -> dict[str, str]:
    made = lifted(ready_)
    return {each.layer: each.reason for each in LIFT.verify(ready_, made.plan, made.of, 0) if not each.applicable}


class Apart(nn.Module):
    """Convolutions between activations and pools, so that captum's rules do not meet; on 1x12x12."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu, self.two, self.pool = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)
        self.three, self.elu, self.head = nn.Conv2d(4, 4, 2), nn.ELU(inplace=True), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.elu(self.three(self.pool(self.two(self.relu(self.one(x))))))
        return self.head(x.flatten(1))


@pytest.mark.parametrize(
    ("make", "shape", "able"),
    [
        (networks.mlp, (6,), 8), (networks.smooth_mlp, (6,), 6), (lambda: networks.ready(Apart()), (1, 12, 12), 8),
        (networks.resnet, (3, 12, 12), 19), (networks.cnn, (1, 12, 12), 4),
    ],
)  # fmt: skip
def test_every_layer_equals_captum_where_captum_has_the_same_rules(make, shape, able):
    given_ = ready(make(), networks.points(3, *shape), CLASSES)
    made = lifted(given_)
    checks = LIFT.verify(given_, made.plan, made.of, 0)
    assert sum(check.applicable for check in checks) == able
    assert worst(checks) < 1e-10
    for check in checks:
        assert check.applicable or "at once" in check.reason


ACTIVATIONS = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus)


@settings(max_examples=10)
@given(st.lists(st.sampled_from(ACTIVATIONS), min_size=1, max_size=4), st.integers(0, 1000))
def test_drawn_networks_equal_captum(kinds, seed):
    layers = [layer for kind in kinds for layer in (nn.Linear(6, 6), kind())]
    given_ = ready(
        networks.ready(nn.Sequential(*layers, nn.Linear(6, 3)), seed),
        networks.points(2, 6, seed=seed),
        Target.classes(1),
    )
    made = lifted(given_)
    checks = LIFT.verify(given_, made.plan, made.of, 0)
    assert all(check.applicable for check in checks)
    assert worst(checks) < 1e-10


class Captumless(nn.Module):
    """On 6 features: one thing after another that captum gets wrong without a word, or cannot do."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.first, self.act = what, nn.Linear(6, 8), nn.ReLU()
        self.soft, self.pool, self.head = nn.Softmax(1), nn.MaxPool1d(3, 2), nn.Linear(3 if what == "pool" else 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        if self.what == "functional":
            return self.head(F.gelu(h))
        if self.what == "softmax":
            return self.head(self.soft(h))
        if self.what == "pool":
            return self.head(self.pool(h.unsqueeze(1)).squeeze(1))
        return self.head(h + self.act(h))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("functional", "no rule for aten.gelu"), ("softmax", "does not add up"), ("pool", "overlap"),
        ("shared", "forgets whatever else reads the input of 'act'"),
    ],
)  # fmt: skip
def test_where_captum_would_be_wrong_without_a_word_the_reason_is_said_and_ours_adds_up(what, words):
    given_ = ready(networks.ready(Captumless(what)), networks.points(2, 6), Target.classes(1))
    assert words in reasons(given_)["first"]
    assert gap(lifted(given_), "first") < 1e-10


def test_captum_leaves_nothing_on_the_modules():
    given_ = ready(networks.ready(Apart()), networks.points(2, 1, 12, 12), Target.classes(1))
    reasons(given_)
    assert not any({"input", "output"} & vars(module).keys() for module in given_.model.modules())


def from_zoo(name: str) -> Prepared:
    family = FAMILIES[name]
    network = family.network().double()
    x = tuple(each.double() if each.is_floating_point() else each for each in family.prepared(family.examples()))
    starts = tuple(
        torch.zeros_like(each[:1]) if each.is_floating_point() else each if each.max() <= 1 else ids(each)
        for each in x
    )  # fmt: skip
    kind, _, place = family.target.partition(":")
    target = Target.classes(1) if kind == "predicted" else Target.element(*map(int, place.split(",")))
    if name in ("regression", "discriminator", "siamese"):
        target = Target.value()
    return ready(network, x, target, starts, rows=family.batch)


def ids(each: Tensor) -> Ids:
    return Ids(origin="zero", real=torch.ones_like(each, dtype=torch.bool), low=0, high=int(each.max()))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in SWITCHES])
def test_it_adds_up_at_every_cut_of_every_family(name):
    given_ = from_zoo(name)
    made = lifted(given_)
    cuts = [tap.key for tap in given_.probe.taps if tap.cut and tap.key in made.of]
    assert cuts
    for key in cuts:
        assert LIFT.complete(given_, given_.probe.tap(key))
        assert gap(made, key) < 1e-10
    assert all(not LIFT.obstacle(given_, given_.probe.tap(key)) for key in made.of)


def test_layers_before_a_switch_that_turns_are_not_applicable_and_those_after_it_are():
    given_ = from_zoo("exit_masked")
    obstacles = {tap.key: LIFT.obstacle(given_, tap) for tap in given_.probe.taps if tap.status == "on_path"}
    assert "aten.where chooses" in obstacles["near.0"]
    with pytest.raises(SweepRefused, match=r"aten\.where"):
        LIFT.plan(given_, MEMORY, 1, ("near.0",))


def test_rows_sent_elsewhere_at_the_baseline_are_not_applicable():
    given_ = from_zoo("experts_sparse")
    assert "what runs depends on the values" in LIFT.obstacle(given_, given_.probe.tap("gate"))


class Unruled(nn.Module):
    """A product of all numbers, which has no rule, between two linear layers; on 6 features."""

    def __init__(self, function) -> None:
        super().__init__()
        self.first, self.second, self.function = nn.Linear(6, 4), nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.function(self.first(x))))


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        return 3 * ctx.saved_tensors[0] ** 2 * grad


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda h: h.cumprod(1), "no rule is stated for aten.cumprod"),
        (lambda h: h.sort(1).values, "no rule is stated for aten.sort"),
        (lambda h: (h * h + 1).pow(h), "no rule is stated for aten.pow of these operands"),
        (Cube.apply, "no rule is stated for CubeBackward"),
        (lambda h: h * h.detach(), "aten.mul chooses, or is given, something else"),
        (lambda h: h * h.max().item(), "aten.mul chooses, or is given, something else"),
    ],
)  # fmt: skip
def test_what_has_no_rule_is_named_and_what_follows_it_is_attributed(function, words):
    x = networks.points(1, 6).abs()
    given_ = ready(networks.ready(Unruled(function)), x, Target.classes(1), (x / 2,), rows=1)
    first, second = given_.probe.tap("first"), given_.probe.tap("second")
    assert words in LIFT.obstacle(given_, first)
    assert not LIFT.complete(given_, first)
    assert LIFT.obstacle(given_, second) == ""
    plan = LIFT.plan(given_, MEMORY, 1, ())
    assert "first" not in plan.taps
    assert "second" in plan.taps
    with pytest.raises(SweepRefused, match="cannot attribute to 'first'"):
        LIFT.attribute(given_, replace(plan, taps=("first",)), [], None, 0)


def test_a_switch_that_turns_at_a_later_example_only_is_noticed():
    network = networks.ready(Unruled(lambda h: torch.where(h > 0, h, h.exp())))
    x = networks.points(4, 6)
    x[0] = 1e-3
    given_ = ready(network, x, Target.classes(1))
    assert "aten.where chooses" in LIFT.obstacle(given_, given_.probe.tap("first"))


@pytest.mark.parametrize("examples", [1, 2, 3])
def test_chunks_change_nothing_but_rounding_and_a_repetition_nothing_at_all(examples):
    given_ = ready(networks.resnet(), networks.points(5, 3, 12, 12), Target.classes([0, 1, 2, 3, 4]))
    whole, parts, again = lifted(given_), lifted(given_, examples), lifted(given_, examples)
    for key, each in whole.of.items():
        torch.testing.assert_close(parts[key], each, rtol=1e-9, atol=1e-13)
        assert torch.equal(parts[key], again[key])
    blocks = -(-5 // examples)
    assert parts.told == [(at + 1) / blocks for at in range(blocks)]


def test_an_example_that_equals_its_baseline_gets_exactly_zero():
    x = networks.points(3, 3, 12, 12)
    origin = torch.zeros_like(x)
    origin[1] = x[1]
    made = lifted(ready(networks.resnet(), x, Target.classes(1), (origin,)))
    for each in made.of.values():
        assert each[1].abs().max() == 0
        assert each[0].abs().max() > 0


def test_an_exception_from_the_listener_ends_it_and_the_model_is_as_before():
    network = networks.resnet()
    given_ = ready(network, networks.points(3, 3, 12, 12), Target.classes(1))
    plan = replace(LIFT.plan(given_, MEMORY, 1, ()), examples=1)

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt(fraction)

    with pytest.raises(KeyboardInterrupt):
        LIFT.attribute(given_, plan, [], stop, 0)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks for module in given_.model.modules())


def test_a_number_that_is_not_finite_is_refused_with_the_layer():
    network = networks.ready(Unruled(lambda h: h.exp().exp().exp().exp()))
    x = 40 * networks.points(1, 6)
    given_ = ready(network, torch.zeros(1, 6, dtype=torch.float64), Target.classes(1))
    with pytest.raises(NotFinite):
        lifted(replace(given_, x=(x,)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*assigned during export.*:UserWarning")  # of an LSTM's own list of weights
@pytest.mark.parametrize("batch", [None, 1, 4])
@pytest.mark.parametrize("name", ["cnn", "resnet", "attention", "lstm"])
def test_an_exported_network_gives_the_numbers_of_the_network_itself(name, batch, tmp_path):
    make, shape = {
        "cnn": (networks.cnn, (1, 12, 12)), "resnet": (networks.resnet, (3, 12, 12)),
        "attention": (lambda: networks.ready(networks.Attention()), (6, 8)), "lstm": (networks.lstm, (7, 5)),
    }[name]  # fmt: skip
    network, x = make(), networks.points(3, *shape)
    dynamic = ({0: torch.export.Dim.DYNAMIC},) if batch is None else None
    example = x if batch is None else networks.points(batch, *shape)
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=dynamic), tmp_path / "network.pt2")
    again = torch.export.unflatten(torch.export.load(tmp_path / "network.pt2"))
    here, there = lifted(ready(network, x, CLASSES)), lifted(ready(again, x, CLASSES, rows=batch))
    shared = here.of.keys() & there.of.keys()
    assert len(shared) >= 2
    for key in shared:
        torch.testing.assert_close(there[key], here[key], rtol=1e-9, atol=1e-13)


def test_a_probability_adds_up_through_its_softmax():
    target = Target.classes([0, 1, 2], "probability")
    made = lifted(ready(networks.mlp(), 3 * networks.points(3, 6), target))
    for key in made.of:
        assert gap(made, key) < 1e-10


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_add_up_in_float32_too(kind):
    network = networks.ready(networks.Recurrent(kind)).float()
    given_ = ready(network, 2 * networks.points(3, 7, 5).float(), Target.classes(1))
    made = lifted(given_)
    worst_ = completeness(made.totals.signed("input"), made.ends).worst
    assert worst_ < 1e-5 * float(made.ends.difference.abs().max())


def test_a_layer_named_is_the_only_one_made():
    given_ = ready(networks.mlp(), networks.points(2, 6), Target.classes(1))
    assert LIFT.plan(given_, MEMORY, 1, ("2",)).taps == ("2",)
    assert "input" not in LIFT.plan(given_, MEMORY, 1, ()).taps
    assert everywhere(given_)[0] == "input"


def test_each_half_of_a_chunk_is_counted_against_the_memory():
    given_ = ready(networks.resnet(), networks.points(5, 3, 12, 12), Target.classes(1))
    plan = LIFT.plan(given_, 1 << 26, 1, ())
    assert LIFT.quote(given_, plan).bytes <= 1 << 26
    one = replace(plan, examples=1)
    assert LIFT.quote(given_, plan).bytes >= LIFT.quote(given_, one).bytes


def test_its_name_and_settings_are_plain():
    assert LIFT.name == "layer_deeplift"
    assert LIFT.as_json() == {"rule": "rescale", "derivative_below": 1e-10}
