"""Ablation of channels, tokens and units: by hand, against one group at a time, against captum, and its refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests import networks
from tests.references.suffix import ablation
from tests.workers.suffix.families import FAMILIES
from tests.workers.suffix.made import attributed, chunks_of, prepared
from workers.suffix.ablation import MOST_GROUPS, LayerAblation
from workers.suffix.groups import AlongAxis
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.sweep.refusals import BudgetTooSmall
from workers.sweep.target import Target


def test_taking_a_unit_away_takes_its_weight_times_its_value():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    ready = prepared(network, x, torch.zeros_like(x), Target.value())
    made = attributed(LayerAblation(), ready)
    assert made["relu"].tolist() == [[2.0, -1.0]]
    assert made["out"].tolist() == [[1.0]]
    assert made.ends.output.tolist() == [1.0]
    assert made.ends.baseline_output.tolist() == [0.0]


def test_the_baselines_value_or_the_mean_over_examples_can_stand_in():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0], [5.0, 4.0]], dtype=torch.float64)
    ready = prepared(network, x, torch.tensor([[2.0, 0.5]], dtype=torch.float64), Target.value())
    assert attributed(LayerAblation(fill="baseline"), ready)["relu"].tolist() == [[1.0, -0.5], [3.0, -3.5]]
    mean = attributed(LayerAblation(fill="mean"), ready, cut=chunks_of(2))  # of relu: (2, 1) and (4, 4), (3, 2.5)
    assert mean["relu"].tolist() == [[-1.0, 1.5], [1.0, -1.5]]


def test_the_groups_lie_along_the_first_or_the_last_axis_or_are_single_units():
    ready = prepared(
        networks.cnn(), networks.points(2, 1, 12, 12), torch.zeros(1, 1, 12, 12).double(), Target.classes(1)
    )
    convolution, head = ready.probe.tap("0"), ready.probe.tap("7")
    for along, at_convolution, at_head in (("first", (4,), (5,)), ("last", (12,), (5,)), ("unit", (4, 12, 12), (5,))):
        method = LayerAblation(along=along)
        assert method.units(convolution) == at_convolution
        assert method.units(head) == at_head
        made = attributed(method, ready, layers=("0", "7"))
        assert made["0"].shape == (2, *at_convolution)
        assert made["7"].shape == (2, *at_head)


PLACES = [
    ("lstm", "rnn", "rnn:0", lambda out: out[0], lambda out, new: (new, *out[1:]), 0),
    ("state", "rnn", "rnn:1", lambda out: out[1][0], lambda out, new: (out[0], (new, out[1][1])), 0),
    ("positions", "act", "act", lambda out: out, lambda out, new: new, 0),
    ("reused", "shared", "shared@1", lambda out: out, lambda out, new: new, 1),
    ("resnet", "4.norm1", "4.norm1", lambda out: out, lambda out, new: new, 0),
    ("dense", "second", "second", lambda out: out, lambda out, new: new, 0),
    ("flipped", "turn", "turn", lambda out: out, lambda out, new: new, 0),
]  # fmt: skip


@pytest.mark.parametrize(("family", "module", "key", "read", "put", "call"), PLACES, ids=[p[2] for p in PLACES])
@pytest.mark.parametrize("along", ["first", "last"])
def test_it_equals_one_group_at_a_time(family, module, key, read, put, call, along):
    make, shape = FAMILIES[family]
    network, x = make(), networks.points(2, *shape)
    ready = prepared(network, x, torch.zeros_like(x[:1]), Target.classes([1, 2]))
    made = attributed(LayerAblation(along=along), ready, layers=(key,), cut=chunks_of(3))
    tap = ready.probe.tap(key)
    axis = 0 if along == "first" else len(tap.shape) - 1
    for i, label in enumerate((1, 2)):
        one = read_at(network, module, x[i : i + 1], read, call)
        units = [torch.zeros(1, *tap.shape, dtype=torch.bool) for _ in range(tap.shape[axis])]
        for at, unit in enumerate(units):
            unit.select(axis + 1, at).fill_(True)
        groups = [torch.zeros_like(one, dtype=torch.bool) for _ in units]
        for group, unit in zip(groups, units, strict=True):
            tap.layout.split(group, 1).copy_(unit)
        expected = ablation(
            network, dict(network.named_modules())[module], x[i : i + 1], lambda out, label=label: out[0, label],
            groups, torch.zeros_like(one), read, put, call,
        )  # fmt: skip
        assert made[key][i].tolist() == pytest.approx(expected, abs=1e-14)


def read_at(network: nn.Module, module: str, given: Tensor, read, call: int) -> Tensor:
    from tests.references.suffix import value

    return value(network, dict(network.named_modules())[module], given, read, call)


@pytest.mark.parametrize("method", [
    LayerAblation(), LayerAblation(along="last", fill="baseline"), LayerAblation(along="unit"),
], ids=lambda method: f"{method.along} {method.fill}")  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
def test_captum_gives_the_same_numbers_layer_by_layer(family, method):
    make, shape = FAMILIES[family]
    x = networks.points(2, *shape)
    ready = prepared(make(), x, 0.2 * networks.points(1, *shape, seed=3), Target.classes([0, 2]))
    able = [tap.key for tap in ready.layers if tap.status == "on_path" and method.groups(tap).count <= 100]
    made = attributed(method, ready, layers=tuple(able))
    checks = method.verify(ready, made.plan, made.whole, 0)
    assert [check.layer for check in checks] == list(made.plan.taps)
    assert any(check.applicable for check in checks)
    assert max(check.difference for check in checks if check.applicable) < 1e-10


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_change_nothing_but_rounding(family, fill):
    make, shape = FAMILIES[family]
    x = networks.points(3, *shape)
    ready, method = prepared(make(), x, torch.zeros_like(x[:1]), Target.classes([0, 1, 2])), LayerAblation(fill=fill)
    whole = attributed(method, ready, cut=chunks_of(64, 3))
    for points, examples in ((64, 1), (3, 1), (1, 1), (5, 2)):
        other = attributed(method, ready, cut=chunks_of(points, examples))
        for key in whole.plan.taps:
            torch.testing.assert_close(other[key], whole[key], rtol=1e-10, atol=1e-14)


@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=3), skip=st.booleans(),
    act=st.sampled_from([nn.ReLU, nn.Tanh, nn.GELU]), seed=st.integers(0, 1000),
)  # fmt: skip
@settings(max_examples=15, derandomize=True)
def test_drawn_networks_give_captums_numbers(widths, skip, act, seed):
    class Drawn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [4, *widths]
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, widths, strict=False))
            self.acts = nn.ModuleList(act() for _ in widths)
            self.head = nn.Linear(widths[-1], 3)

        def forward(self, x: Tensor) -> Tensor:
            for layer, activation in zip(self.layers, self.acts, strict=True):
                h = activation(layer(x))
                x = x + h if skip and h.shape == x.shape else h
            return self.head(x)

    x = networks.points(2, 4, seed=seed)
    ready = prepared(networks.ready(Drawn(), seed), x, torch.zeros_like(x[:1]), Target.classes([0, 2]))
    for method in (LayerAblation(), LayerAblation(fill="baseline"), LayerIntegratedGradients(steps=4)):
        made = attributed(method, ready, cut=chunks_of(3))
        checks = method.verify(ready, made.plan, made.whole, 0)
        assert max(check.difference for check in checks) < 1e-10


def test_the_mean_of_a_few_examples_is_that_of_all():
    x = networks.points(5, 6)
    ready, method = prepared(networks.mlp(), x, torch.zeros_like(x[:1]), Target.classes(1)), LayerAblation(fill="mean")
    made, few = attributed(method, ready), attributed(method, ready.examples(1, 3))
    ours = {key: values[1:3] for key, values in made.whole.items()}
    for key, values in ours.items():
        torch.testing.assert_close(few[key], values, rtol=1e-10, atol=1e-14)
    assert max(check.difference for check in method.verify(ready.examples(1, 3), made.plan, ours, 0)) < 1e-10


def test_a_layer_with_too_many_groups_is_refused_and_the_others_are_ablated():
    wide = networks.ready(nn.Sequential(nn.Linear(3, MOST_GROUPS + 1), nn.ReLU(), nn.Linear(MOST_GROUPS + 1, 2)))
    x = networks.points(1, 3)
    ready, method = prepared(wide, x, torch.zeros_like(x), Target.classes(1)), LayerAblation()
    assert f"{MOST_GROUPS + 1} groups" in method.obstacle(ready, ready.probe.tap("1"))
    assert method.obstacle(ready, ready.probe.tap("2")) == ""
    assert attributed(method, ready).plan.taps == ("2",)


def test_a_budget_that_holds_no_row_is_refused():
    x = networks.points(1, 6)
    with pytest.raises(BudgetTooSmall):
        attributed(
            LayerAblation(), prepared(networks.mlp(), x, torch.zeros_like(x), Target.classes(1)), memory_bytes=1000
        )


def test_groups_are_the_units_along_an_axis():
    groups = AlongAxis.of("last", (2, 3))
    assert (groups.count, groups.units) == (3, (3,))
    assert groups.members(1, 3, torch.device("cpu")).expand(2, 2, 3).int().tolist() == [
        [[0, 1, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]],
    ]  # fmt: skip
    single = AlongAxis.of("unit", (2, 2))
    assert single.members(2, 3, torch.device("cpu")).int().tolist() == [[[0, 0], [1, 0]]]
    assert AlongAxis.of("first", ()).count == 1


def test_settings_are_told_as_plain_values():
    assert LayerAblation(along="last").as_json() == {"along": "last", "fill": "zero"}
    assert LayerIntegratedGradients(steps=4).as_json() == {"steps": 4, "rule": "captum"}
