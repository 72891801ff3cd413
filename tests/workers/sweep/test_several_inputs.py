"""Networks with several inputs, and with integers among them: what moves, what is held, what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.conftest import run
from workers.sweep.captum_check import verify
from workers.sweep.completeness import completeness
from workers.sweep.probe import probe
from workers.sweep.refusals import IntegerInputs
from workers.sweep.target import Target

ZERO = torch.zeros(1, 6, dtype=torch.float64)


class Product(nn.Module):
    """f(x, y) = x y, each through a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.left(x) * self.right(y)


def test_a_product_of_two_inputs_is_shared_equally_between_them():
    x, y = torch.tensor([[3.0]], dtype=torch.float64), torch.tensor([[5.0]], dtype=torch.float64)
    swept = run(Product(), (x, y), (torch.zeros_like(x), torch.ones_like(y)), Target.value(), rule="trapezoid")
    # x = 3a, y = 1 + 4a: the left layer gets ∫ y dx = 3 + 6, the right one ∫ x dy = 6
    assert swept["left"].item() == pytest.approx(9)
    assert swept["right"].item() == pytest.approx(6)
    assert swept.ends.difference.item() == 15


def test_both_inputs_move_together_and_the_head_is_complete_over_both():
    network, x = networks.ready(networks.Siamese()), networks.points(6, 6).split(3)
    swept = run(network, x, (ZERO, ZERO + 1), Target.classes([0, 1, 2]), steps=200, rule="trapezoid")
    with torch.no_grad():
        change = network(*x).diagonal() - network(ZERO, ZERO + 1)[0]
    assert torch.allclose(swept.ends.difference, change)
    assert swept.probe.tap("head").cut
    assert not swept.probe.tap("encoder@0").cut
    assert completeness(swept.totals.signed("head"), swept.ends).worst < 1e-12
    # the two calls of the shared encoder lie side by side: together they carry everything
    both = swept.totals.signed("encoder@0") + swept.totals.signed("encoder@1")
    assert torch.allclose(both, change, atol=1e-4)


def test_layers_fed_by_two_inputs_equal_captum():
    network, x = networks.ready(networks.Siamese()), networks.points(6, 6).split(3)
    target = Target.classes([0, 1, 2])
    swept = run(network, x, (ZERO, ZERO + 1), target)
    (check,) = verify(
        network, swept.probe, swept.plan, x, (ZERO, ZERO + 1), target, {"head": swept["head"]}, rule=swept.rule
    )
    assert check.difference < 1e-10


def test_a_mask_of_integers_is_held_and_captum_agrees():
    network, x = networks.ready(networks.Masked()), networks.points(3, 6, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
    target, base = Target.classes([0, 1, 2]), torch.zeros(1, 6, 8, dtype=torch.float64)
    swept = run(network, (x, mask), (base, mask), target)
    with torch.no_grad():
        change = (network(x, mask) - network(base.expand_as(x), mask)).diagonal()
    assert torch.allclose(swept.ends.difference, change)
    assert float(swept["mix"][0, 3:].abs().max()) == 0, "what the mask leaves out gets nothing"
    assert float(swept["mix"][2].abs().min(0).values.max()) > 0
    for check in verify(
        network, swept.probe, swept.plan, (x, mask), (base, mask), target, {"mix": swept["mix"]}, rule=swept.rule
    ):
        assert check.difference < 1e-10


def test_a_mask_before_the_floating_input_keeps_its_place():
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = networks.ready(networks.Masked())

        def forward(self, mask: Tensor, x: Tensor) -> Tensor:
            return self.inner(x, mask)

    x, mask = networks.points(2, 6, 8), torch.ones(2, 6, dtype=torch.int64)
    base, target = torch.zeros(1, 6, 8, dtype=torch.float64), Target.classes(1)
    turned = Turned()
    seen = probe(turned, (mask, x), (mask, base), target)
    assert seen.tap("inner.mix").status == "on_path"
    swept = run(turned.inner, (x, mask), (base, mask), target)
    (check,) = verify(
        turned, seen, swept.plan, (mask, x), (mask, base), target, {"inner.mix": swept["mix"]}, rule=swept.rule
    )
    assert check.difference < 1e-10


def test_of_a_network_that_reads_ids_the_probe_sees_layers_gradients_and_cuts_from_the_embedding_on():
    network = networks.ready(networks.Reader())
    ids, mask = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]), torch.ones(2, 6, dtype=torch.int64)
    seen = probe(network, (ids[:1], mask[:1]), (ids[1:], mask[1:]), Target.classes(1))
    states = {tap.key: tap.status for tap in seen.taps}
    assert states == {
        "words": "on_path", "position": "constant", "inner.mix": "on_path", "inner.head": "on_path", "inner": "on_path"
    }  # fmt: skip
    assert {tap.key for tap in seen.taps if tap.cut} == {"words", "inner.mix", "inner.head", "inner"}
    assert seen.tap("inner.mix").upstream == {"words"}
    assert seen.cost.bytes(1) > 0


def test_there_is_no_path_between_ids_and_the_refusal_says_what_to_export():
    network, target = networks.ready(networks.Reader()), Target.classes(1)
    ids, mask = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]), torch.ones(2, 6, dtype=torch.int64)
    with pytest.raises(IntegerInputs, match="after its embedding"):
        run(network, (ids, mask), (ids.flip(0), mask), target)
