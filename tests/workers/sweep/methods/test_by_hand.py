"""Methods that read values and gradients at points: by hand, and by the papers' formulas, one number at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.references import path as by_hand
from tests.workers.sweep.methods.made import CLASSES, attributed, ready
from workers.sweep.methods.at_input import Activation, GradientXActivation, InputXGradient, Saliency
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.gradcam import GradCam
from workers.sweep.methods.internal_influence import IntegratedGradients, InternalInfluence, quadrature
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.refusals import SweepRefused, UnknownTap
from workers.sweep.target import Target

PRODUCT = torch.tensor([[3.0, 5.0]], dtype=torch.float64)
"""f = h1 h2 with h = (x1, 2 x2): at (3, 5) h = (3, 10), f = 30."""


def product() -> nn.Module:
    return networks.Squares().double().eval()


def at(label: int):
    return lambda output: output[:, label]


# --- by hand


def test_a_product_of_two_units_by_every_method():
    given = ready(product(), PRODUCT, Target.value())
    expected = {
        Activation(): [3.0, 10.0],
        GradientXActivation(): [30.0, 30.0],
        InternalInfluence(steps=1): [5.0, 1.5],  # the mean over α of α (10, 3)
        InternalInfluence(steps=1, rule="captum"): [5.0, 1.5],
    }
    for method, numbers in expected.items():
        made = attributed(method, given)
        assert made["scale"].tolist() == [numbers], method
        assert made.ends.output.tolist() == [30.0]
        assert made.ends.baseline_output.tolist() == [0.0]
        assert "input" not in made.of


def test_the_input_of_a_product_by_every_method_of_inputs():
    given = ready(product(), -PRODUCT, Target.value())
    expected = {
        Saliency(): [10.0, 6.0],
        Saliency(absolute=False): [-10.0, -6.0],
        InputXGradient(): [30.0, 30.0],
        IntegratedGradients(steps=1): [15.0, 15.0],
        IntegratedGradients(steps=1, rule="trapezoid"): [15.0, 15.0],
    }
    for method, numbers in expected.items():
        made = attributed(method, given)
        assert made["input"].tolist() == [numbers], method
        assert set(made.of) == {"input"}


def test_the_conductance_of_one_unit_by_the_input_that_it_comes_through():
    given = ready(product(), PRODUCT, Target.value())
    made = attributed(NeuronConductance(layer="scale", chosen=((0,), (1,)), steps=1), given)
    # dF/dh1 dh1/dx1 x1 = ∫ 10α dα · 1 · 3 = 15 and nothing through x2; the other unit likewise
    assert made["input"].tolist() == [[[15.0, 0.0], [0.0, 15.0]]]


class Picture(nn.Module):
    """Two channels of 2 by 2; the target weighs channel 0 by (1, 2; 3, -2) and channel 1 by -1 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ReLU()  # of what is positive already
        self.register_buffer("weights", torch.tensor([[[1.0, 2.0], [3.0, -2.0]], [[-1.0, -1.0], [-1.0, -1.0]]]))

    def forward(self, x: Tensor) -> Tensor:
        return (self.maps(x) * self.weights).flatten(1).sum(1)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("gradcam", [[1 * 1 - 5.0, 2 - 6.0], [3 - 7.0, 4 - 8.0]]),  # the mean slope of channel 0 is 1
        ("hirescam", [[1 - 5.0, 4 - 6.0], [9 - 7.0, -8 - 8.0]]),
        ("layercam", [[1.0, 4.0], [9.0, 0.0]]),
    ],
)
def test_maps_of_two_channels(mode, expected):
    x = torch.arange(1.0, 9.0, dtype=torch.float64).view(1, 2, 2, 2)
    given = ready(Picture().double().eval(), x, Target.value())
    assert attributed(GradCam(mode=mode, extent=(2, 2)), given, ("maps",))["maps"].tolist() == [expected]


# --- by the papers' formulas

FAMILIES = [
    (networks.lstm, (7, 5), "rnn", "rnn:0", lambda out: out[0], 0),
    (lambda: networks.ready(networks.StateReader()), (7, 5), "rnn", "rnn:1", lambda out: out[1][0], 0),
    (lambda: networks.ready(networks.Attention()), (6, 8), "attention", "attention", lambda out: out[0], 0),
    (lambda: networks.ready(networks.Positions()), (6, 8), "act", "act", by_hand.whole, 0),
    (lambda: networks.ready(networks.Reused()), (6,), "shared", "shared@0", by_hand.whole, 0),
    (lambda: networks.ready(networks.Reused()), (6,), "shared", "shared@1", by_hand.whole, 1),
    (networks.resnet, (3, 12, 12), "4.relu1", "4.relu1", by_hand.whole, 0),
]
NAMES = [family[3] for family in FAMILIES]


@pytest.mark.parametrize(("make", "shape", "module", "key", "read", "call"), FAMILIES, ids=NAMES)
def test_values_and_slopes_equal_those_of_one_example_at_a_time(make, shape, module, key, read, call):
    network, x = make(), networks.points(3, *shape)
    given = ready(network, x, CLASSES)
    values, products = attributed(Activation(), given)[key], attributed(GradientXActivation(), given)[key]
    for i, label in enumerate((0, 1, 2)):
        layer = dict(network.named_modules())[module]
        value, slope = by_hand.look(network, layer, x[i : i + 1], at(label), read, call)
        torch.testing.assert_close(values[i].reshape(-1), value.reshape(-1), rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(products[i].reshape(-1), (value * slope).reshape(-1), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("make", "shape", "module", "key", "read", "call"), FAMILIES[:6], ids=NAMES[:6])
def test_influence_converges_to_the_integral(make, shape, module, key, read, call):
    network, x = make(), networks.points(3, *shape)
    made = attributed(InternalInfluence(steps=300), ready(network, x, CLASSES), (key,))[key]
    layer, zero = dict(network.named_modules())[module], torch.zeros_like(x[:1])
    exact = by_hand.mean_slope(network, layer, x[1:2], zero, at(1), 300, read, call).reshape(-1)
    gap = (made[1].reshape(-1) - exact).abs().max() / exact.abs().max()
    assert gap < (1e-2 if module == "shared" else 1e-4)  # the slope of ReLU jumps


def test_integrated_gradients_are_complete_and_equal_the_integral():
    network, x, baseline = networks.smooth_mlp(), networks.points(3, 6), networks.points(1, 6, seed=5)
    given = ready(network, x, CLASSES, (baseline,))
    for method in (IntegratedGradients(steps=20), IntegratedGradients(steps=400, rule="trapezoid")):
        made = attributed(method, given)
        assert method.complete(given, given.probe.tap("input"))
        torch.testing.assert_close(made.totals.signed("input"), made.ends.difference, rtol=1e-4, atol=1e-6)
        exact = by_hand.mean_slope(network, None, x[2:3], baseline, at(2), 800) * (x[2:3] - baseline)
        torch.testing.assert_close(made["input"][2:3], exact, rtol=1e-4, atol=1e-6)


def test_of_two_inputs_neither_is_complete_alone_and_both_are_together():
    x, y = networks.points(6, 6).split(3)
    network = networks.ready(networks.Siamese())
    given = ready(network, (x, y), CLASSES, (torch.zeros(1, 6).double(), torch.ones(1, 6).double()))
    method = IntegratedGradients(steps=60)
    made = attributed(method, given)
    assert set(made.of) == set(given.inputs) == {"input", "input_2"}
    assert not any(method.complete(given, given.probe.tap(key)) for key in given.inputs)
    together = made.totals.signed("input") + made.totals.signed("input_2")
    torch.testing.assert_close(together, made.ends.difference, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("mode", ["gradcam", "hirescam", "layercam"])
def test_maps_of_pictures_tokens_and_series_equal_the_formula(mode):
    cases = [
        (networks.cnn(), (1, 12, 12), (12, 12), "3", lambda t: t[0].flatten(1), by_hand.whole),
        (networks.ready(networks.Attention()), (6, 8), (6,), "norm", None, by_hand.whole),
        (networks.ready(networks.Attention()), (6, 8), (6,), "attention", lambda t: t[0].T, lambda out: out[0]),
        (networks.lstm(), (7, 5), (7,), "rnn:0", lambda t: t[0].T, lambda out: out[0]),
    ]
    for network, shape, extent, key, flat, read in cases:
        x = networks.points(3, *shape)
        along = 1 if len(extent) == 1 else None
        given, method = ready(network, x, CLASSES, sequence=along), GradCam(mode=mode, extent=extent)
        if flat is None:  # one vector for all tokens has no place
            assert "no places" in method.obstacle(given, given.probe.tap("head"))
            continue
        made = attributed(method, given, (key,))[key]
        layer = dict(network.named_modules())[key.split(":")[0]]
        for i in range(3):
            value, slope = by_hand.look(network, layer, x[i : i + 1], at(i), read)
            expected = by_hand.cam(flat(value), flat(slope), mode)
            torch.testing.assert_close(made[i].reshape(-1), expected, rtol=1e-9, atol=1e-13)


def test_the_conductance_of_units_equals_the_formula_and_adds_up_to_conductance():
    network, x, baseline = networks.smooth_mlp(), networks.points(3, 6), networks.points(1, 6, seed=5)
    given, chosen = ready(network, x, CLASSES, (baseline,)), ((3,), (0,), (11,))
    for rule in ("captum", "trapezoid"):
        made = attributed(NeuronConductance(layer="1", chosen=chosen, steps=30, rule=rule), given)["input"]
        points = quadrature(rule, 30)
        for number, unit in enumerate(chosen):
            exact = by_hand.neuron_conductance(
                network, network[1], x[1:2], baseline, at(1), unit, points.nodes, points.weights
            )
            torch.testing.assert_close(made[1:2, number], exact, rtol=1e-10, atol=1e-14)
    fine = attributed(NeuronConductance(layer="1", chosen=chosen, steps=30, rule="captum"), given)["input"]
    whole = attributed(Conductance(steps=1000), given, ("1",))["1"]
    for number, (unit,) in enumerate(chosen):
        torch.testing.assert_close(fine[:, number].sum(1), whole[:, unit], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["captum", "trapezoid"])
@pytest.mark.parametrize("points", [1, 7, 61])
def test_what_the_inputs_get_for_a_unit_is_the_conductance_of_its_own_values(rule, points):
    given, chosen = ready(networks.smooth_mlp(), networks.points(3, 6), CLASSES), ((3,), (0,), (11,))
    method = NeuronConductance(layer="1", chosen=chosen, steps=60, rule=rule)
    ends = attributed(method, given, points=points, examples=2).ends
    whole = attributed(Conductance(steps=1000), given, ("1",))["1"]
    torch.testing.assert_close(ends.own, whole[:, [3, 0, 11]], rtol=2e-3, atol=1e-5)
    torch.testing.assert_close(ends.summed, whole[:, [3, 0, 11]], rtol=2e-3, atol=1e-5)
    assert bool((ends.gross >= ends.own.abs() - 1e-12).all())
    assert ends.unsummed == ""
    assert float(ends.error().max()) < 5e-3


def test_a_step_that_misses_a_kink_shows_as_a_difference_from_the_units_own_conductance():
    given = ready(networks.mlp(), networks.points(3, 6), CLASSES)
    chosen = tuple((at,) for at in range(given.probe.tap("1").shape[0]))
    coarse, fine = (
        attributed(NeuronConductance(layer="1", chosen=chosen, steps=steps, rule="captum"), given).ends.error()
        for steps in (1, 400)
    )
    assert float(coarse.nan_to_num(0.0).mean(0).max()) > 0.05
    assert float(fine.nan_to_num(0.0).mean(0).max()) < 0.02


def test_a_unit_is_not_told_to_add_up_where_an_input_is_left_out():
    x = (networks.points(3, 6), networks.points(3, 6, seed=2))
    given = ready(networks.ready(networks.Siamese()), x, CLASSES)
    method = NeuronConductance(layer="head", chosen=((0,),), steps=4)
    assert attributed(method, given).ends.unsummed == ""
    assert "through 'input_2' is not attributed" in attributed(method, given, ("input",)).ends.unsummed


# --- what has no number, and why


def test_methods_of_inputs_leave_layers_out_and_say_so():
    given = ready(networks.mlp(), networks.points(3, 6), CLASSES)
    for method in (Saliency(), InputXGradient(), IntegratedGradients(steps=3)):
        assert (
            method.obstacle(given, given.probe.tap("0")) == f"{method.name} attributes to inputs, and this is a layer"
        )
        with pytest.raises(SweepRefused, match="not applicable, because 0: "):
            method.plan(given, 1 << 30, 1, ("0",))


def test_maps_of_a_table_or_of_vectors_are_refused_with_what_to_ask_instead():
    given = ready(networks.mlp(), networks.points(3, 6), CLASSES)
    with pytest.raises(SweepRefused, match="no places that a map could show; ask for layer_gradient_x_activation"):
        GradCam(extent=()).plan(given, 1 << 30, 1, ())
    with pytest.raises(SweepRefused, match=r"its units \(16,\) have no places"):
        GradCam(extent=(6,)).plan(given, 1 << 30, 1, ())


def test_a_map_leaves_out_the_vectors_of_a_network_that_has_both():
    given = ready(networks.cnn(), networks.points(3, 1, 12, 12), CLASSES)
    made = attributed(GradCam(extent=(12, 12)), given)
    assert set(made.of) == {"0", "1", "2", "3", "4", "5"}
    assert [tuple(made[key].shape[1:]) for key in ("0", "2", "5")] == [(12, 12), (6, 6), (3, 3)]


@pytest.mark.parametrize(
    ("layer", "chosen", "said"),
    [
        ("nonsense", ((0,),), "no layer 'nonsense'; did you mean"),
        ("0", ((16,),), r"no unit \(16,\)"),
        ("0", ((1, 1),), r"no unit \(1, 1\)"),
        ("0", (), "name at least one unit"),
        ("input", ((0,),), "ask for integrated_gradients"),
    ],
)
def test_units_that_are_not_there_are_refused(layer, chosen, said):
    given = ready(networks.mlp(), networks.points(3, 6), CLASSES)
    with pytest.raises((SweepRefused, UnknownTap), match=said):
        NeuronConductance(layer=layer, chosen=chosen, steps=3).plan(given, 1 << 30, 1, ())


def test_a_layer_off_the_path_has_no_units_to_ask_about():
    network = networks.ready(networks.Branches())
    given = ready(network, networks.points(3, 6), CLASSES)
    with pytest.raises(SweepRefused, match="the target does not depend on its output"):
        NeuronConductance(layer="side", chosen=((0,),), steps=3).plan(given, 1 << 30, 1, ())
