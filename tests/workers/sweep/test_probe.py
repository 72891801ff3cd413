"""What the probe finds, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.conftest import run
from workers.sweep.layout import Layout
from workers.sweep.probe import probe
from workers.sweep.refusals import (
    BadTarget,
    CoupledExamples,
    NotRepeatable,
    TrainingMode,
    UnusableBatch,
)
from workers.sweep.target import Target
from workers.sweep.tree import mapped, tensors


def look(network: nn.Module, x: Tensor, target: Target | None = None, rows: int | None = None):
    return probe(network, (x,), (torch.zeros_like(x[:1]),), target or Target.classes(1), rows)


def test_it_refuses_batch_norm_and_dropout_in_training_mode():
    for layer in (nn.BatchNorm1d(6), nn.Dropout(0.5)):
        network = nn.Sequential(nn.Linear(6, 6), layer, nn.Linear(6, 3)).double()
        with pytest.raises(TrainingMode, match="module '1'"):
            look(network, networks.points(2, 6))


def test_it_refuses_a_network_that_is_random_under_any_name():
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.5, training=True)

    with pytest.raises(NotRepeatable, match="dropout"):
        look(Noisy(), networks.points(2, 100))


def test_it_refuses_examples_that_influence_each_other():
    with pytest.raises(CoupledExamples, match="other examples"):
        look(networks.ready(networks.Counter()), networks.points(2, 6))


def test_it_refuses_a_network_that_takes_no_batch_size_it_can_find():
    class Seven(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(7, 6)

    with pytest.raises(UnusableBatch, match="state the batch size"):
        look(Seven(), networks.points(2, 6))
    assert look(Seven(), networks.points(2, 6), rows=7).rows == 7


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (Target.classes(4), "outside"),
        (Target.classes(-1), "outside"),
        (Target.value(), "4 numbers per example"),
        (Target.element(1, 1), "has axes"),
        (Target("logit", torch.tensor([[0]]), output=1), "no output 1"),
    ],
)
def test_it_refuses_a_target_that_does_not_name_one_number(target, reason):
    with pytest.raises(BadTarget, match=reason):
        look(networks.mlp(), networks.points(2, 6), target)


def test_as_many_targets_as_examples_are_needed():
    x = networks.points(3, 6)
    with pytest.raises(BadTarget, match="2 targets for 3 examples"):
        run(networks.mlp(), x, torch.zeros_like(x), Target.classes([0, 1]))


def test_one_tap_per_call_of_a_reused_module():
    taps = {tap.key: tap for tap in look(networks.ready(networks.Reused()), networks.points(2, 6)).taps}
    assert list(taps) == ["first", "shared@0", "relu@0", "shared@1", "relu@1", "head"]
    assert all(tap.cut for tap in taps.values())


def test_one_tap_per_tensor_that_a_layer_gives_and_each_finds_its_batch_axis():
    taps = {tap.key: tap for tap in look(networks.lstm(), networks.points(2, 7, 5)).taps}
    assert list(taps) == ["rnn:0", "rnn:1", "rnn:2", "head"]
    assert [taps[key].layout for key in taps] == [Layout(0), Layout(1), Layout(1), Layout(0)]
    assert taps["rnn:0"].shape == (7, 6)
    assert taps["rnn:1"].shape == (1, 6)
    assert [taps[key].status for key in taps] == ["on_path", "off_path", "off_path", "on_path"]


def test_attention_that_gives_none_beside_its_output_has_one_tap():
    taps = {tap.key: tap for tap in look(networks.ready(networks.Attention()), networks.points(2, 6, 8)).taps}
    assert taps["attention"].shape == (6, 8)
    assert not taps["attention"].cut  # the skip connection passes it by
    assert taps["norm"].cut


def test_tokens_flattened_into_the_batch_are_told_apart():
    taps = {tap.key: tap for tap in look(networks.ready(networks.Positions()), networks.points(2, 6, 8)).taps}
    assert taps["act"].layout == Layout(0, factor=6, outer=True)
    assert taps["act"].shape == (6, 8)


def test_entries_apart_in_a_folded_axis_are_told_apart():
    class TimeMajor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fold, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            flat = self.fold(x.transpose(0, 1).reshape(-1, 8))
            return self.head(flat.reshape(x.shape[1], x.shape[0], 8).mean(0))

    network, x = networks.ready(TimeMajor()), networks.points(2, 6, 8)
    swept = run(network, x, torch.zeros_like(x), Target.classes(1), rule="trapezoid")
    assert swept.probe.tap("fold").layout == Layout(0, factor=6, outer=False)
    torch.testing.assert_close(swept.totals.signed("fold"), swept.ends.difference)


def test_in_place_followers_are_found_and_containers_share_the_tensor_of_their_last_layer():
    seen = look(networks.resnet(), networks.points(2, 3, 12, 12))
    taps = {tap.key: tap for tap in seen.taps}
    assert {key for key, tap in taps.items() if tap.clone} == {
        "1", "4.norm1", "4.norm2", "5.norm1", "5.norm2",
    }  # fmt: skip
    assert taps["4"].same_as == "4.relu2"
    assert taps["5.skip"].same_as == "5.skip.1"
    assert taps["4"].container
    assert {key for key, tap in taps.items() if tap.cut and not tap.container} == {
        "0", "1", "2", "3", "4.relu2", "5.relu2", "6", "7", "8",
    }  # fmt: skip


def test_a_value_that_autograd_cannot_see_is_still_attributed_from_there_on():
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
            self.rounding = Detached()

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rounding(self.code(x)))

    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach() * 2

    network, x = networks.ready(Rounded()), networks.points(2, 6)
    swept = run(network, x, torch.zeros_like(x), Target.classes(1), rule="trapezoid")
    assert swept.probe.tap("code").status == "off_path"
    assert swept.probe.tap("rounding").cut
    torch.testing.assert_close(swept.totals.signed("rounding"), swept.ends.difference)


def test_a_network_that_changes_its_input_in_place_is_given_a_copy():
    network, x = networks.ready(networks.InPlaceInput()), networks.points(2, 6)
    before = x.clone()
    swept = run(network, x, torch.zeros_like(x), Target.classes(1), rule="trapezoid", steps=50)
    assert swept.probe.clones_input
    torch.testing.assert_close(x, before)
    torch.testing.assert_close(swept.totals.signed("linear"), swept.ends.difference, rtol=0.02, atol=1e-4)


def test_an_output_changed_through_another_view_is_refused_and_not_misread():
    class Sneaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = Inner(), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.inner(x)
            self.inner.kept.mul_(2)
            return self.head(self.inner.kept)

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.kept = nn.Linear(6, 5), torch.zeros(1)

        def forward(self, x: Tensor) -> Tensor:
            self.kept = self.linear(x) + 1
            return self.kept

    seen = look(networks.ready(Sneaky()), networks.points(2, 6))
    assert seen.tap("inner").status == "refused"
    assert "in place" in seen.tap("inner").reason


def test_structured_outputs_are_walked_and_rebuilt_with_their_own_type():
    answer = networks.Answer(torch.ones(2), None)
    tree = {"a": [answer, (torch.zeros(1), 3)]}
    assert len(tensors(tree)) == 2
    new = mapped(tree, lambda tensor: tensor + 1)
    assert isinstance(new["a"][0], networks.Answer)
    assert new["a"][0].logits.tolist() == [2, 2]
    assert new["a"][1][1] == 3
    assert mapped(tree, lambda tensor: tensor) is tree


def test_a_transformer_encoder_shows_its_inner_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Flatten(), nn.Linear(48, 3))
    seen = look(networks.ready(network), networks.points(2, 6, 8))
    assert seen.tap("0.layers.0.linear1").status == "on_path"
    assert seen.tap("0.layers.1.norm2").cut
