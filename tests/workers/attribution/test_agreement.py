"""Do other methods name the same units? Told at every layer that was checked, with what chance would give."""

import pytest
import torch
from torch import nn

from tests.workers import subjects
from tests.workers.subjects import answer
from workers.analyses import KINDS
from workers.attribution.agreement import PLAIN, compared, findings
from workers.attribution.outcome import Average, Compared
from workers.passes.asked import Asked, prepared
from workers.sweep.method import explain
from workers.sweep.methods.at_input import GradientXActivation
from workers.sweep.methods.conductance import Conductance

ASKED = Asked(target="predicted", scale="output", baseline="zero", examples=4, precision="float64")


def ready():
    return prepared(subjects.classifier(), ASKED)


def test_a_method_agrees_wholly_with_itself_under_another_name():
    few = ready()
    method = Conductance(steps=10)
    keys = tuple(tap.key for tap in few.layers if tap.status == "on_path" and tap.same_as is None)
    own = explain(method, keys, 1 << 28, 1, 0)(few)
    found = compared(GradientXActivation(), "layers", few, own, 1 << 28, 1)
    assert {each.other for each in found} == {"layer_conductance"}
    assert {each.place for each in found} == set(keys)
    for each in found:
        assert each.ranks is None or each.ranks.value == pytest.approx(1)
        assert each.top is None or each.top.value == pytest.approx(1)


def test_a_method_is_not_compared_with_itself():
    few = ready()
    keys = [tap.key for tap in few.layers if tap.status == "on_path" and tap.same_as is None]
    some = {key: torch.ones(4, *few.probe.tap(key).shape) for key in keys}
    for method in PLAIN["layers"]:
        assert method.name not in {each.other for each in compared(method, "layers", few, some, 1 << 28, 1)}


def test_units_of_other_shapes_are_not_compared():
    few = ready()
    assert compared(_Halved(), "layers", few, {"0": torch.ones(4, 1)}, 1 << 28, 1) == ()


class _Halved(nn.Identity):
    name = "halved"

    def units(self, tap):
        return (1,)


def test_disagreement_is_one_finding_for_each_method_with_the_places():
    apart = [at(place, other, 0.1) for other in ("a", "b") for place in ("x", "y")]
    first, second = findings([*apart, at("z", "b", 0.9)], "this")
    assert (first.code, first.severity) == ("methods-disagree", "note")
    assert "this and a" in first.raised_if
    assert first.evidence == "in common at x: 0.1; y: 0.1"
    assert "z" not in second.evidence
    assert findings([at("x", "a", 0.5)], "this") == []


def at(place, other, top):
    average = Average(value=top, low=None, high=None, n=1, interval="student-t")
    return Compared(other=other, place=place, ranks=average, top=average, chance=0.1, because="")


def test_every_certified_analysis_says_how_it_stands_to_the_plain_methods():
    made = answer(KINDS["layer_deeplift"], subjects.classifier())
    assert {each.other for each in made.outcome.certified.compared} == {
        "layer_gradient_x_activation", "layer_conductance",
    }  # fmt: skip
    points = KINDS["layer_deeplift"].measurements(made.outcome)
    assert {point.facets["with"] for point in points if point.metric == "method_agreement"} == {
        "layer_gradient_x_activation",
        "layer_conductance",
    }
    section = KINDS["layer_deeplift"].section(made.outcome)
    assert any(getattr(block, "title", "") == "Beside other methods" for block in section.blocks)
