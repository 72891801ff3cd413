"""Figures as values: they add up, keep to the caps of the contract, and say what was summed or left out."""

import pytest
import torch

from service.contracts.section import Heat
from service.report.charts import specification
from workers.numerics.intervals import Interval
from workers.pictures.figures import UnitMean, layer_agreement, layer_share, time_map, token_map, unit_bars
from workers.pictures.layers import LayerLine
from workers.sweep.depth import LayerTotals, depth


def lines(length, layers=2):
    return [LayerLine(f"layer.{at}", torch.arange(1.0, length + 1) * (at + 1)) for at in range(layers)]


def rows(figure):
    """The cells of the table as a reader sees them."""
    return [[cell.display for cell in row] for row in figure.table.rows]


def interval(value, low, high):
    return Interval(value, low, high, 3, 0.95, "student-t")


def test_a_token_map_has_a_row_for_each_layer_and_a_column_for_each_token():
    made = token_map(["a", "b", "a"], lines(3), "logit", "Conductance of the first text.")
    assert made.rows == ("layer.0", "layer.1")
    assert made.columns == ("a", "b", "a")
    assert made.values == ((1.0, 2.0, 3.0), (2.0, 4.0, 6.0))
    assert rows(made)[4] == ["layer.1", "1", "b", "4.00"]
    assert "sum of" not in made.caption
    assert made.caption.startswith("Conductance of the first text.")


def test_long_sequences_are_summed_into_columns_and_the_caption_says_so():
    made = time_map(150, lines(150), "logit", "Mean over 20 examples.")
    assert len(made.columns) == 38
    assert made.columns[:4] == ("0", "", "", "12")
    assert [row[2] for row in rows(made)[:2]] == ["0\u20133", "4\u20137"]
    assert made.values[0][1] == 5 + 6 + 7 + 8
    assert sum(made.values[1]) == 150 * 151
    assert "Each column is the sum of 4 steps, the last of 2." in made.caption
    even = time_map(96, lines(96), "logit", "")
    assert (len(even.columns), even.values[0][-1]) == (48, 95.0 + 96.0)
    assert even.caption.endswith("Each column is the sum of 2 steps.")


def test_joined_tokens_are_named_by_their_ends_and_positions():
    made = token_map([f"w{at}" for at in range(100)], lines(100), "logit", "")
    assert len(made.columns) == 34
    assert made.columns[1] == "w3\u2026w5 (3\u20135)"


def test_tokens_are_shown_even_where_they_are_nothing_to_see():
    made = token_map([" a", "\n", "", "\x07", "x" * 100], lines(5), "logit", "")
    assert made.columns == ("\u2423a", "\u2423", "\u2205", "\ufffd", "x" * 23 + "\u2026")


def test_many_layers_are_thinned_evenly_and_the_largest_map_keeps_to_the_contract():
    made = token_map(["t"] * 5000, lines(5000, layers=300), "logit", "")
    assert (len(made.rows), made.rows[0], made.rows[-1]) == (40, "layer.0", "layer.299")
    assert len(made.columns) <= 64
    assert "40 of 300 layers" in made.caption
    assert Heat.model_validate(made.model_dump()) == made


def test_maps_refuse_what_would_be_wrong():
    with pytest.raises(ValueError, match=r"'layer\.0' needs one finite attribution for each of 4 tokens"):
        token_map(["a"] * 4, lines(3), "logit", "")
    with pytest.raises(ValueError, match="for each of 3 steps"):
        time_map(3, [LayerLine("layer.0", torch.full((3,), torch.inf))], "logit", "")


def found(change=4.0):
    def layer(key, signed, absolute, cut):
        return LayerTotals(key, cut, torch.tensor([signed] * 3).double(), torch.tensor([absolute] * 3).double())

    layers = [layer("stem", 4.0, 16.0, True), layer("branch", 1.0, 2.0, False), layer("head", 4.0, 5.0, True)]
    return depth(layers, None if change is None else torch.full((3,), change, dtype=torch.float64))


def test_shares_are_told_apart_by_whether_every_path_passes():
    made = layer_share(found())
    assert [(bar.label, bar.value, bar.group) for bar in made.bars] == [
        ("stem", 1.0, "every path passes"),
        ("branch", 0.25, "some paths pass by"),
        ("head", 1.0, "every path passes"),
    ]
    assert rows(made)[1] == ["branch", "some paths pass by", "0.250 [0.250, 0.250]", "0.500 [0.500, 0.500]"]
    assert "layers in a row repeat it" in made.caption


def test_agreement_says_from_where_on_it_is_decided():
    made = layer_agreement(found(None))
    assert [bar.value for bar in made.bars] == [0.25, 0.5, 0.8]
    assert "From head on" in made.caption
    assert rows(made)[0][2] == "\u2013"


def test_measures_without_a_meaning_are_not_drawn():
    with pytest.raises(ValueError, match="do not add up"):
        layer_share(found(None))
    alone = depth([LayerTotals("a", True, torch.ones(2).double(), torch.ones(2).double())], None)
    with pytest.raises(ValueError, match="both signs"):
        layer_agreement(alone)


def test_units_are_named_by_index_with_their_intervals():
    units = [UnitMean((3, 1, 2), interval(2.0, 1.0, 3.0), 0.5), UnitMean((0, 0, 0), interval(-1.0, -2.0, 0.0), 0.25)]
    made = unit_bars("conv", units, "logit", of=64)
    assert [(bar.label, bar.value, bar.low, bar.high) for bar in made.bars] == [
        ("3, 1, 2", 2.0, 1.0, 3.0),
        ("0, 0, 0", -1.0, -2.0, 0.0),
    ]
    assert rows(made)[1] == ["0, 0, 0", "\u22121.00 [\u22122.00, 0]", "0.250"]
    assert "2 of 64 units" in made.caption
    with pytest.raises(ValueError, match="no unit"):
        unit_bars("conv", [], "logit", of=64)


def test_the_service_can_draw_all_of_them():
    for figure in (
        token_map(["a", "b"], lines(2), "logit", ""),
        time_map(70, lines(70), "logit", ""),
        layer_share(found()),
        layer_agreement(found()),
        unit_bars("conv", [UnitMean((), interval(2.0, 1.0, 3.0), 1.0)], "logit", of=1),
    ):
        assert specification(figure)["layer"]
