"""Is what was planted in a layer found in that layer, and is the decision visible where it is made?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.workers.lime.layers.networks import LINE, SHAPE, TEXTURE, Eye, eye, picture, saturated
from tests.workers.subjects import Answer, answer
from workers.analyses.lime_layers import KIND

READINGS = ("direction", "norm", "unit:act1:0", "unit:act1:2", "unit:act2:0", "unit:act2:1")


@pytest.fixture(scope="module")
def found() -> Answer:
    return answer(KIND, eye(), target="class:class 1", readings=READINGS, segmentation="grid", cells=4, features=4)


@pytest.fixture(scope="module")
def made() -> Answer:
    return answer(KIND, saturated(), target="class:class 0", segmentation="grid", cells=4, fill="colour", samples=2000)


def whole(made: Answer, reading: str, key: str) -> np.ndarray:
    """The coefficients on all features of one reading of one layer at example 0."""
    at = next(each for each in made.outcome.at if (each.reading, each.key) == (reading, key))
    return made.computed.arrays["whole/0"][at.explanation].numpy()


def strongest(made: Answer, reading: str, key: str, count: int) -> set[int]:
    return set(np.argsort(-np.abs(whole(made, reading, key)))[:count].tolist())


def test_the_planted_network_sees_what_it_was_made_to_see():
    with torch.no_grad():
        network = Eye()
        early = network.act1(network.edges(picture()))
        late = network.act2(network.parts(early))
    fires = [[bool(layer[0, at].any()) for at in range(layer.shape[1])] for layer in (early, late)]
    assert fires == [[True] * 4, [True] * 2]


@pytest.mark.parametrize(
    ("reading", "key", "segments"),
    [
        ("unit 0", "act1", set(TEXTURE)),
        ("unit 2", "act1", {SHAPE, LINE}),
        ("unit 0", "act2", set(TEXTURE)),
        ("unit 1", "act2", {SHAPE}),
        ("norm", "act1", {*TEXTURE, SHAPE, LINE}),
        ("norm", "act2", {*TEXTURE, SHAPE}),
        ("direction", "act1", {SHAPE}),
        ("direction", "act2", {SHAPE}),
    ],
)
def test_a_layer_rests_on_the_segments_that_it_reads_and_on_no_other(found, reading, key, segments):
    assert strongest(found, reading, key, len(segments)) == segments
    sizes = np.abs(whole(found, reading, key))
    others = [each for each in range(16) if each not in segments]
    assert sizes[others].max() < 0.35 * sizes[list(segments)].min()


def test_every_planted_reading_may_be_read(found):
    planted = [each for each in found.outcome.at if each.reading.startswith("unit")]
    assert len(planted) == 4
    assert all(found.outcome.of(each).legible for each in planted)


def test_the_line_alone_drives_the_early_layer_and_not_the_shape(found):
    """It is one half of a shape: act1 has it, act2 makes nothing of it."""
    early, late = whole(found, "unit 2", "act1"), whole(found, "unit 1", "act2")
    assert early[LINE] > 0.5 * early.max()
    assert abs(late[LINE]) < 0.1 * late.max()


def test_a_layer_that_depends_on_no_input_is_said_to_be_constant(found):
    (why,) = [each for each in found.outcome.not_applicable if each.subject == "still"]
    assert "does not change with the input" in why.because


def test_the_controls_pass(found):
    assert [run.passed for run in found.controls] == [True] * 5


class TestWhereTheDecisionIsVisible:
    """Behind the saturation, and not before it."""

    def test_from_the_layer_that_saturates_on(self, made):
        (visible,) = made.outcome.visible
        assert (visible.key, visible.depth) == ("tanh", 0.75)

    def test_before_it_the_direction_rests_on_other_features(self, made):
        assert strongest(made, "direction", "scaled", 5) == {5, 6, 7, 8, 9}
        (before,) = [each for each in made.outcome.at if each.key == "scaled"]
        assert (before.shared, before.agrees) == (0.0, False)

    def test_behind_it_the_coefficients_are_those_of_the_output(self, made):
        assert strongest(made, "direction", "tanh", 5) == {0, 1, 2, 3, 4}
        output = made.computed.arrays["whole/0"][0].numpy()
        assert whole(made, "direction", "tanh") == pytest.approx(output, abs=1e-4)
        assert output[:5] == pytest.approx(np.full(5, np.tanh(5.0)), abs=0.02)

    def test_the_layer_that_gives_the_output_has_its_very_surrogate(self, made):
        control = next(run for run in made.controls if run.name == "the output as a layer")
        assert control.passed
        output = made.computed.arrays["whole/0"][0].numpy()
        assert whole(made, "direction", "head") == pytest.approx(output, abs=1e-6)

    def test_the_answer_says_it(self, made):
        answer = KIND.section(made.outcome).answer
        assert "visible from 75 % of the depth on" in answer
        assert "in example 0 from tanh" in answer

    def test_measured_as_depth(self, made):
        (point,) = [each for each in KIND.measurements(made.outcome) if each.metric == "lime_visible"]
        assert (point.value, point.n) == (0.75, 1)
