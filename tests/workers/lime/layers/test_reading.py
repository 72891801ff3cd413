"""Is a layer read as what was asked for, and refused in words where it has no such number?"""

from __future__ import annotations

import pytest
import torch

from workers.lime.layers.parameters import Concept, LayersParameters
from workers.lime.layers.reading import Impossible, Unit, channel_axis, concept_weights, readings, unit_weights
from workers.sweep.layout import Layout
from workers.sweep.probe import Tap

LIKE = torch.zeros(1, dtype=torch.float64)


def tap(shape: tuple[int, ...], sequence: int | None = None) -> Tap:
    return Tap(
        key="a.b@1:0", layer="a.b", module="a.b", kind="Linear", call=1, calls=2, position=0, positions=2,
        container=False, shape=shape, dtype="float64", layout=Layout(0), status="on_path", sequence=sequence,
    )  # fmt: skip


class TestUnits:
    """By their index, or one number a channel."""

    def test_a_unit_in_full(self):
        assert unit_weights(tap((2, 3)), (1, 2), LIKE).reshape(2, 3).tolist() == [[0, 0, 0], [0, 0, 1]]

    def test_a_channel_of_a_picture_is_its_mean_over_places(self):
        weights = unit_weights(tap((2, 2, 2)), (1,), LIKE).reshape(2, 2, 2)
        assert weights.tolist() == [[[0, 0], [0, 0]], [[0.25, 0.25], [0.25, 0.25]]]

    def test_a_channel_beside_the_sequence(self):
        weights = unit_weights(tap((2, 3), sequence=0), (2,), LIKE).reshape(2, 3)
        assert weights.tolist() == [[0, 0, 0.5], [0, 0, 0.5]]

    @pytest.mark.parametrize(
        ("shape", "index", "said"),
        [
            ((3,), (3,), "none of them is 3"),
            ((2, 2, 2), (2,), "it has 2 channels, counted from 0, and no channel 2"),
            ((2, 2, 2), (1, 1), "name one by 3 numbers, or a channel by one, not 1,1"),
            ((4, 4), (1,), "is not known; name a unit in full"),
        ],
    )
    def test_one_that_is_not_there(self, shape, index, said):
        with pytest.raises(Impossible, match=said):
            unit_weights(tap(shape), index, LIKE)

    def test_a_layer_with_colons_of_its_own(self):
        assert Unit.of("unit:a.b@1:0:3,1") == Unit("a.b@1:0", (3, 1))


class TestConcepts:
    """Vectors over channels or units, made as long as one."""

    def test_over_units(self):
        assert concept_weights(tap((2,)), (3.0, 4.0), LIKE).tolist() == pytest.approx([0.6, 0.8])

    def test_over_channels_of_a_picture(self):
        weights = concept_weights(tap((2, 1, 2)), (3.0, 4.0), LIKE).reshape(2, 2)
        assert weights.tolist() == [pytest.approx([0.3, 0.3]), pytest.approx([0.4, 0.4])]

    def test_of_another_length(self):
        with pytest.raises(Impossible, match="has 3 numbers; give 8, one for each unit or 2, one for each channel"):
            concept_weights(tap((2, 2, 2)), (1.0, 2.0, 3.0), LIKE)

    def test_of_no_length(self):
        with pytest.raises(ValueError, match="is zero and points nowhere"):
            Concept(layer="a", vector=(0.0, 0.0))


class TestReadings:
    """By hand, of a layer that gives (3, 4) at the example."""

    VALUE = torch.tensor([3.0, 4.0], dtype=torch.float64)

    def of(self, *asked: str, value=VALUE, gradient=None, concepts=()):
        one = tap((2,))
        return readings([one], {one.key: value}, {} if gradient is None else {one.key: gradient}, asked, concepts)

    def test_norm(self):
        ((read,), missing) = self.of("norm")
        assert (read.at_example, read.base, read.scale, missing) == (5.0, 1.0, 5.0, [])

    def test_direction(self):
        ((read,), _) = self.of("direction", gradient=torch.tensor([2.0, -1.0], dtype=torch.float64))
        assert (read.at_example, read.base, read.scale) == (2.0, 0.0, 10.0)

    def test_unit_and_concept_keep_what_they_are_at_the_example(self):
        found, _ = self.of("unit:a.b:1", "concept", concepts=(Concept(layer="a.b", name="up", vector=(0.0, 2.0)),))
        assert [(each.name, each.base) for each in found] == [("unit 1", 4.0), ("concept up", 4.0)]

    @pytest.mark.parametrize(
        ("asked", "value", "gradient", "said"),
        [
            ("norm", torch.zeros(2), None, "nothing is relative to zero"),
            ("norm", torch.tensor([1.0, torch.nan]), None, "not finite at the example"),
            ("direction", torch.ones(2), None, "the target does not depend on it"),
            ("direction", torch.ones(2), torch.zeros(2), "gradient is zero there"),
            ("direction", torch.ones(2), torch.tensor([1.0, torch.inf]), "gradient is not finite"),
            ("unit:a.b:2", torch.ones(2), None, "none of them is 2"),
        ],
    )
    def test_what_is_not_there_is_said(self, asked, value, gradient, said):
        found, (missing,) = self.of(asked, value=value, gradient=gradient)
        assert found == []
        assert said in missing.because
        assert missing.subject.endswith("of a.b@1:0")

    def test_units_of_other_layers_are_not_read_here(self):
        assert self.of("unit:other:0") == ([], [])


@pytest.mark.parametrize(
    ("shape", "sequence", "axis"),
    [((3,), None, 0), ((3, 4, 4), None, 0), ((4, 3), 0, 1), ((3, 4), 1, 0), ((4, 3), None, None), ((), None, None)],
)
def test_the_axis_of_channels(shape, sequence, axis):
    assert channel_axis(tap(shape, sequence)) == axis


@pytest.mark.parametrize(
    "wrong",
    [
        {"readings": ()},
        {"readings": ("slope",)},
        {"readings": ("unit:3",)},
        {"readings": ("norm", "norm")},
        {"readings": ("concept",)},
        {"concepts": ({"layer": "a", "vector": (1.0,)},)},
        {"layers": ("a", "a")},
        {"readings": ("concept",), "concepts": ({"layer": "a", "vector": (1.0,)}, {"layer": "a", "vector": (2.0,)})},
    ],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ValueError, match="validation error"):
        LayersParameters.model_validate(wrong)


@pytest.mark.parametrize("given", [{"settle": True}, {"engine": "lime"}, {"verify": 1}, {"most": 2000}])
def test_what_only_other_kinds_of_lime_take_is_refused_with_its_reason(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} is not asked of layers: "):
        LayersParameters.model_validate(given)


def test_where_tokens_move_what_is_read_by_position_is_refused_and_means_over_positions_are_not():
    of, value = tap((3, 2), sequence=0), torch.ones(3, 2, dtype=torch.float64)
    by_key, rising = {of.key: value}, {of.key: torch.arange(6.0, dtype=torch.float64)}
    asked = ("direction", "norm", "unit:a.b:1", "unit:a.b:0,1")
    still, none = readings([of], by_key, rising, asked, ())
    assert [each.name for each in still] == ["direction", "norm", "unit 1", "unit 0,1"]
    assert none == []
    moving, refused = readings([of], by_key, rising, asked, (), moving=True)
    assert [each.name for each in moving] == ["norm", "unit 1"]
    assert [each.subject for each in refused] == ["direction of a.b@1:0", "unit 0,1 of a.b@1:0"]
    assert all("[MASK]" in each.because for each in refused)
    unknown, _ = readings([tap((3, 2))], by_key, rising, ("direction",), (), moving=True)
    assert unknown == []
    pooled = tap((2,))
    assert (
        len(readings([pooled], {pooled.key: value[0]}, {pooled.key: value[0]}, ("direction",), (), moving=True)[0]) == 1
    )
