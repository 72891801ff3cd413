"""Layer by layer, the sweep gives captum's numbers; and where captum cannot, the reason is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests import networks
from tests.workers.sweep.conftest import Swept, run
from workers.sweep.captum_check import drawn, verify
from workers.sweep.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export.load's own

FAMILIES = {
    "mlp": (networks.mlp, (6,)),
    "cnn": (networks.cnn, (1, 12, 12)),
    "resnet": (networks.resnet, (3, 12, 12)),
    "attention": (lambda: networks.ready(networks.Attention()), (6, 8)),
    "positions": (lambda: networks.ready(networks.Positions()), (6, 8)),
}


def whole(swept: Swept) -> dict[str, torch.Tensor]:
    return {key: swept.kept.of(key) for key in swept.plan.taps}


def exported(network: nn.Module, x: torch.Tensor, tmp_path) -> nn.Module:
    """The network after export, save, load and unflatten, with a dynamic batch."""
    program = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, tmp_path / "network.pt2")
    return torch.export.unflatten(torch.export.load(tmp_path / "network.pt2"))


@pytest.mark.parametrize("rule", ["captum", "trapezoid"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_equals_captum_in_float64(family, rule):
    make, shape = FAMILIES[family]
    network, x, baseline = make(), networks.points(3, *shape), torch.zeros(1, *shape, dtype=torch.float64)
    target = Target.classes([0, 1, 2])
    swept = run(network, x, baseline, target, rule=rule)
    checks = verify(network, swept.probe, swept.plan, (x,), (baseline,), target, whole(swept), rule=swept.rule)
    able = [check for check in checks if check.applicable]
    assert len(able) >= len(checks) - 3
    assert able
    assert max(check.difference for check in able) < 1e-10


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
def test_an_exported_network_gives_the_numbers_of_the_network_itself(family, tmp_path):
    make, shape = FAMILIES[family]
    network, x, baseline = make(), networks.points(3, *shape), torch.zeros(1, *shape, dtype=torch.float64)
    target = Target.classes([0, 1, 2])
    again = exported(network, x, tmp_path)
    here, there = run(network, x, baseline, target), run(again, x, baseline, target)
    leaves = {tap.key for tap in here.probe.taps if not tap.container}
    assert leaves <= {tap.key for tap in there.probe.taps}
    for key in leaves:
        torch.testing.assert_close(there[key], here[key], rtol=1e-10, atol=1e-14)
    checks = verify(again, there.probe, there.plan, (x,), (baseline,), target, whole(there), rule=there.rule)
    assert max(check.difference for check in checks if check.applicable) < 1e-10


@pytest.mark.parametrize("batch", [1, 4])
def test_a_static_export_is_swept_at_its_own_batch_size(batch, tmp_path):
    network, x = networks.cnn(), networks.points(3, 1, 12, 12)
    program = torch.export.export(network, (networks.points(batch, 1, 12, 12),))
    torch.export.save(program, tmp_path / "static.pt2")
    static = torch.export.unflatten(torch.export.load(tmp_path / "static.pt2"))
    baseline, target = torch.zeros(1, 1, 12, 12, dtype=torch.float64), Target.classes([0, 1, 2])
    here, there = run(network, x, baseline, target), run(static, x, baseline, target)
    assert there.probe.rows == batch
    for key in here.plan.taps:
        torch.testing.assert_close(there[key], here[key], rtol=1e-10, atol=1e-14)


def test_what_captum_cannot_do_is_said_and_not_compared():
    cases = [
        (networks.lstm(), networks.points(2, 7, 5), "rnn:0", "gives 3 tensors"),
        (networks.ready(networks.Reused()), networks.points(2, 6), "relu@0", "keeps only its last call"),
        (networks.ready(networks.Positions()), networks.points(2, 6, 8), "mix", "is not the batch"),
    ]
    for network, x, key, reason in cases:
        baseline, target = torch.zeros_like(x[:1]), Target.classes(1)
        swept = run(network, x, baseline, target)
        checks = verify(network, swept.probe, swept.plan, (x,), (baseline,), target, whole(swept), rule=swept.rule)
        check = next(check for check in checks if check.layer == key)
        assert not check.applicable
        assert check.difference is None
        assert reason in check.reason


def test_a_wrong_number_is_noticed():
    network, x, baseline = networks.mlp(), networks.points(2, 6), torch.zeros(1, 6, dtype=torch.float64)
    target = Target.classes(1)
    swept = run(network, x, baseline, target)
    wrong = {key: values * (1 + 1e-6) for key, values in whole(swept).items()}
    for check in verify(network, swept.probe, swept.plan, (x,), (baseline,), target, wrong, rule=swept.rule):
        assert check.difference == pytest.approx(1e-6, rel=1e-3)


def test_the_layers_to_verify_are_drawn_by_the_seed():
    keys = [f"layer {i}" for i in range(20)]
    assert drawn(keys, 3, seed=5) == drawn(keys, 3, seed=5)
    assert len({drawn(keys, 3, seed=seed) for seed in range(10)}) > 5
    assert drawn(keys, 30, seed=1) == tuple(keys)
    assert drawn(keys, 0, seed=1) == ()
