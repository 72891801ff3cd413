"""Which axis is what: where shapes or a run of the model say it, and where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.methods.made import ready
from workers.sweep.axes import stays
from workers.sweep.methods.gradcam import GradCam
from workers.sweep.sequence import _lands
from workers.sweep.target import Target


@dataclass
class Shaped:
    key: str
    shape: tuple[int, ...]
    sequence: int | None = None


def axes(shape, which, extent, *others, sequence=None):
    taps = [Shaped("it", shape, sequence), *(Shaped(str(n), other) for n, other in enumerate(others))]
    return stays(taps, which, extent)["it"]


@pytest.mark.parametrize(
    ("shape", "which", "extent", "expected"),
    [
        ((16, 8, 8), "place", (8, 8), (1, 2)),
        ((32, 4, 4), "place", (8, 8), (1, 2)),
        ((7, 7, 96), "place", (28, 28), (0, 1)),
        ((3, 5, 14, 28), "place", (28, 56), (2, 3)),
        ((16, 8, 8), "channel", (8, 8), (0,)),
        ((7, 7, 96), "channel", (28, 28), (2,)),
        ((8, 8, 8), "place", (8, 8), (1, 2)),
        ((5,), "channel", (), (0,)),
        ((), "channel", (6,), ()),
        ((3, 4), "scalar", (), ()),
    ],
)
def test_the_lengths_of_the_input_tell_the_axes(shape, which, extent, expected):
    assert axes(shape, which, extent).axes == expected


@pytest.mark.parametrize(
    ("shape", "which", "extent", "reason"),
    [
        ((6, 6), "token", (6,), "cannot be told"),
        ((6, 8), "token", (6,), "cannot be told"),
        ((8,), "token", (6,), "no axis"),
        ((6, 8), "token", (8, 8), "no sequence"),
        ((6, 8), "place", (6,), "no picture"),
        ((16, 8, 2), "place", (8, 8), "do not lie as the picture"),
        ((16, 1, 1), "place", (8, 8), "do not lie as the picture"),
        ((6, 8), "channel", (), "nothing says"),
        ((16, 9, 9), "place", (8, 8), "do not lie as the picture"),
    ],
)
def test_where_the_lengths_leave_a_choice_nothing_is_chosen(shape, which, extent, reason):
    found = axes(shape, which, extent)
    assert found.axes is None
    assert reason in found.reason


def test_the_axis_that_a_run_has_shown_is_the_sequence_and_the_other_the_channels():
    assert axes((6, 8), "token", (6,), sequence=0).axes == (0,)
    assert axes((6, 6), "time", (6,), sequence=1).axes == (1,)
    assert axes((6, 8), "channel", (6,), sequence=0).axes == (1,)
    assert "2 axes" in axes((2, 6, 4), "channel", (6,), sequence=1).reason


def test_attention_between_tokens_is_not_taken_for_a_picture():
    assert axes((12, 197, 197), "place", (224, 224)).axes == (1, 2)
    found = axes((12, 197, 197), "place", (224, 224), (197, 768))
    assert found.axes is None
    assert "tokens by tokens" in found.reason


# --- along which axis the sequence lies, by runs of the model


class FixedLength(nn.Module):
    """Takes `length` steps of `width` numbers and no other number of them; an attention that reaches everywhere."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(length, width) / 4)
        self.early, self.attention = nn.Linear(width, width), nn.MultiheadAttention(width, 1, batch_first=True)
        self.later, self.flat = nn.Linear(width, 2 * width), nn.Flatten()
        self.head = nn.Linear(length * 2 * width, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.early(x + self.place)
        return self.head(self.flat(torch.tanh(self.later(h + self.attention(h, h, h, need_weights=False)[0]))))


def convolutions(*layers: nn.Module, flat: int | None = None) -> nn.Module:
    """Behind them the mean over time, or a layer of one length alone."""
    ending = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 3)] if flat is None else []
    return networks.ready(nn.Sequential(*layers, *(ending or [nn.Flatten(), nn.Linear(flat or 1, 3)])))


def shown(network: nn.Module, shape: tuple[int, ...], sequence: int, rows: int | None = None) -> dict[str, int | None]:
    given = ready(network, networks.points(3, *shape), Target.classes(0), rows=rows, sequence=sequence)
    return {tap.key: tap.sequence for tap in given.probe.taps}


STRIDED = nn.Conv1d(3, 16, 3, stride=2, padding=1)


@pytest.mark.parametrize("flat", [None, 128], ids=["of any length", "of one length"])
def test_as_many_channels_as_steps_behind_a_stride_are_not_taken_for_time(flat):
    network = convolutions(STRIDED, nn.ReLU(), flat=flat)
    given = ready(network, networks.points(3, 3, 16), Target.classes(0), sequence=2)
    assert given.probe.tap("0").shape == (16, 8)
    assert given.probe.tap("0").sequence is None
    assert "cannot be told" in GradCam(extent=(16,)).obstacle(given, given.probe.tap("0"))
    assert given.probe.tap("input").sequence == 1


@pytest.mark.parametrize("flat", [None, 256], ids=["of any length", "of one length"])
def test_time_is_found_beside_as_many_channels(flat):
    found = shown(convolutions(nn.Conv1d(3, 16, 3, padding=1), nn.ReLU(), flat=flat), (3, 16), 2)
    assert found["0"] == found["1"] == 1


def test_a_model_of_one_length_shows_time_by_where_a_change_lands():
    found = shown(networks.ready(FixedLength(9, 9)), (9, 9), 1, rows=2)
    assert found["early"] == 0
    assert found["later"] == 0
    assert found["head"] is None


def test_a_recurrent_net_shows_time_though_a_change_goes_on():
    assert shown(networks.lstm(), (7, 5), 1)["rnn:0"] == 0


def test_what_mixes_time_as_if_it_were_features_is_not_told():
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turned, self.mixed, self.head = nn.Identity(), nn.Linear(8, 8), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.mixed(self.turned(x.mT)).flatten(1))

    found = shown(networks.ready(Mixer()), (8, 8), 1, rows=2)
    assert found["turned"] == 1
    assert found["mixed"] is None


@pytest.mark.parametrize(
    ("felt", "expected"),
    [
        (torch.eye(6), True),
        (torch.ones(6, 6).triu(), True),
        (torch.ones(6, 6), False),
        (torch.eye(6).flip(1), False),
        (torch.eye(6)[[1, 0, 3, 2, 5, 4]], False),
        (torch.zeros(6, 6), False),
        (torch.ones(6, 6) + 0.05 * torch.eye(6), False),
        (torch.ones(6, 6) + torch.eye(6), True),
    ],
)
def test_a_change_lands_where_it_was_made_or_in_a_stretch_around_it(felt, expected):
    assert _lands(felt, list(range(6))) is expected
