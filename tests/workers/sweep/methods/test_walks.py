"""What a walk costs and what it survives: passes counted, draws that never move, a device that runs out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.methods.made import CLASSES, MEMORY, attributed, ready
from workers.sweep.completeness import Shrunk
from workers.sweep.method import Method
from workers.sweep.methods.at_input import Activation, GradientXActivation, InputXGradient, Saliency
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.gradcam import GradCam
from workers.sweep.methods.gradient_shap import GradientShap
from workers.sweep.methods.internal_influence import IntegratedGradients, InternalInfluence
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.methods.smoothgrad import SmoothGrad
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import walk
from workers.sweep.target import Target

METHODS: list[Method] = [
    Activation(), GradientXActivation(), Saliency(), InputXGradient(), InternalInfluence(steps=6),
    InternalInfluence(steps=6, rule="captum"), IntegratedGradients(steps=6), Conductance(steps=6),
    GradCam(extent=(12, 12)), SmoothGrad(samples=5), SmoothGrad(samples=5, of="variance"), GradientShap(samples=4),
    GradientShap(samples=4, noise=0.1), NeuronConductance(layer="0", chosen=((0, 2, 2), (3, 4, 4)), steps=6),
]  # fmt: skip


def given(count: int = 5) -> Prepared:
    return ready(networks.cnn(), networks.points(count, 1, 12, 12), Target.classes([0, 1, 2, 3, 4][:count]))


@contextmanager
def counted(network: nn.Module) -> Iterator[list[tuple[str, int]]]:
    """Every forward pass of `network` with its rows, and every backward pass that reaches its layer `0`."""
    seen: list[tuple[str, int]] = []
    first = network.get_submodule("0")

    def forward(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(("forward", len(output)))
        if output.requires_grad:
            output.register_hook(lambda gradient: seen.append(("backward", len(gradient))))

    handle = first.register_forward_hook(forward)
    try:
        yield seen
    finally:
        handle.remove()


# --- what it costs


def test_activations_take_no_backward_pass_and_no_graph():
    of = given()
    with counted(of.model) as seen:
        attributed(Activation(), of)
    assert {kind for kind, _ in seen} == {"forward"}
    assert [rows for _, rows in seen] == [10, 5]  # both ends, then the inputs


def test_the_value_of_a_layer_that_is_changed_in_place_afterwards_is_what_the_layer_gave():
    network, x = networks.resnet(), networks.points(3, 3, 12, 12)
    of = ready(network, x, CLASSES)
    assert of.probe.tap("1").clone
    with torch.no_grad():
        expected = network[1](network[0](x))
    assert bool((expected < 0).any())  # the ReLU that follows would have made them zero
    torch.testing.assert_close(attributed(Activation(), of)["1"], expected)


def test_targets_and_methods_share_one_forward_and_each_target_has_one_backward():
    of = given()
    targets = [Target.classes(label) for label in range(4)]
    kept = [Keep() for _ in range(8)]
    methods = [Conductance(steps=6), InternalInfluence(steps=6)] * 4
    taps = tuple(tap.key for tap in of.layers if tap.status == "on_path" and tap.same_as is None)
    questions = [
        method.question(replace(of, target=targets[at // 2]), taps, [kept[at]]) for at, method in enumerate(methods)
    ]
    chunks = of.plan(7, MEMORY, 1)
    with counted(of.model) as seen:
        walk(of.model, of.probe, chunks, of.x, of.origin, methods[0].points, questions)
    blocks = -(-len(of) // chunks.examples)
    forwards, backwards = ([rows for kind, rows in seen if kind == each] for each in ("forward", "backward"))
    assert len(forwards) == 2 * blocks  # the ends, and all points of a block
    assert len(backwards) == 4 * blocks
    for at, method in enumerate(methods):
        alone = Keep()
        method.attribute(replace(of, target=targets[at // 2]), chunks, [alone], None, 0)
        assert all(torch.equal(kept[at].of(key), alone.of(key)) for key in taps)


# --- how it is cut


@pytest.mark.parametrize(("points", "examples"), [(1, 1), (2, 3), (3, 5), (50, 2)])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_chunks_do_not_change_the_numbers(method, points, examples):
    of = given()
    whole, cut = attributed(method, of, seed=3), attributed(method, of, points=points, examples=examples, seed=3)
    for key in whole.plan.taps:
        torch.testing.assert_close(cut[key], whole[key], rtol=1e-9, atol=1e-13)
    assert cut.told == pytest.approx([(i + 1) / len(cut.told) for i in range(len(cut.told))])


@pytest.mark.parametrize("method", [SmoothGrad(samples=3), GradientShap(samples=3), GradientShap(samples=3, noise=0.1)])
def test_an_example_draws_by_its_place_among_all_and_by_the_seed(method):
    of = given()
    whole, some = attributed(method, of, seed=3), attributed(method, of.examples(2, 4), seed=3)
    other = attributed(method, of, seed=4)
    for key in whole.plan.taps:
        torch.testing.assert_close(some[key], whole[key][2:4], rtol=1e-9, atol=1e-13)
        assert not torch.allclose(other[key], whole[key])
    twice = of.examples(1, 5).examples(1, 3)
    assert (twice.first, len(twice.others[0])) == (2, 5)


def test_draws_are_the_same_in_both_precisions():
    network, x = networks.cnn(), networks.points(3, 1, 12, 12)
    fine = attributed(GradientShap(samples=3), ready(network, x, CLASSES))
    rough = attributed(GradientShap(samples=3), ready(networks.cnn().float(), x.float(), CLASSES))
    for key in fine.plan.taps:
        scale = float(fine[key].abs().max())
        torch.testing.assert_close(rough[key].double(), fine[key], rtol=0, atol=1e-5 * scale)


def test_no_example_is_its_own_baseline_and_one_alone_is_refused():
    of = given(2)
    made = attributed(GradientShap(samples=6), of)
    with torch.no_grad():
        last = [of.model(of.x[0])[i, i] for i in range(2)]
        other = [of.model(of.x[0])[1 - i, i] for i in range(2)]
    # at the last layer the target is linear: each draw gives exactly F(x) - F(the other example)
    torch.testing.assert_close(made.totals.signed("7"), torch.stack(last) - torch.stack(other))
    method = GradientShap(samples=2)
    with pytest.raises(SweepRefused, match="there is one example; give more, or ask for layer_conductance"):
        method.plan(ready(networks.mlp(), networks.points(1, 6), Target.classes(1)), MEMORY, 1, ())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_budget_bounds_the_rows_of_a_chunk_and_the_quote(method):
    of = given()
    wide, narrow = (method.plan(of, budget, 1, ()) for budget in (MEMORY, 6 << 20))
    assert narrow.points * narrow.examples <= wide.points * wide.examples
    assert method.quote(of, narrow).bytes <= 6 << 20
    assert method.quote(of, wide).seconds > 0


# --- a device that runs out of memory


class Fails(nn.Module):
    """Has no memory for more than `rows` rows while gradients are wanted."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.rows = inner, 1 << 30
        self.failed: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner[0](x)
        if torch.is_grad_enabled() and len(x) > self.rows:
            self.failed.append(len(x))
            raise torch.OutOfMemoryError("fake: CUDA out of memory")
        return self.inner[1:](h)


def failing(count: int = 5) -> tuple[Prepared, Fails]:
    network = Fails(networks.mlp())
    return ready(network, networks.points(count, 6), Target.classes(1)), network


@pytest.mark.parametrize("method", [Conductance(steps=7), InternalInfluence(steps=7), IntegratedGradients(steps=7)])
@pytest.mark.parametrize("rows", [1, 3, 9, 31])
def test_memory_that_runs_out_halves_the_rows_and_the_numbers_stay(method, rows):
    of, network = failing()
    whole = attributed(method, of)
    assert whole.ends.shrunk == ()
    network.rows = rows
    made = attributed(method, of)
    assert network.failed
    for key in whole.plan.taps:
        torch.testing.assert_close(made[key], whole[key], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(made.ends.output, whole.ends.output)
    assert made.told[-1] == 1.0
    last = made.ends.shrunk[-1]
    assert rows / 2 < last.points * last.examples <= rows


def test_what_was_departed_from_is_told_and_only_from_where_it_was():
    of, network = failing(6)
    method = Conductance(steps=7)
    plan = replace(method.plan(of, MEMORY, 1, ()), points=8, examples=2)
    fractions: list[float] = []

    def later(fraction: float) -> None:
        fractions.append(fraction)
        network.rows = 8  # memory runs out after the first block

    ends = method.attribute(of, plan, [Keep()], later, 0)
    assert ends.shrunk == (Shrunk(start=2, points=8, examples=1),)
    assert network.failed == [16]
    assert fractions == pytest.approx([1 / 3, 2 / 5, 3 / 5, 4 / 5, 1])


def test_hooks_are_gone_after_memory_ran_out_and_one_row_that_does_not_fit_is_refused_with_words():
    of, network = failing()
    network.rows = 0
    with pytest.raises(SweepRefused, match=r"no memory for 1 row.*ask for fewer layers"):
        attributed(Conductance(steps=7), of)
    assert not any(module._forward_hooks for module in of.model.modules())


def test_memory_that_runs_out_in_the_backward_pass_leaves_nothing_half_summed():
    class Once(torch.autograd.Function):
        failed = False

        @staticmethod
        def forward(ctx, h):
            return h.clone()

        @staticmethod
        def backward(ctx, gradient):
            if not Once.failed:
                Once.failed = True
                raise torch.OutOfMemoryError("fake: CUDA out of memory")
            return gradient

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = networks.mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner[1:](Once.apply(self.inner[0](x)))

    Once.failed = True
    of = ready(Network(), networks.points(5, 6), Target.classes(1))
    whole = attributed(Conductance(steps=7), of, points=8, examples=4)
    Once.failed = False
    made = attributed(Conductance(steps=7), of, points=8, examples=4)
    assert Once.failed
    assert made.ends.shrunk == (Shrunk(start=0, points=8, examples=2),)
    for key in whole.plan.taps:
        torch.testing.assert_close(made[key], whole[key], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "method",
    [
        Conductance(steps=4),
        InternalInfluence(steps=4),
        IntegratedGradients(steps=4),
        NeuronConductance(layer="inner.0", chosen=((0,),), steps=4),
    ],
    ids=lambda method: method.name,
)
def test_a_path_that_begins_with_a_jump_is_refused_by_all_that_integrate_along_it(method):
    of = replace(ready(networks.mlp(), networks.points(2, 6), Target.classes(1)), jump=0.9)
    for tap in of.probe.taps:
        if (tap.key in of.inputs) == (method.name in ("integrated_gradients", "neuron_conductance")):
            assert "no number of steps follows that" in method.obstacle(of, tap)
