"""captum 0.9.0, tap by tap, in float64: every method that has a twin, over the zoo, drawn networks and odd ones."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import LayerGradientShap, NoiseTunnel
from captum.attr import Saliency as CaptumSaliency
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamina.zoo.families import FAMILIES
from tests import networks
from tests.workers.sweep.methods.made import CLASSES, attributed, checked, ready, worst
from workers.sweep.axes import stays
from workers.sweep.methods.at_input import Activation, GradientXActivation, InputXGradient, Saliency
from workers.sweep.methods.draws import drawn, spread
from workers.sweep.methods.gradcam import GradCam
from workers.sweep.methods.gradient_shap import GradientShap
from workers.sweep.methods.internal_influence import IntegratedGradients, InternalInfluence
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.methods.smoothgrad import SmoothGrad
from workers.sweep.methods.within import ConductanceWithin, IntegratedGradientsWithin
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target

pytestmark = [pytest.mark.filterwarnings("ignore:::captum"), pytest.mark.filterwarnings("ignore:::torch")]
BAR = 1e-10

OF_LAYERS = [
    Activation(),
    GradientXActivation(),
    InternalInfluence(steps=5),
    InternalInfluence(steps=5, rule="captum"),
    GradientShap(samples=3),
    GradientShap(samples=3, noise=0.2),
]
OF_INPUTS = [
    Saliency(),
    Saliency(absolute=False),
    InputXGradient(),
    IntegratedGradients(steps=5),
    IntegratedGradients(steps=5, rule="trapezoid"),
    *(SmoothGrad(samples=3, of=of) for of in ("mean", "square", "variance")),
    SmoothGrad(samples=3, noise=0.5, ranges=(2.0, 2.0)),
]
SHOWN = {"image": 2, "series": 1}


def extent_of(name: str) -> tuple[int, ...]:
    facts = FAMILIES[name].facts.input
    if facts.kind == "image":
        return tuple(facts.shape[-2:])
    return (facts.shape[0],) if facts.kind == "series" else ()


ZOO = ("mlp", "cnn", "resnet", "mobilenet", "unet", "lstm", "cell_loop", "transformer", "vit", "autoencoder",
       "discriminator", "policy")  # fmt: skip


def from_zoo(name: str):
    family = FAMILIES[name]
    network, x = family.network().double(), tuple(each.double() for each in family.prepared(family.examples(3)))
    with torch.no_grad():
        output = network(*x)
    first = output if isinstance(output, torch.Tensor) else next(iter(output.values()))
    numbers = first[0].numel()
    position = tuple(int(i) for i in torch.unravel_index(torch.tensor(numbers // 2), first.shape[1:]))
    return ready(network, x, Target.element(*position) if first.ndim > 1 else Target.value())


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_method_equals_captum_on_every_tap_of_the_zoo_that_captum_can_do(name):
    prepared, compared = from_zoo(name), 0
    maps = [GradCam(mode=mode, extent=extent_of(name)) for mode in ("gradcam", "hirescam")] if extent_of(name) else []
    for method in (*OF_LAYERS, *OF_INPUTS, *maps):
        try:
            checks = checked(method, prepared)
        except SweepRefused:
            assert isinstance(method, GradCam)
            assert not any(each.axes for each in stays(prepared.probe.taps, "place", extent_of(name)).values())
            continue
        known = [check for check in checks if check.applicable]
        assert all(check.reason for check in checks if not check.applicable)
        if known:
            assert worst(known) <= BAR, (method, max(known, key=lambda check: check.difference or 0))
            compared += len(known)
    assert compared >= len(OF_INPUTS) + len(OF_LAYERS)


ODD = {
    "resnet": (networks.resnet, (3, 12, 12)),
    "attention": (lambda: networks.ready(networks.Attention()), (6, 8)),
    "in place": (lambda: networks.ready(networks.InPlaceInput()), (6,)),
    "structured": (lambda: networks.ready(networks.Structured()), (6,)),
}


@pytest.mark.parametrize("name", ODD)
def test_every_method_equals_captum_on_odd_networks(name):
    make, shape = ODD[name]
    prepared = ready(make(), networks.points(3, *shape), CLASSES)
    for method in (*OF_LAYERS, *OF_INPUTS):
        checks = checked(method, prepared)
        assert worst(checks) <= BAR, method


@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), width=st.integers(3, 9), smooth=st.booleans(), steps=st.integers(2, 9))
def test_drawn_networks_equal_captum(seed, width, smooth, steps):
    act = nn.Tanh if smooth else nn.ReLU
    layers = [nn.Conv1d(2, width, 3, padding=1), act(), nn.Conv1d(width, 4, 3), act(), nn.Flatten(), nn.Linear(20, 3)]
    network, x = networks.ready(nn.Sequential(*layers), seed), networks.points(3, 2, 7, seed=seed)
    prepared = ready(network, x, CLASSES, (networks.points(1, 2, 7, seed=seed + 1),), sequence=2)
    for method in (
        GradientXActivation(), InternalInfluence(steps=steps, rule="captum"), IntegratedGradients(steps=steps),
        GradientShap(samples=steps), SmoothGrad(samples=steps), GradCam(extent=(7,)),
        NeuronConductance(layer="1", chosen=((width - 1, 3), (0, 0)), steps=steps),
        NeuronConductance(layer="1", chosen=((1, 6),), steps=steps, rule="captum"),
        ConductanceWithin(tolerance=0.1, most_steps=16), IntegratedGradientsWithin(tolerance=0.1, most_steps=16),
    ):  # fmt: skip
        assert worst(checked(method, prepared)) <= BAR, method


def test_what_captum_cannot_compare_is_said():
    lstm = ready(networks.lstm(), networks.points(3, 7, 5), CLASSES)
    reused = ready(networks.ready(networks.Reused()), networks.points(3, 6), CLASSES)
    attention = ready(networks.ready(networks.Attention()), networks.points(3, 6, 8), CLASSES, sequence=1)
    for prepared, method, key, said in [
        (lstm, Activation(), "rnn:0", "gives 3 tensors"),
        (lstm, NeuronConductance(layer="rnn:0", chosen=((6, 1),), steps=3), "input", "gives 3 tensors"),
        (reused, GradientXActivation(), "shared@0", "keeps only its last call"),
        (attention, GradCam(extent=(6,)), "norm", "captum takes the first axis for channels"),
        (attention, GradCam(mode="layercam", extent=(6,)), "norm", "captum has no LayerCAM"),
    ]:
        check = next(check for check in checked(method, prepared) if check.layer == key)
        assert check.difference is None
        assert said in check.reason


def test_a_wrong_number_is_noticed_by_every_twin():
    prepared = ready(networks.cnn(), networks.points(3, 1, 12, 12), CLASSES)
    unit = NeuronConductance(layer="0", chosen=((0, 3, 3), (1, 5, 5)), steps=3)
    for method in (*OF_LAYERS, *OF_INPUTS, GradCam(extent=(12, 12)), unit, ConductanceWithin(tolerance=0.5)):
        made = attributed(method, prepared)
        wrong = {key: each * (1 + 1e-6) for key, each in made.of.items()}
        for check in method.verify(prepared, made.plan, wrong, 0):
            assert check.difference == pytest.approx(1e-6, rel=1e-3), method


# --- captum's own methods, where the twin is made of its parts


def test_captums_integrated_gradients_differ_by_no_more_than_its_float32_weights():
    network, x = networks.smooth_mlp(), networks.points(3, 6)
    ours = attributed(IntegratedGradients(steps=9), ready(network, x, CLASSES))["input"]
    theirs = CaptumIntegratedGradients(network).attribute(x, x * 0, target=torch.tensor([0, 1, 2]), n_steps=9)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 2e-7


@pytest.mark.parametrize("of", ["mean", "square", "variance"])
def test_captums_noise_tunnel_gives_our_numbers_from_our_noise(of):
    network, x, samples = networks.smooth_mlp(), networks.points(3, 6), 4
    ours = attributed(SmoothGrad(samples=samples, noise=0.3, of=of), ready(network, x, CLASSES), seed=5)["input"]
    noise = [
        [0.3 * spread(x)[i] * drawn(5, i, d, 0, (x.shape[1:],)).noise[0] for d in range(samples)] for i in range(3)
    ]
    rows = torch.stack([each for one in noise for each in one])
    kind = {"mean": "smoothgrad", "square": "smoothgrad_sq", "variance": "vargrad"}[of]
    with mock.patch("torch.normal", return_value=rows):
        theirs = NoiseTunnel(CaptumSaliency(network)).attribute(
            x, nt_type=kind, nt_samples=samples, stdevs=1.0, target=torch.tensor([0, 1, 2]), abs=False
        )
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < BAR


def test_captums_gradient_shap_gives_our_numbers_from_our_draws():
    network, x, samples = networks.cnn(), networks.points(3, 1, 12, 12), 4
    prepared = ready(network, x, CLASSES)
    ours = attributed(GradientShap(samples=samples), prepared, seed=7)
    draws = [drawn(7, i, d, 2, ()) for i in range(3) for d in range(samples)]
    others = [each.other + (each.other >= at // samples) for at, each in enumerate(draws)]
    coefficients = np.array([each.coefficient for each in draws])
    for key in ("0", "3", "7"):
        with (
            mock.patch("numpy.random.choice", return_value=np.array(others)),
            mock.patch("numpy.random.uniform", return_value=coefficients),
        ):
            method = LayerGradientShap(network, dict(network.named_modules())[key])
            theirs = method.attribute(x, x, n_samples=samples, stdevs=0.0, target=torch.tensor([0, 1, 2]))
        assert float((ours[key] - theirs).abs().max() / theirs.abs().max()) < BAR
