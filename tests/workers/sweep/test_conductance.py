"""The numbers of the sweep: by hand, against the paper term by term, and their properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests import networks
from tests.references.conductance import conductance, left_differences
from tests.workers.sweep.conftest import run
from workers.sweep.completeness import completeness
from workers.sweep.rules import nodes
from workers.sweep.target import Target


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_conductance_of_a_relu_pair_is_its_signed_output_change(steps):
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    swept = run(network, x, torch.zeros_like(x), Target.value(), steps=steps, rule="trapezoid")
    torch.testing.assert_close(swept["relu"], torch.tensor([[2.0, -1.0]], dtype=torch.float64), rtol=1e-15, atol=0)
    assert completeness(swept.totals.signed("relu"), swept.ends).delta.tolist() == pytest.approx([0.0], abs=1e-15)


def test_captums_nodes_miss_what_lies_before_the_first_and_after_the_last():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    swept = run(network, x, torch.zeros_like(x), Target.value(), steps=4, rule="captum")
    first, *_, last = nodes("captum", 4)
    expected = torch.tensor([[3 * last - 1, -(last - first)]], dtype=torch.float64)
    torch.testing.assert_close(swept["relu"], expected)


def test_a_product_is_shared_equally_between_its_factors():
    x, baseline = torch.tensor([[3.0, 5.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    swept = run(networks.Squares().double().eval(), x, baseline, Target.value(), steps=1, rule="trapezoid")
    assert swept["scale"].tolist() == [[15.0, 15.0]]
    assert swept.ends.output.tolist() == [30.0]
    assert completeness(swept.totals.signed("scale"), swept.ends).delta.tolist() == [0.0]


FAMILIES = [
    (networks.lstm, (7, 5), "rnn", "rnn:0", lambda out: out[0], 0),
    (networks.gru, (7, 5), "rnn", "rnn:0", lambda out: out[0], 0),
    (lambda: networks.ready(networks.StateReader()), (7, 5), "rnn", "rnn:1", lambda out: out[1][0], 0),
    (lambda: networks.ready(networks.Attention()), (6, 8), "attention", "attention", lambda out: out[0], 0),
    (lambda: networks.ready(networks.Attention()), (6, 8), "norm", "norm", lambda out: out, 0),
    (lambda: networks.ready(networks.Positions()), (6, 8), "act", "act", lambda out: out, 0),
    (lambda: networks.ready(networks.Reused()), (6,), "shared", "shared@0", lambda out: out, 0),
    (lambda: networks.ready(networks.Reused()), (6,), "shared", "shared@1", lambda out: out, 1),
    (lambda: networks.ready(networks.Structured()), (6,), "inner", "inner", lambda out: out["answer"].logits, 0),
    (networks.smooth_mlp, (6,), "1", "1", lambda out: out, 0),
]


@pytest.mark.parametrize(("make", "shape", "module", "key", "read", "call"), FAMILIES, ids=[f[3] for f in FAMILIES])
def test_it_equals_the_step_by_step_transcription(make, shape, module, key, read, call):
    network, x = make(), networks.points(2, *shape)
    baseline = networks.points(1, *shape, seed=5) * 0.1
    swept = run(network, x, baseline, Target.classes([2, 1]), steps=12)
    layer = dict(network.named_modules())[module]
    for i, label in enumerate((2, 1)):
        slow = left_differences(
            network, layer, x[i : i + 1], baseline, lambda out, label=label: out[:, label], 12, read, call
        )
        torch.testing.assert_close(swept[key][i].reshape(-1), slow.reshape(-1), rtol=1e-9, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "shape", "module", "key", "read", "call"), FAMILIES, ids=[f[3] for f in FAMILIES])
def test_it_converges_to_the_integral_of_the_paper(make, shape, module, key, read, call):
    network, x = make(), networks.points(1, *shape)
    baseline = torch.zeros(1, *shape, dtype=torch.float64)
    exact = conductance(
        network, dict(network.named_modules())[module], x, baseline, lambda out: out[:, 1], 300, read, call
    )
    swept = run(network, x, baseline, Target.classes(1), steps=300, rule="trapezoid")
    gap = (swept[key].reshape(-1) - exact.reshape(-1)).abs().max() / exact.abs().max()
    assert gap < (2e-2 if module == "shared" else 2e-3)  # ReLU converges slowly


def test_the_trapezoid_is_more_accurate_than_captums_rule_at_equal_steps():
    errors = {"captum": [], "trapezoid": []}
    for seed in range(5):
        network, x = networks.mlp(seed=seed), networks.points(1, 6, seed=seed)
        baseline = torch.zeros(1, 6, dtype=torch.float64)
        exact = run(network, x, baseline, Target.classes(1), steps=4000, rule="trapezoid")
        for rule, found in errors.items():
            rough = run(network, x, baseline, Target.classes(1), steps=20, rule=rule)
            for key in ("0", "1", "2", "3", "4"):
                found.append(float((rough[key] - exact[key]).abs().sum() / exact[key].abs().sum()))
    middle = {rule: sorted(each)[len(each) // 2] for rule, each in errors.items()}
    assert middle["trapezoid"] < 0.7 * middle["captum"]


@pytest.mark.parametrize(("rule", "order"), [("captum", 1.8), ("trapezoid", 3.5)])
def test_doubled_steps_shrink_the_completeness_error_of_a_smooth_network(rule, order):
    network, x, baseline = networks.smooth_mlp(), networks.points(4, 6), torch.zeros(1, 6, dtype=torch.float64)
    worst = []
    for steps in (20, 40):
        swept = run(network, x, baseline, Target.classes(1), steps=steps, rule=rule)
        worst.append(completeness(swept.totals.signed("1"), swept.ends).delta.abs().mean())
    assert worst[0] / worst[1] > order


def test_a_zero_step_gives_exactly_zero_and_leaves_its_neighbours_alone():
    network, x = networks.resnet(), networks.points(3, 3, 12, 12)
    baseline = torch.zeros_like(x)
    baseline[1] = x[1]
    swept = run(network, x, baseline, Target.classes(1))
    for key in swept.plan.taps:
        assert swept[key][1].abs().max() == 0
        assert swept[key][0].abs().max() > 0
    assert swept.ends.difference[1] == 0


def test_layers_off_the_path_are_said_to_be_and_a_layer_that_never_runs_is_named():
    network, x, baseline = networks.ready(networks.Branches()), networks.points(2, 6), networks.points(1, 6, seed=4)
    swept = run(network, x, baseline, Target.classes(1))
    side = swept.probe.tap("side")
    assert (side.status, side.reason) == ("off_path", "the target does not depend on its output")
    assert "side" not in swept.plan.taps
    assert swept.probe.silent == ("unused",)
    other = Target("logit", torch.tensor([[1]]), output=1)
    assert run(network, x, baseline, other).probe.tap("main").status == "off_path"


def test_a_position_embedding_is_constant_and_not_an_error():
    network, x = networks.ready(networks.Positions()), networks.points(2, 6, 8)
    swept = run(network, x, torch.zeros_like(x), Target.classes(1))
    position = swept.probe.tap("position")
    assert (position.status, position.reason) == ("constant", "its output does not change with the input")


def test_a_probability_is_explained_after_the_softmax():
    network, x, baseline = networks.smooth_mlp(), networks.points(2, 6), torch.zeros(1, 6, dtype=torch.float64)
    with_softmax = nn.Sequential(*network, nn.Softmax(dim=1))
    ours = run(network, x, baseline, Target.classes([0, 2], "probability"))
    theirs = run(with_softmax, x, baseline, Target.classes([0, 2]))
    torch.testing.assert_close(ours["2"], theirs["2"])
    torch.testing.assert_close(ours.ends.output, network(x).softmax(1)[[0, 1], [0, 2]].detach())


def test_an_element_of_a_larger_output_is_a_target():
    network, x = (
        nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Unflatten(1, (3, 4))).double().eval(),
        networks.points(2, 6),
    )
    flat = nn.Sequential(network[0], network[1])
    baseline = torch.zeros_like(x)
    there = run(network, x, baseline, Target.element(1, 2))
    torch.testing.assert_close(there["0"], run(flat, x, baseline, Target.classes(6))["0"])


@given(
    width=st.integers(2, 12), depth=st.integers(1, 3), seed=st.integers(0, 10**6), steps=st.integers(1, 12),
    rule=st.sampled_from(["captum", "trapezoid"]), label=st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=25)
def test_random_networks_are_complete_up_to_the_error_of_the_last_layer(width, depth, seed, steps, rule, label):
    network, x = networks.mlp(width, depth, seed=seed), networks.points(2, 6, seed=seed)
    baseline = networks.points(1, 6, seed=seed + 1)
    swept = run(network, x, baseline, Target.classes(label), steps=steps, rule=rule)
    assert all(swept.probe.tap(key).cut for key in swept.plan.taps)
    last = f"{2 * depth}"
    if rule == "trapezoid":  # the target is linear in the last layer, and the nodes reach both ends
        delta = completeness(swept.totals.signed(last), swept.ends).delta
        torch.testing.assert_close(delta, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12)
    fine = run(network, x, baseline, Target.classes(label), steps=400, rule=rule)
    scale = float(fine.ends.difference.abs().max()) + float(fine.totals.absolute("0").max())
    # A unit that wakes for a hundredth of the path conducts little, but the step it wakes in is lost whole: what one
    # step can carry is the network's Lipschitz bound times the step.
    weights = [layer.weight.detach() for layer in network.modules() if isinstance(layer, nn.Linear)]
    lipschitz = float(torch.stack([torch.linalg.matrix_norm(weight, 2) for weight in weights]).prod())
    one_step = lipschitz * float((x - baseline).norm(dim=1).max()) / 400
    for key in swept.plan.taps:
        assert float(completeness(fine.totals.signed(key), fine.ends).delta.abs().max()) <= 0.03 * scale + one_step


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 12), rule=st.sampled_from(["captum", "trapezoid"]))
@settings(max_examples=20)
def test_conductance_is_additive_over_targets(seed, steps, rule):
    network, x, baseline = networks.mlp(seed=seed), networks.points(2, 6, seed=seed), networks.points(1, 6, seed=3)
    one, two = (run(network, x, baseline, Target.classes(c), steps, rule) for c in (0, 1))
    total = nn.Linear(4, 1, bias=False).double()
    with torch.no_grad():
        total.weight.copy_(torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    both = run(nn.Sequential(*network, total).eval(), x, baseline, Target.value(), steps, rule)
    for key in ("0", "1", "3"):
        torch.testing.assert_close(both[key], one[key] + two[key], rtol=1e-9, atol=1e-12)
