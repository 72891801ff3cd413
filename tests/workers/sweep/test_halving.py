"""A device without memory for a chunk: halved, begun again, told, and bit for bit what smaller chunks give."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.methods.made import MEMORY, ready
from workers.certificate.rows import scores
from workers.numerics.determinism import NotFinite
from workers.occlusion.kernel_shap import KernelShap
from workers.occlusion.occlusion import Occlusion
from workers.rescale.deep_lift import DeepLift
from workers.suffix.ablation import LayerAblation
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.sweep.completeness import Shrunk
from workers.sweep.halving import Chunks
from workers.sweep.method import Method
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import outputs
from workers.sweep.target import Target


@pytest.fixture(autouse=True, scope="module")
def _small_heap():
    """After an error of memory all garbage is collected; what other tests left need not be looked through each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


METHODS: list[Method] = [
    Conductance(steps=7), IntegratedGradients(steps=7), LayerIntegratedGradients(steps=8), LayerAblation(),
    NeuronConductance(layer="inner.0", chosen=((0,), (2,)), steps=7),
    LayerAblation(fill="baseline"), LayerAblation(fill="mean"), Occlusion(windows=((1,),)),
    KernelShap(samples=32, windows=((1,),)), DeepLift(),
]  # fmt: skip


def no_memory() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("fake: CUDA out of memory")


class Fails(nn.Module):
    """Has no memory for more than `rows` rows, wherever they begin in the network."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.rows = networks.mlp(), 1 << 30
        self.failed: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner[:-1](x)
        if len(h) > self.rows:
            self.failed.append(len(h))
            raise no_memory()
        last: Tensor = self.inner[-1](h)
        return last


def failing(count: int = 5) -> tuple[Prepared, Fails]:
    network = Fails()
    return ready(network, networks.points(count, 6), Target.classes(1)), network


def given(method: Method, of: Prepared, points: int, examples: int) -> tuple[dict[str, Tensor], tuple[Shrunk, ...]]:
    """The attributions in chunks of this size, and where that was departed from."""
    plan, keep = replace(method.plan(of, MEMORY, 1, ()), points=points, examples=examples), Keep()
    ends = method.attribute(of, plan, [keep], None, 0)
    return {key: keep.of(key) for key in plan.taps}, ends.shrunk


# --- every engine


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-{getattr(method, 'fill', '')}")
@pytest.mark.parametrize(("points", "examples", "rows"), [(4, 4, 8), (4, 4, 5), (8, 1, 4), (8, 1, 3)])
def test_what_was_halved_has_the_bits_of_the_smaller_chunks_and_says_so(method, points, examples, rows):
    of, network = failing()
    network.rows = 1 if isinstance(method, DeepLift) else rows
    if isinstance(method, DeepLift) and examples == 1:
        pytest.skip("DeepLIFT has one point, and a chunk of one example cannot be halved")
    made, shrunk = given(method, of, points, examples)
    assert network.failed
    assert shrunk[0].start == 0
    last = shrunk[-1]
    network.failed.clear()
    again, same = given(method, of, last.points, last.examples)
    assert same == ()
    assert not network.failed
    for key, each in made.items():
        if getattr(method, "fill", "") == "mean":  # the means were taken in larger chunks, before memory ran out
            torch.testing.assert_close(each, again[key], rtol=1e-12, atol=1e-14)
        else:
            assert torch.equal(each, again[key]), key


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-{getattr(method, 'fill', '')}")
def test_one_row_without_memory_is_refused_with_what_to_ask_for_and_the_hooks_are_gone(method):
    of, network = failing()
    plan = method.plan(of, MEMORY, 1, ())
    network.rows = 0
    with pytest.raises(SweepRefused, match=r"no memory for 1 row.*ask for fewer layers.*fake: CUDA"):
        method.attribute(of, plan, [Keep()], None, 0)
    assert not any(module._forward_hooks for module in of.model.modules())


@pytest.mark.parametrize("rows", [2, 8])
def test_versions_and_outputs_are_evaluated_in_as_many_rows_as_fit(rows):
    of, network = failing()

    def version(number: int) -> tuple[Tensor, ...]:
        return (of.x[0] * (1 + number),)

    whole, read = scores(of, 7, version, 20), outputs(of.model, of.x, None, of.target)
    assert not network.failed
    network.rows = rows
    halved = scores(of, 7, version, 20)
    assert network.failed
    torch.testing.assert_close(halved, whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(outputs(of.model, of.x, None, of.target), read, rtol=1e-12, atol=1e-14)
    network.rows = 0
    with pytest.raises(SweepRefused, match="no memory for 1 row"):
        scores(of, 7, version, 20)


# --- the chunks themselves


def test_a_block_is_begun_again_and_the_fraction_counts_what_is_left_now():
    told: list[float] = []
    asked: list[tuple[int, int]] = []
    chunks = Chunks(2, 4, fixed=None, in_block=lambda points: 4 // points, on_chunk=told.append)

    def work(start: int, stop: int) -> range:
        asked.append((start, stop))
        chunks.finished()
        if start == 4 and stop - start > 2:
            raise no_memory()
        chunks.finished()
        return range(start, stop)

    made = [each for block in chunks.over(8, work) for each in block]
    assert made == list(range(8))
    assert asked == [(0, 4), (4, 8), (4, 6), (6, 8)]
    assert chunks.shrunk == [Shrunk(start=4, points=2, examples=2)]
    assert told == pytest.approx([1 / 4, 2 / 4, 3 / 4, 4 / 7, 5 / 7, 6 / 7, 1])


def test_examples_are_halved_before_points_and_one_number_of_rows_is_not_halved():
    def never(_start: int, _stop: int) -> None:
        raise no_memory()

    chunks = Chunks(5, 3, fixed=None)
    with pytest.raises(SweepRefused):
        list(chunks.over(3, never))
    assert [(each.points, each.examples) for each in chunks.shrunk] == [(5, 2), (5, 1), (3, 1), (2, 1), (1, 1)]
    fixed = Chunks(2, 4, fixed=8)
    with pytest.raises(SweepRefused, match=r"no memory for 8 row\(s\)"):
        list(fixed.over(8, never))
    assert fixed.shrunk == []


def test_what_was_made_of_a_block_is_gone_before_it_is_begun_again():
    chunks, before = Chunks(1, 2, fixed=None), list[Callable[[], object]]()

    def work(start: int, stop: int) -> int:
        large = torch.zeros(3)
        if not before:
            before.append(weakref.ref(large))
            raise no_memory()
        assert before[0]() is None
        return stop - start

    gc.disable()
    try:
        assert list(chunks.over(2, work)) == [1, 1]
    finally:
        gc.enable()


def test_other_errors_and_those_of_the_consumer_end_the_work():
    chunks = Chunks(1, 2, fixed=None)

    def broken(_start: int, _stop: int) -> None:
        raise NotFinite("0")

    with pytest.raises(NotFinite):
        list(chunks.over(2, broken))

    def consumed() -> None:
        for _ in chunks.over(2, lambda start, stop: stop - start):
            raise no_memory()

    with pytest.raises(torch.OutOfMemoryError):
        consumed()
    assert chunks.shrunk == []
