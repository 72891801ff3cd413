"""What a network reads where segments of a series are hidden, by hand; padding; and the steps a model reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.workers import subjects
from tests.workers.facts import model_facts
from tests.workers.neighbourhoods.texts import asking
from workers.kind import AnalysisError
from workers.neighbourhoods.series import SeriesNeighbourhood, SeriesSettings, series
from workers.passes.predicting import Predicting
from workers.surrogate.explain import explain
from workers.surrogate.neighbourhood import Samples
from workers.surrogate.settings import Settings


class Reads(nn.Module):
    """Numbers of the mean square of some steps of one channel, of (N, T, C); what else it is given it leaves alone."""

    def __init__(self, start: int = 0, stop: int = 2, channel: int = 0) -> None:
        super().__init__()
        self.start, self.stop, self.channel = start, stop, channel

    def forward(self, x, *further):
        seen = x[:, self.start : self.stop, self.channel].square().mean(1)
        return torch.stack([seen, -seen, 0 * seen], 1)


def case_of(
    x: torch.Tensor, network: nn.Module | None = None, further: dict[str, tuple[dict, torch.Tensor]] | None = None,
    **facts,
) -> Predicting:  # fmt: skip
    """x: (N, T, C) in raw units, bounds -100 to 100."""
    declared = model_facts((2, 2)).model_dump(mode="json")
    declared["input"] |= {"shape": list(x.shape[1:]), "bounds": {"low": [-100.0], "high": [100.0]}, **facts}
    declared["further_inputs"] = [{"name": name, "input": each} for name, (each, _) in (further or {}).items()]
    made = subjects.subject(
        network or Reads(), x, facts=type(model_facts((2, 2))).model_validate(declared),
        further=tuple(each for _, each in (further or {}).values()),
    )  # fmt: skip
    return Predicting.of(made, asking(len(x), precision="float64"))


def mask_of(steps: int) -> dict:
    return {"kind": "tokens", "layout": "NT", "shape": [steps], "bounds": {"low": [0], "high": [1]}}


def hidden(made: SeriesNeighbourhood, *features: int) -> torch.Tensor:
    """What the network reads of the series where these features are hidden."""
    z = np.ones((1, len(made.names)))
    z[:, list(features)] = 0
    return made.inputs(Samples(z=z, distances=np.zeros(1), drawn=z))[made.position][0]


RISING = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]]])


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("mean", [1.5, 15.0]), ("channel", [3.75, 37.5]), ("linear", [4.0, 40.0]), ("constant", [-1.0, -1.0])],
)
def test_a_hidden_segment_holds_its_fill(fill, expected):
    made = series(case_of(RISING), 0, SeriesSettings(segments=2, fill=fill, constant=-1.0))
    assert hidden(made, 0).tolist() == [[expected[0], 10.0], [expected[0], 20.0], [4.0, 40.0], [8.0, 80.0]]
    assert hidden(made, 0, 2).tolist() == [expected, expected, [4.0, 40.0], [8.0, 80.0]]


def test_a_line_leads_from_the_step_before_to_the_step_behind():
    x = torch.tensor([[0.0, 3.0, 9.0, 9.0, 9.0, 15.0, 1.0, 2.0]])[..., None]
    made = series(case_of(x), 0, SeriesSettings(segments=4, fill="linear"))
    assert made.names == ("steps 0\u20131", "steps 2\u20133", "steps 4\u20135", "steps 6\u20137")
    assert hidden(made, 1)[:, 0].tolist() == [0.0, 3.0, 5.0, 7.0, 9.0, 15.0, 1.0, 2.0]
    assert hidden(made, 0)[:, 0].tolist() == [9.0, 9.0, *x[0, 2:, 0].tolist()]
    assert hidden(made, 3)[:, 0].tolist() == [*x[0, :6, 0].tolist(), 15.0, 15.0]


def test_channels_are_hidden_apart_or_together():
    apart = series(case_of(RISING), 0, SeriesSettings(segments=2, fill="constant"))
    assert apart.names == (
        "channel 0, steps 0\u20131", "channel 0, steps 2\u20133", "channel 1, steps 0\u20131",
        "channel 1, steps 2\u20133",
    )  # fmt: skip
    assert hidden(apart, 3).tolist() == [[1.0, 10.0], [2.0, 20.0], [4.0, 0.0], [8.0, 0.0]]
    both = series(case_of(RISING), 0, SeriesSettings(segments=4, fill="constant", channels="together"))
    assert both.names == ("step 0", "step 1", "step 2", "step 3")
    assert hidden(both, 1).tolist() == [[1.0, 10.0], [0.0, 0.0], [4.0, 40.0], [8.0, 80.0]]


def test_channels_have_the_names_that_were_declared():
    made = series(case_of(RISING, feature_names=["speed", "heat"]), 0, SeriesSettings(segments=2, fill="mean"))
    assert made.names[2] == "heat, steps 0\u20131"


def test_fills_are_raw_values_that_are_prepared():
    case = case_of(RISING, preprocessing={"mean": [1.0, 10.0], "std": [2.0, 5.0]})
    made = series(case, 0, SeriesSettings(segments=2, fill="constant", constant=3.0))
    assert hidden(made, 0, 3).tolist() == [[1.0, 0.0], [1.0, 2.0], [1.5, -1.4], [3.5, -1.4]]
    assert made.filled.tolist() == [[3.0] * 4] * 2


def test_channels_may_stand_before_time_or_be_missing():
    class First(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3]

    turned = series(case_of(RISING.movedim(1, 2), First(), layout="NCT"), 0, SeriesSettings(segments=2, fill="mean"))
    assert hidden(turned, 2).tolist() == [[1.0, 2.0, 4.0, 8.0], [15.0, 15.0, 40.0, 80.0]]
    flat = series(case_of(RISING[..., 0], First(), layout="NT"), 0, SeriesSettings(segments=4, fill="channel"))
    assert hidden(flat, 0).tolist() == [3.75, 2.0, 4.0, 8.0]


def test_the_example_itself_is_what_the_model_was_given():
    case = case_of(torch.randn(1, 9, 3), preprocessing={"mean": [0.3], "std": [0.7]})
    made = series(case, 0, SeriesSettings(segments=4))
    assert torch.equal(made.inputs(made.stream(0, paired=True).take(5))[0][0], case.x[0][0])


# --- padding


def padded(values: list[float], steps: int) -> torch.Tensor:
    return torch.tensor([values + [0.0] * (steps - len(values))])[..., None]


def test_steps_at_the_end_that_hold_the_padding_are_no_feature():
    made = series(
        case_of(padded([1.0, 0.0, 3.0, 4.0], 7)), 0, SeriesSettings(segments=4, fill="constant", constant=9.0)
    )
    assert made.names == ("step 0", "step 1", "step 2", "step 3")
    assert hidden(made, 0, 1, 2, 3)[:, 0].tolist() == [9.0] * 4 + [0.0] * 3
    assert made.notes == (
        "3 of 7 steps, the first of them step 4, are padding: every channel holds 0 from there to the end.",
    )
    assert made.as_json()["padding_by"] == "value"


def test_padding_can_be_another_value_or_none():
    x = padded([1.0, 2.0, 3.0, 4.0], 8)
    assert len(series(case_of(x), 0, SeriesSettings(padding=None)).names) == 8
    assert len(series(case_of(x - 0.1), 0, SeriesSettings(padding=-0.1)).names) == 4


def test_padding_is_what_a_mask_leaves_out():
    mask = torch.tensor([[1, 1, 1, 0, 1, 1]])
    case = case_of(padded([1.0, 2.0, 3.0, 4.0], 6), further={"kept": (mask_of(6), mask)})
    made = series(case, 0, SeriesSettings(segments=5, fill="constant", constant=9.0))
    assert hidden(made, 0, 1, 2, 3, 4)[:, 0].tolist() == [9.0, 9.0, 9.0, 4.0, 9.0, 9.0]
    given = made.inputs(made.stream(1, paired=False).take(4))
    assert given[1].tolist() == mask.tolist() * 4
    assert made.notes == ("1 of 6 steps, the first of them step 3, are padding: the input kept is 0 there.",)


def test_padding_is_what_is_behind_the_length():
    length = {"kind": "tokens", "layout": "NF", "shape": [1], "bounds": {"low": [0], "high": [6]}}
    case = case_of(padded([1.0, 2.0, 3.0, 0.0, 0.0], 6), further={"Length": (length, torch.tensor([[5]]))})
    made = series(case, 0, SeriesSettings())
    assert len(made.names) == 5
    assert made.steps.by == "length"


def test_the_mean_of_a_channel_leaves_padding_out():
    made = series(case_of(padded([1.0, 2.0, 3.0, 6.0], 8)), 0, SeriesSettings(fill="channel"))
    assert hidden(made, 0)[:, 0].tolist() == [3.0, 2.0, 3.0, 6.0, 0.0, 0.0, 0.0, 0.0]


# --- what has no neighbourhood


@pytest.mark.parametrize(
    ("x", "settings", "said"),
    [
        (padded([], 8), {}, "has 0 segments, from 0 steps that are no padding"),
        (padded([1.0, 2.0, 3.0], 8), {}, "has 3 segments, from 3 steps"),
        (padded([1.0] * 8, 8), {"segments": 1}, "has 1 segments, from 8 steps"),
        (padded([1.0, float("inf")], 8), {}, "holds NaN or infinity"),
        (padded([1.0] * 8, 8), {"fill": "constant", "constant": 101.0}, "constant 101 lies outside"),
        (padded([1.0] * 8, 8), {"segments": 0}, "0 segments cannot be made"),
    ],
)
def test_what_has_no_neighbourhood_is_refused(x, settings, said):
    class Any(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 3)

    with pytest.raises(AnalysisError, match=said) as refused:
        series(case_of(x, Any()), 0, SeriesSettings(**settings))
    assert refused.value.remedy


def test_a_model_of_tables_has_no_series():
    with pytest.raises(AnalysisError, match="no input of the model is declared as a series"):
        series(Predicting.of(subjects.classifier(), asking(2)), 0, SeriesSettings())


# --- samples, shares, truth


def test_the_samples_are_lime_s_fair_coins():
    made = series(case_of(torch.randn(1, 8, 1)), 0, SeriesSettings(segments=8))
    z = np.random.RandomState(3).randint(0, 2, 20 * 8).reshape(20, 8)
    z[0] = 1
    found = made.stream(3, paired=False).take(20)
    assert np.array_equal(found.z, z)
    assert found.distances == pytest.approx(1 - np.sqrt(z.mean(1)))
    assert (made.kernel_width, made.binary) == (0.25, True)


def test_an_attribution_is_summed_over_each_segment_and_padding_gets_none():
    made = series(case_of(padded([1.0, 2.0, 3.0, 4.0], 6)), 0, SeriesSettings(segments=4))
    assert made.shares(torch.arange(6.0)[:, None]).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_constant_segment_is_told_to_change_nothing():
    x = torch.tensor([[1.0, 1.0, 2.0, 3.0, 5.0, 4.0, 7.0, 7.0]])[..., None]
    assert series(case_of(x), 0, SeriesSettings(segments=4, fill="mean")).inert == (0, 3)


@pytest.mark.parametrize("fill", ["mean", "channel", "linear", "constant"])
def test_the_steps_that_a_model_reads_are_found(fill):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, 40, 3, generator=generator)
    x[:, 10:20, 1] += torch.linspace(1, 4, 10)
    case = case_of(x, Reads(10, 20, 1))
    made = series(case, 0, SeriesSettings(segments=8, fill=fill))
    found = explain(made, case.at(0), Settings(), 1).labels[0]
    there = {at for at, each in enumerate(made.spans) if each.channel == 1 and 10 <= each.start < 20}
    assert len(there) == 2
    assert set(found.chosen[:2]) == there
    assert np.abs(np.delete(found.coefficients, list(there))).max() < 0.1 * np.abs(found.coefficients).max()


def test_the_segments_that_a_model_reads_are_all_that_has_weight():
    x = torch.zeros(1, 60, 2)
    x[:, 10:20, 1] = 1.0 + torch.arange(10) / 5
    case = case_of(x, Reads(10, 20, 1))
    made = series(case, 0, SeriesSettings(segments=30, fill="constant", padding=None))
    found = explain(made, case.at(0), Settings(features=5), 1).labels[0]
    spans = {(made.spans[at].start, made.spans[at].channel) for at in found.chosen}
    assert spans == {(at, 1) for at in range(10, 20, 2)}
    assert found.verdict == "readable"
    assert (found.coefficients[list(found.chosen)] > 0).all()
