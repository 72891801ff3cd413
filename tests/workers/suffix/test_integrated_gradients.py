"""Layer integrated gradients: by hand, against the definition point by point, and their properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.references.suffix import layer_integrated_gradients, replaced, value
from tests.workers.suffix.families import FAMILIES, Slyly
from tests.workers.suffix.made import attributed, chunks_of, prepared
from workers.numerics.determinism import NotFinite
from workers.suffix.case import case
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.suffix.rerun import Rerun
from workers.suffix.scores import Scores
from workers.sweep.completeness import completeness
from workers.sweep.embedded import Ids
from workers.sweep.refusals import ChangingGraph
from workers.sweep.target import Target


def test_behind_the_last_bend_a_units_share_is_its_weight_times_its_change():
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    made = attributed(
        LayerIntegratedGradients(steps=3, rule="trapezoid"), prepared(network, x, torch.zeros_like(x), Target.value())
    )
    torch.testing.assert_close(made["relu"], torch.tensor([[2.0, -1.0]], dtype=torch.float64), rtol=1e-15, atol=0)


def test_before_it_each_point_counts_with_its_weight():
    """`shift` goes from (-1, 0) to (2, 1) over 4 points; where its value is not above zero the slope is zero."""
    network, x = networks.relu_pair(), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    made = attributed(
        LayerIntegratedGradients(steps=3, rule="trapezoid"), prepared(network, x, torch.zeros_like(x), Target.value())
    )
    expected = torch.tensor([[3 * (1 / 3 + 1 / 6), -(1 / 3 + 1 / 3 + 1 / 6)]], dtype=torch.float64)
    torch.testing.assert_close(made["shift"], expected, rtol=1e-14, atol=1e-16)


def test_the_rest_of_the_network_sees_the_input_and_not_the_baseline():
    """f(x) = a(x) b(x), two branches: the layer a alone moves, and b stays at b(x)."""

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
            nn.init.constant_(self.a.weight, 2.0)
            nn.init.constant_(self.b.weight, 5.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) * self.b(x)

    x = torch.tensor([[3.0]], dtype=torch.float64)
    ready = prepared(Product().double().eval(), x, torch.ones_like(x), Target.value())
    made = attributed(LayerIntegratedGradients(steps=2), ready)
    torch.testing.assert_close(made["a"], torch.tensor([[(6.0 - 2.0) * 15.0]], dtype=torch.float64), rtol=1e-7, atol=0)
    assert not ready.probe.tap("a").cut
    assert not LayerIntegratedGradients(steps=2).complete(ready, ready.probe.tap("a"))


PLACES = [
    ("lstm", "rnn", "rnn:0", lambda out: out[0], lambda out, new: (new, *out[1:]), 0),
    ("state", "rnn", "rnn:1", lambda out: out[1][0], lambda out, new: (out[0], (new, out[1][1])), 0),
    ("gru", "rnn", "rnn:0", lambda out: out[0], lambda out, new: (new, *out[1:]), 0),
    ("attention", "attention", "attention", lambda out: out[0], lambda out, new: (new, out[1]), 0),
    ("positions", "mix", "mix", lambda out: out, lambda out, new: new, 0),
    ("reused", "shared", "shared@0", lambda out: out, lambda out, new: new, 0),
    ("reused", "relu", "relu@1", lambda out: out, lambda out, new: new, 1),
    ("structured", "inner", "inner", lambda out: out["answer"].logits,
     lambda out, new: {"answer": networks.Answer(logits=new)}, 0),
    ("resnet", "4.norm1", "4.norm1", lambda out: out, lambda out, new: new, 0),
    ("dense", "first", "first", lambda out: out, lambda out, new: new, 0),
    ("skipping", "inner", "inner", lambda out: out, lambda out, new: new, 0),
    ("flipped", "turn", "turn", lambda out: out, lambda out, new: new, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "module", "key", "read", "put", "call"), PLACES, ids=[f"{p[0]} {p[2]}" for p in PLACES]
)
@pytest.mark.parametrize("points", [6, 4])
def test_it_equals_the_definition_point_by_point(family, module, key, read, put, call, points):
    make, shape = FAMILIES[family]
    network, x = make(), networks.points(2, *shape)
    baseline, method = networks.points(1, *shape, seed=5) * 0.1, LayerIntegratedGradients(steps=6)
    made = attributed(method, prepared(network, x, baseline, Target.classes([1, 2])), cut=chunks_of(points))
    layer, quadrature = dict(network.named_modules())[module], method.quadrature
    for i, label in enumerate((1, 2)):
        expected = layer_integrated_gradients(
            network, layer, x[i : i + 1], baseline, lambda out, label=label: out[:, label],
            quadrature.nodes, quadrature.weights, read, put, call,
        )  # fmt: skip
        tap = made.ready.probe.tap(key)
        torch.testing.assert_close(made[key][i], tap.layout.split(expected, 1)[0], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("rule", ["captum", "trapezoid"])
@pytest.mark.parametrize("family", FAMILIES)
def test_captum_gives_the_same_numbers_layer_by_layer(family, rule):
    make, shape = FAMILIES[family]
    x, baseline = networks.points(3, *shape), torch.zeros(1, *shape, dtype=torch.float64)
    method = LayerIntegratedGradients(steps=8, rule=rule)
    made = attributed(method, prepared(make(), x, baseline, Target.classes([0, 1, 2])))
    checks = method.verify(made.ready, made.plan, made.whole, seed=0)
    assert [check.layer for check in checks] == list(made.plan.taps)
    able = [check for check in checks if check.applicable]
    assert able
    assert max(check.difference for check in able) < (1e-10 if rule == "captum" else 1e-6)


def test_what_captum_would_answer_otherwise_is_not_compared():
    cases = [
        ("reused", "shared@1", "every call"),
        ("lstm", "rnn:0", "all of them together"),
        ("positions", "mix", "not the batch"),
    ]
    for family, key, reason in cases:
        make, shape = FAMILIES[family]
        x = networks.points(2, *shape)
        method = LayerIntegratedGradients(steps=4)
        made = attributed(method, prepared(make(), x, torch.zeros_like(x[:1]), Target.classes(1)))
        check = next(each for each in method.verify(made.ready, made.plan, made.whole, 0) if each.layer == key)
        assert check.difference is None
        assert reason in check.reason


def test_a_wrong_number_is_noticed():
    x = networks.points(2, 6)
    method = LayerIntegratedGradients(steps=5)
    made = attributed(method, prepared(networks.mlp(), x, torch.zeros_like(x[:1]), Target.classes(1)))
    wrong = {key: values * (1 + 1e-6) for key, values in made.whole.items()}
    for check in method.verify(made.ready, made.plan, wrong, 0):
        assert check.difference == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize("family", ["attention", "lstm", "structured"])
def test_a_layer_that_all_passes_through_accounts_for_the_whole_change(family):
    make, shape = FAMILIES[family]
    x = networks.points(3, *shape)
    ready = prepared(make(), x, torch.zeros_like(x[:1]), Target.classes([0, 1, 2]))
    method = LayerIntegratedGradients(steps=60)
    made = attributed(method, ready)
    cuts = [key for key in made.plan.taps if method.complete(ready, ready.probe.tap(key))]
    assert cuts
    for key in cuts:
        assert completeness(made.totals.signed(key), made.ends).worst < 1e-6


def test_a_layer_beside_a_skip_accounts_for_what_its_branch_alone_changes():
    network, x = FAMILIES["attention"][0](), networks.points(2, 6, 8)
    baseline = torch.zeros_like(x[:1])
    made = attributed(LayerIntegratedGradients(steps=60), prepared(network, x, baseline, Target.classes(1)))
    before = value(network, network.attention, baseline, lambda out: out[0])
    for i in range(2):
        alone = replaced(network, network.attention, x[i : i + 1], before, lambda out, new: (new, out[1]))
        expected = (network(x[i : i + 1]) - alone)[0, 1].item()
        assert float(made.totals.signed("attention")[i]) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_change_nothing_but_rounding(family):
    make, shape = FAMILIES[family]
    x = networks.points(3, *shape)
    ready, method = (
        prepared(make(), x, torch.zeros_like(x[:1]), Target.classes([0, 1, 2])),
        LayerIntegratedGradients(steps=7),
    )
    whole = attributed(method, ready, cut=chunks_of(7, 3))
    for points, examples in ((7, 1), (3, 1), (1, 1), (7, 2)):
        other = attributed(method, ready, cut=chunks_of(points, examples))
        for key in whole.plan.taps:
            torch.testing.assert_close(other[key], whole[key], rtol=1e-10, atol=1e-14)


def test_the_same_plan_gives_the_same_bits():
    x = networks.points(3, 3, 12, 12)
    ready = prepared(networks.resnet(), x, torch.zeros_like(x[:1]), Target.classes([0, 1, 2]))
    one, other = (attributed(LayerIntegratedGradients(steps=7), ready, cut=chunks_of(4)) for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one.plan.taps)


def test_an_example_at_its_baseline_has_no_attribution():
    x = networks.points(3, 6)
    baseline = x.clone()
    baseline[0] = 0
    made = attributed(LayerIntegratedGradients(steps=4), prepared(networks.mlp(), x, baseline, Target.classes(1)))
    for key in made.plan.taps:
        assert bool(made[key][0].any())
        assert not bool(made[key][1:].any())


def one_row_is_enough(network: nn.Module, x: Tensor) -> dict[str, bool]:
    """By layer, whether one row before it was found to serve all values at it."""
    ready = prepared(network, x, torch.zeros_like(x), Target.classes(1))
    taps = [tap for tap in ready.probe.taps if tap.status == "on_path" and tap.same_as is None]
    scores, of = Scores(Rerun(ready.model, ready.probe)), case(ready, 0, len(ready), "cpu")
    values = Rerun(ready.model, ready.probe).record((x,), taps).values
    for tap in taps:
        several = torch.stack([values[tap.key] * (0.5 + i) for i in range(4)])
        scores.at(tap, of, several, slopes=True)
    return {key: enough for (key, _), enough in scores.once.items()}


def test_one_row_before_the_layer_serves_where_the_model_broadcasts_it():
    found = one_row_is_enough(networks.resnet(), networks.points(1, 3, 12, 12))
    assert found["4.norm1"]
    assert found["4.relu1"]


def test_where_the_model_does_not_all_rows_are_run():
    found = one_row_is_enough(FAMILIES["dense"][0](), networks.points(1, 6))
    assert not found["first"]  # what came before cannot be put beside it
    assert found["head"]


def test_a_model_that_broadcasts_to_another_number_is_found_out():
    network, x = networks.ready(Slyly()), networks.points(2, 6)
    assert not one_row_is_enough(network, x[:1])["late"]
    method = LayerIntegratedGradients(steps=5)
    made = attributed(method, prepared(network, x, torch.zeros_like(x[:1]), Target.classes(1)), cut=chunks_of(5))
    for check in method.verify(made.ready, made.plan, made.whole, 0):
        assert check.difference < 1e-10


def exported(network: nn.Module, x: Tensor, tmp_path, *, dynamic: bool) -> nn.Module:
    """The network after export, save, load and unflatten."""
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    torch.export.save(torch.export.export(network, (x,), dynamic_shapes=shapes), tmp_path / "network.pt2")
    return torch.export.unflatten(torch.export.load(tmp_path / "network.pt2"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export.load's own
@pytest.mark.parametrize("family", ["cnn", "resnet", "attention", "reused"])
def test_an_exported_network_gives_the_numbers_of_the_network_itself(family, tmp_path):
    make, shape = FAMILIES[family]
    network, x = make(), networks.points(3, *shape)
    again = exported(network, x, tmp_path, dynamic=True)
    target, method = Target.classes([0, 1, 2]), LayerIntegratedGradients(steps=6)
    here, there = (attributed(method, prepared(each, x, torch.zeros_like(x[:1]), target)) for each in (network, again))
    one_by_one = attributed(method, there.ready, cut=chunks_of(4))
    shared = set(here.plan.taps) & set(there.plan.taps)
    assert shared
    for key in shared:
        torch.testing.assert_close(there[key], here[key], rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(one_by_one[key], here[key], rtol=1e-10, atol=1e-14)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export.load's own
@pytest.mark.parametrize("batch", [1, 4])
def test_a_static_export_is_rerun_at_its_own_batch_size(batch, tmp_path):
    network, x = networks.cnn(), networks.points(3, 1, 12, 12)
    static = exported(network, networks.points(batch, 1, 12, 12), tmp_path, dynamic=False)
    target, method = Target.classes([0, 1, 2]), LayerIntegratedGradients(steps=6)
    here = attributed(method, prepared(network, x, torch.zeros_like(x[:1]), target))
    there = attributed(method, prepared(static, x, torch.zeros_like(x[:1]), target, rows=batch))
    assert there.plan.points * there.plan.examples <= batch
    for key in here.plan.taps:
        torch.testing.assert_close(there[key], here[key], rtol=1e-10, atol=1e-14)
    assert "takes exactly" in method.verify(there.ready, there.plan, there.whole, 0)[0].reason


def test_progress_ends_at_one_and_an_exception_from_it_ends_the_run():
    x = networks.points(2, 6)
    ready, seen = prepared(networks.mlp(), x, torch.zeros_like(x[:1]), Target.classes(1)), []
    method = LayerIntegratedGradients(steps=6)
    attributed(method, ready, on_chunk=seen.append, cut=chunks_of(4))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) == 2 * 7 * 2

    class Stopped(Exception):
        pass

    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        attributed(method, ready, on_chunk=stop, cut=chunks_of(4))
    assert not any(module._forward_hooks for module in ready.model.modules())
    assert all(parameter.requires_grad for parameter in ready.model.parameters())


def test_a_number_that_is_none_is_named_with_its_layer():
    class Rooted(nn.Module):
        """The root of a layer's square: its slope at zero, which only the layer's own line meets, is no number."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(2, 2, bias=False), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.inner(x).square().sqrt())

    x = torch.ones(1, 2, dtype=torch.float64)
    ready = prepared(networks.ready(Rooted()), x, -x, Target.classes(1))
    with pytest.raises(NotFinite, match="inner"):
        attributed(LayerIntegratedGradients(steps=3), ready, layers=("inner",))


def test_a_layer_that_runs_for_some_inputs_only_is_refused():
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.extra, self.head = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.inner(x)
            return self.head(self.extra(h) if bool(x.abs().max() < 50) else h)

    x = torch.ones(2, 2, dtype=torch.float64)
    ready = prepared(networks.ready(Sometimes()), x, torch.zeros_like(x[:1]), Target.classes(1))
    far = prepared_with(ready, x * 100)
    with pytest.raises(ChangingGraph, match="extra"):
        attributed(LayerIntegratedGradients(steps=3), far)


def prepared_with(ready, x: Tensor):
    """The same, with other examples than those it was probed with."""
    return replace(ready, x=(x,))


def test_behind_embedded_ids_the_layers_have_captums_numbers():
    ids, mask = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]), torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    start = Ids(origin="zero", real=mask.bool(), low=0, high=9)
    ready = prepared(networks.ready(networks.Reader()), (ids, mask), (start, mask), Target.classes([1, 2]), inputs=True)
    method = LayerIntegratedGradients(steps=9)
    made, one_by_one = attributed(method, ready), attributed(method, ready, cut=chunks_of(4))
    for key in made.plan.taps:
        torch.testing.assert_close(one_by_one[key], made[key], rtol=1e-10, atol=1e-14)
    able = [check.difference for check in method.verify(ready, made.plan, made.whole, 0) if check.applicable]
    assert able
    assert max(able) < 1e-10


# --- a line that begins with a jump


class Normed(nn.Module):
    """A layer whose reader looks at the direction of its output alone, beside one that is read as it is."""

    def __init__(self, offset: bool = False) -> None:
        super().__init__()
        self.first, self.beside, self.norm = nn.Linear(6, 8, bias=offset), nn.Linear(6, 8), nn.RMSNorm(8, eps=1e-12)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)) + self.beside(x))


def test_a_layer_of_zeros_that_is_normalised_is_refused_and_the_others_are_not():
    network, method = networks.ready(Normed()), LayerIntegratedGradients(steps=4)
    ready = prepared(network, networks.points(3, 6), torch.zeros(1, 6).double(), Target.classes(1))
    reasons = {tap.key: method.obstacle(ready, tap) for tap in ready.probe.taps}
    assert "no number of steps follows that" in reasons["first"]
    assert [reasons[key] for key in ("beside", "norm", "head")] == ["", "", ""]


def test_the_same_layer_that_gives_no_zeros_at_the_baseline_is_followed():
    network = networks.ready(Normed(offset=True))
    ready = prepared(network, networks.points(3, 6), torch.zeros(1, 6).double(), Target.classes(1))
    assert not any(LayerIntegratedGradients(steps=4).obstacle(ready, tap) for tap in ready.probe.taps)


def test_a_layer_is_looked_at_once_and_again_from_another_baseline():
    network, method, calls = networks.ready(Normed()), LayerIntegratedGradients(steps=4), list[int]()
    ready = prepared(network, networks.points(3, 6), torch.zeros(1, 6).double(), Target.classes(1))
    network.head.register_forward_hook(lambda module, given, output: calls.append(len(output)))
    tap = ready.probe.tap("first")
    assert method.obstacle(ready, tap)
    once = len(calls)
    assert once == 4
    assert method.obstacle(ready, tap)
    assert len(calls) == once
    moved = replace(ready, origin=(networks.points(1, 6, seed=9),))
    assert method.obstacle(moved, tap) == ""
    assert len(calls) == 2 * once


def test_a_branch_whose_whole_change_is_rounding_is_no_jump():
    network = networks.ready(Normed(offset=True)).float()
    with torch.no_grad():
        network.beside.weight.mul_(1e-9)
    ready = prepared(network, networks.points(3, 6).float(), torch.zeros(1, 6), Target.classes(1))
    assert LayerIntegratedGradients(steps=4).obstacle(ready, ready.probe.tap("beside")) == ""
