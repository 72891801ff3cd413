"""How far layers are carried, by hand."""

from __future__ import annotations

import torch
from torch import nn

from tests import networks
from workers.robustness.layers.chosen import before, chosen
from workers.robustness.layers.controls import stretched
from workers.robustness.layers.displaced import displaced
from workers.robustness.layers.through import Through
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.target import Target


def prepared(network, x, target=None):
    target = target or Target.classes(0)
    origin = torch.zeros_like(x[:1])
    given = target.read(network(x.clone()))
    found = probe(network, (x,), (origin,), target)
    return Prepared(model=network, x=(x,), origin=(origin,), target=target, outputs=given, probe=found)


def same(rows):
    return rows


def asked(ready, rows=64):
    return Through(ready, 0, same, lambda output, _inputs, _index: output, rows)


def follow(network, x, made, noisy, rows=64):
    ready = prepared(network, x)
    taps = chosen(ready, ()).taps
    through = asked(ready, rows)
    with through.quiet():
        return displaced(through, taps, x, made, noisy, torch.arange(len(x)), same, lambda _: None)


def scaling(*factors):
    layers = []
    for factor in factors:
        layer = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.diag(torch.tensor(factor)))
        layers.append(layer)
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


def test_gains_of_a_linear_network_are_those_of_its_weights():
    network = scaling([2.0, 2.0], [1.0, 10.0], [1.0, 0.5])
    x = torch.tensor([[1.0, 0.0]]).double()
    made, noisy = (
        x + torch.tensor([[0.0, 0.1]]).double(),
        (x + torch.tensor([[0.06, 0.08]]).double())[None].repeat(2, 1, 1),
    )
    found = follow(network, x, made, noisy)
    torch.testing.assert_close(found.relative[:, 0], torch.tensor([0.1, 1.0, 0.5]).double())
    torch.testing.assert_close(found.gain[:, 0], torch.tensor([1.0, 10.0, 0.5]).double())
    noise = [0.1, (0.06**2 + 0.8**2) ** 0.5, (0.06**2 + 0.4**2) ** 0.5]
    torch.testing.assert_close(found.random[:, 0, 0], torch.tensor(noise).double())
    torch.testing.assert_close(found.ratio[:, 0], torch.tensor([1.0, 1.0 / noise[1], 0.5 / noise[2]]).double())
    torch.testing.assert_close(found.cosine[:, 0], torch.tensor([1.01**-0.5, 2**-0.5, 1.25**-0.5]).double())
    torch.testing.assert_close(found.at_input, torch.tensor([0.1]).double())


def test_a_layer_that_is_zero_at_an_example_has_no_displacement_there():
    network = nn.Sequential(nn.ReLU(), nn.Linear(2, 2)).double().eval().requires_grad_(False)
    x = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]).double()
    found = follow(network, x, x + 0.5, (x + 0.4)[None].repeat(2, 1, 1))
    assert found.relative[0].isnan().tolist() == [True, False]
    assert found.reached == (True, True)


def test_blocks_of_rows_change_nothing():
    network = networks.resnet()
    x = networks.points(5, 3, 12, 12)
    noisy = torch.stack([x + 0.1 * networks.points(5, 3, 12, 12, seed=seed) for seed in (3, 4)])
    whole, narrow = (follow(network, x, x + 0.1, noisy, rows) for rows in (64, 7))
    torch.testing.assert_close(whole.relative, narrow.relative, equal_nan=True)
    torch.testing.assert_close(whole.random, narrow.random, equal_nan=True)


def test_values_before_an_activation_in_place_are_those_before_it():
    plain = networks.ready(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))).requires_grad_(False)
    inplace = nn.Sequential(plain[0], nn.ReLU(inplace=True), plain[2])
    x = networks.points(3, 4)
    noisy = (x + 0.2)[None].repeat(2, 1, 1)
    one, other = (follow(network, x, x - 0.3, noisy) for network in (plain, inplace))
    assert one.relative.isfinite().all()
    torch.testing.assert_close(one.relative, other.relative)


def test_a_branch_that_the_attack_does_not_reach_is_no_layer_before():
    ready = prepared(networks.ready(networks.Reused()).eval(), networks.points(2, 6))
    taps = chosen(ready, ()).taps
    assert [tap.key for tap in taps] == ["first", "shared@0", "relu@0", "shared@1", "relu@1", "head"]
    assert before(taps, [True] * 6) == (-1, 0, 1, 2, 3, 4)
    assert before(taps, [True, True, False, True, True, True]) == (-1, 0, 1, 1, 3, 4)


def test_the_network_from_a_layer_on_is_the_network_with_its_gradient():
    network, x = networks.resnet(), networks.points(4, 3, 12, 12)
    ready = prepared(network, x)
    through = asked(ready, 3)
    rows = torch.arange(4)
    with through.quiet():
        outputs = through.outputs(x, rows)
        for tap in chosen(ready, ()).taps:
            own = through.values(x, rows, [tap])[tap.key].requires_grad_()
            again = through.after(tap, x, rows)(own, rows)
            torch.testing.assert_close(again, outputs)
            (slope,) = torch.autograd.grad(again[:, 1].sum(), own)
            step = 1e-7 * slope / slope.norm().clamp(min=1e-9)
            moved = through.after(tap, x, rows)((own + step).detach(), rows)
            rise = (moved - outputs)[:, 1].sum() / 1e-7
            torch.testing.assert_close(rise, slope.norm(), rtol=0.02, atol=1e-6)


def test_the_planted_amplifier_shows_beside_noise():
    found = stretched()
    torch.testing.assert_close(found.gain[0], torch.ones(4).double())
    torch.testing.assert_close(found.gain[1], torch.full((4,), 10.0).double())
    assert bool((found.ratio[1] > 2).all())
