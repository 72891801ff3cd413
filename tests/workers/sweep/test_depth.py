"""Shares and agreement by hand, and on networks where the answer is known."""

import pytest
import torch
from torch import nn

from tests.workers.sweep.conftest import run
from workers.sweep.depth import LayerTotals, depth
from workers.sweep.target import Target

D = torch.float64


def layer(key, signed, absolute, *, cut=True):
    return LayerTotals(key, cut, torch.tensor(signed, dtype=D), torch.tensor(absolute, dtype=D))


def test_shares_are_towards_the_change_and_large_changes_weigh_more():
    change = torch.tensor([4.0, -2.0], dtype=D)
    found = depth([layer("branch", [1.0, -2.0], [3.0, 2.0], cut=False)], change)
    (at,) = found.layers
    assert at.share.value == 0.5  # (1 + 2) of (4 + 2)
    assert at.agreement.value == 0.6  # (1 + 2) of (3 + 2)


def test_a_branch_that_works_against_the_change_has_a_negative_share():
    change = torch.tensor([-1.0, -1.0], dtype=D)
    (at,) = depth([layer("branch", [0.5, 0.5], [0.5, 0.5], cut=False)], change).layers
    assert at.share.value == -0.5


def test_every_cut_of_a_complete_method_has_the_share_one_with_no_doubt():
    change = torch.tensor([4.0, -2.0, 1.0], dtype=D)
    found = depth([layer(key, [4.0, -2.0, 1.0], [9.0, 5.0, 2.0]) for key in ("a", "b")], change)
    for at in found.layers:
        assert (at.share.value, at.share.low, at.share.high) == (1.0, 1.0, 1.0)


def test_it_is_decided_at_the_first_cut_from_which_agreement_stays_at_one_half():
    net, grosses = [1.0, 1.0], {"a": 1.5, "b": 4.0, "branch": 1.0, "c": 2.0, "d": 1.0}
    found = depth(
        [layer(key, net, [gross, gross], cut=key != "branch") for key, gross in grosses.items()],
        torch.tensor(net, dtype=D),
    )
    assert [at.agreement.value for at in found.layers] == pytest.approx([2 / 3, 0.25, 1.0, 0.5, 1.0])
    assert found.decided == "c"  # a reached it too, but b fell below
    assert found.surely == "c"


def test_doubt_moves_what_is_sure_to_a_later_layer():
    early = layer("early", [1.0, 0.2, 1.0], [1.0, 1.0, 1.0])
    late = layer("late", [1.0, 0.9, 1.0], [1.0, 1.0, 1.0])
    found = depth([early, late], torch.ones(3, dtype=D))
    assert (found.decided, found.surely) == ("early", "late")
    assert depth([layer("a", [1.0], [1.5])], torch.ones(1, dtype=D)).surely is None  # one example has no bounds


def test_measures_without_a_meaning_are_left_out_with_a_reason():
    mixed, positive = layer("a", [1.0, 1.0], [2.0, 2.0]), layer("b", [2.0, 2.0], [2.0, 2.0])
    no_axiom = depth([mixed], None)
    assert no_axiom.layers[0].share is None
    assert "do not add up" in no_axiom.reasons[0]
    still = depth([mixed], torch.zeros(2, dtype=D))
    assert still.layers[0].share is None
    assert "does not change" in still.reasons[0]
    unsigned = depth([positive], torch.full((2,), 2.0, dtype=D))
    assert unsigned.layers[0].agreement is None
    assert unsigned.decided is None
    assert "both signs" in unsigned.reasons[0]
    nothing = depth([mixed, layer("off", [0.0, 0.0], [0.0, 0.0], cut=False)], torch.ones(2, dtype=D))
    assert nothing.layers[1].agreement is None


class Parallel(nn.Module):
    """f(x) = 3 x1 - x1 + relu(x2): two branches over the first feature and one over the second."""

    def __init__(self):
        super().__init__()
        self.up, self.down, self.side = (nn.Linear(2, 1, bias=False).double() for _ in range(3))
        for branch, weight in ((self.up, [3.0, 0.0]), (self.down, [-1.0, 0.0]), (self.side, [0.0, 1.0])):
            branch.weight.data = torch.tensor([weight], dtype=D)
        self.act, self.sum = nn.ReLU(), nn.Identity()

    def forward(self, x):
        return self.sum(self.up(x) + self.down(x) + self.act(self.side(x)))


def test_parallel_branches_share_what_a_cut_carries_whole():
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=D)  # f changes by 2 + 2 and by 4 + 4
    made = run(Parallel(), x, torch.zeros(1, 2, dtype=D), Target.value(), rule="trapezoid")
    taps = [tap for tap in made.probe.taps if not tap.container and tap.same_as is None]
    found = depth(
        [LayerTotals(tap.key, tap.cut, made.totals.signed(tap.key), made.totals.absolute(tap.key)) for tap in taps],
        made.ends.difference,
    )
    shares = {at.key: at.share.value for at in found.layers if at.key != "side"}  # its ReLU begins at the kink
    assert shares == pytest.approx({"up": 0.75, "down": -0.25, "act": 0.5, "sum": 1.0}, abs=1e-12)
    assert shares["up"] + shares["down"] + shares["act"] == pytest.approx(1.0, abs=1e-12)
