"""Which layers are looked at and attacked."""

from __future__ import annotations

from torch import nn

from tests import networks
from tests.workers.robustness.layers.test_displaced import prepared
from workers.robustness.layers.chosen import MOST_LAYERS, attacked, chosen


def test_leaves_are_looked_at_and_what_holds_them_is_not():
    ready = prepared(networks.resnet(), networks.points(2, 3, 12, 12))
    found = chosen(ready, ())
    keys = [tap.key for tap in found.taps]
    assert "4" not in keys
    assert keys[:3] == ["0", "1", "2"]
    assert not found.others


def test_named_layers_are_those_and_unknown_ones_name_the_nearest():
    ready = prepared(networks.resnet(), networks.points(2, 3, 12, 12))
    found = chosen(ready, ("4", "0", "4.conv3"))
    assert [tap.key for tap in found.taps] == ["0", "4.relu2"], "the block gives the very tensor of its last layer"
    (other,) = found.others
    assert other.subject == "4.conv3"
    assert "4.conv1" in other.because


def test_of_many_layers_some_are_left_out_evenly_and_named():
    layers = [nn.Linear(4, 4) for _ in range(40)]
    ready = prepared(nn.Sequential(*layers).double().eval().requires_grad_(False), networks.points(2, 4))
    found = chosen(ready, ())
    assert len(found.taps) == MOST_LAYERS
    assert [found.taps[0].key, found.taps[-1].key] == ["0", "39"]
    assert "16 of 40 layers" in found.others[0].because


def test_those_attacked_are_cuts_first_evenly_over_depth():
    ready = prepared(networks.resnet(), networks.points(2, 3, 12, 12))
    taps = chosen(ready, ()).taps
    few = attacked(taps, 4)
    assert len(few) == 4
    assert all(taps[at].cut for at in few)
    assert attacked(taps, 0) == ()
    assert attacked(taps, 100) == tuple(range(len(taps)))


def test_a_layer_off_the_path_says_why():
    ready = prepared(networks.ready(networks.Branches()).eval(), networks.points(2, 6))
    found = chosen(ready, ())
    assert [tap.key for tap in found.taps] == ["trunk", "main"]
    assert [(each.subject, each.because) for each in found.others] == [
        ("side", "the target does not depend on its output")
    ]
