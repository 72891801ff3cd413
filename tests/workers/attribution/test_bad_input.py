"""What a request gets wrong is told, each in its own words, and the rest of it still runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers import subjects
from tests.workers.subjects import answer, subject
from workers.analyses import KINDS

CONDUCTANCE = KINDS["layer_conductance"]


def said(kind: str, of: subjects.Subject, **parameters: object) -> str:
    made = KINDS[kind].parameters.model_validate(parameters)
    return "; ".join(KINDS[kind].applies(of, made))


class Apart(nn.Module):
    """A layer that nothing reads, between two that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.side, self.last = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        self.side(hidden)
        return self.last(hidden)


class Dividing(nn.Module):
    """Its second layer divides by zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 4), Zeroth(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)))


class Zeroth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / torch.zeros_like(x)


def test_an_unknown_layer_alone_is_refused_with_the_nearest_names():
    text = said("layer_conductance", subjects.images(), layers=("4.norm9",))
    assert text.startswith("4.norm9: no such layer ran; the nearest are 4.norm")


def test_an_unknown_layer_beside_a_known_one_is_listed_and_the_other_is_attributed():
    made = answer(CONDUCTANCE, subjects.images(), layers=("0", "4.norm9"), steps=4).outcome
    assert [layer.key for layer in made.layers] == ["0"]
    (absent,) = made.not_applicable
    assert absent.subject == "4.norm9"
    assert "the nearest are" in absent.because


def test_a_layer_off_the_path_is_listed_and_the_rest_is_attributed():
    torch.manual_seed(0)
    of = subject(Apart().eval(), networks.points(3, 6).float())
    made = answer(CONDUCTANCE, of, layers=("first", "side"), steps=4).outcome
    assert [layer.key for layer in made.layers] == ["first"]
    assert [(each.subject, "does not depend" in each.because) for each in made.not_applicable] == [("side", True)]


def test_the_first_layer_that_gives_nan_is_named():
    of = subject(Dividing().eval(), networks.points(3, 6).float())
    for kind in ("layer_conductance", "saliency", "occlusion"):
        assert "layer 'norm' gave NaN or infinity" in said(kind, of)


def test_examples_that_influence_each_other_are_refused_by_every_kind():
    of = subject(networks.ready(networks.Counter()).float(), networks.points(3, 6).float())
    for kind in KINDS:
        if KINDS[kind].family == "attribution" and "examples" in KINDS[kind].parameters.model_fields:
            assert said(kind, of), kind


@pytest.mark.parametrize(
    "kind", ["layer_deeplift", "integrated_gradients", "saliency", "kernel_shap", "layer_ablation"]
)
@pytest.mark.parametrize(
    ("target", "reason"), [("element:9", "outside"), ("class:horse", "no class 'horse'"), ("region:1", "segmentation")]
)
def test_a_target_that_the_output_does_not_have_is_refused_by_every_method(kind, target, reason):
    assert reason in said(kind, subjects.classifier(), target=target)


def test_a_method_without_a_meaning_here_says_what_to_ask_instead():
    text = said("layer_gradcam", subjects.classifier())
    assert "no places" in text
    assert "ask for layer_gradient_x_activation" in text


def test_units_that_a_layer_does_not_have_are_refused_with_those_it_has():
    of = subjects.classifier()
    assert "its units are" in said("neuron_conductance", of, layer="0", units=("999",))
    assert "did you mean" in said("neuron_conductance", of, layer="00", units=("0",))


def test_unit_0_of_a_layer_with_more_axes_is_not_taken_for_the_first_that_is_meant_by_none():
    of = subjects.images()
    layer = next(name for name, each in of.model.named_modules() if isinstance(each, nn.Conv2d))
    assert "has no unit (0,)" in said("neuron_conductance", of, layer=layer, units=("0",))


def test_one_example_has_no_others_as_baselines():
    assert "there is one example" in said("layer_gradient_shap", subjects.classifier(), examples=1)


def test_windows_larger_than_the_input_are_cut_to_it_and_too_few_coalitions_are_refused():
    assert said("occlusion", subjects.classifier(), window=50) == ""
    assert "cannot tell" in said("kernel_shap", subjects.images(), samples=10)


def test_a_baseline_that_only_tokens_have_is_refused():
    assert "pad" in said("layer_conductance", subjects.classifier(), baseline="pad")


@pytest.mark.parametrize("bad", ["", "constant:", "noise", "constant:1e999"])
def test_a_baseline_that_is_none_does_not_validate(bad):
    with pytest.raises(ValueError, match="pattern"):
        CONDUCTANCE.parameters.model_validate({"baseline": bad})
