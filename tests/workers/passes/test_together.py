"""Passes that share one walk: the bits are those of each alone, for one forward pass; and what is not shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers import subjects
from workers.kind import Cancelled, Context
from workers.numerics.determinism import NotFinite
from workers.passes.asked import Asked, prepared
from workers.passes.attribution import AttributionPass, Swept, _network
from workers.subject.outputs import Chosen
from workers.subject.subject import Subject
from workers.sweep.method import Method
from workers.sweep.methods.at_input import Activation, GradientXActivation, InputXGradient, Saliency
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.gradcam import GradCam
from workers.sweep.methods.internal_influence import IntegratedGradients, InternalInfluence
from workers.sweep.methods.smoothgrad import SmoothGrad
from workers.sweep.methods.within import ConductanceWithin
from workers.sweep.plan import sums_bytes
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

ASKED = Asked(target="predicted", scale="output", baseline="zero", examples=6, precision="float32")


def asked(of: Subject, method: Method, context: Context, **changes: str) -> AttributionPass:
    """A pass over all examples that keeps everything."""
    question = replace(ASKED, **changes)
    chunks = method.plan(prepared(of, question), context.memory_bytes, 1, ())
    return AttributionPass(asked=question, method=method, chunks=chunks, seed=0, whole=chunks.taps, first=6)


@contextmanager
def counted(of: Subject) -> Iterator[list[int]]:
    """The rows of every forward pass."""
    seen: list[int] = []
    first = next(of.model.children())
    handle = first.register_forward_hook(lambda module, given, output: seen.append(len(output)))
    try:
        yield seen
    finally:
        handle.remove()


def assert_same_bits(one: Swept, other: Swept, keys: tuple[str, ...]) -> None:
    assert torch.equal(one.ends.output, other.ends.output)
    assert torch.equal(one.ends.baseline_output, other.ends.baseline_output)
    for key in keys:
        assert torch.equal(one.kept.of(key), other.kept.of(key)), key
        assert torch.equal(one.totals.signed(key), other.totals.signed(key)), key
        for ours, theirs in zip(one.moments.of(key).sums, other.moments.of(key).sums, strict=True):
            assert torch.equal(ours, theirs), key


def made_in_company(
    of: Subject, passes: list[AttributionPass], memory_bytes: int = 1 << 28
) -> dict[AttributionPass, Swept]:
    """All passes, as a group makes them."""
    context = subjects.context(memory_bytes=memory_bytes)
    context.wanted.extend(passes)
    return {each: context.run(each, of) for each in passes}


# --- the same bits, for one forward pass


@pytest.mark.parametrize(
    "make", [subjects.classifier, subjects.images, subjects.series], ids=lambda make: make.__name__
)
def test_targets_and_methods_in_company_give_the_bits_that_each_gives_alone(make):
    of, context = make(), subjects.context()
    passes = [
        asked(of, Conductance(steps=8), context),
        asked(of, InternalInfluence(steps=8), context, target="class:class 1"),
        asked(of, Conductance(steps=8), context, target="class:class 2", scale="probability"),
        asked(of, IntegratedGradients(steps=8, rule="trapezoid"), context, target="class:class 1"),
    ]
    assert len({each.shares() for each in passes}) == 1
    with counted(of) as seen:
        joined = made_in_company(of, passes)
    shared = len(seen)
    with counted(of) as seen:
        alone = {each: each.make(of, subjects.context()) for each in passes}
    assert len(seen) == 4 * shared
    for each in passes:
        assert_same_bits(joined[each], alone[each], each.chunks.taps)


def test_methods_of_one_point_share_it():
    of, context = subjects.images(), subjects.context()
    extent = tuple(of.facts.input.shape[-2:])
    passes = [
        asked(of, GradientXActivation(), context),
        asked(of, GradCam(extent=extent), context, target="class:class 1"),
        asked(of, Saliency(), context),
        asked(of, InputXGradient(), context, target="class:class 2"),
    ]
    with counted(of) as seen:
        joined = made_in_company(of, passes)
    assert len(seen) == 2  # the ends, and the point
    for each in passes:
        assert_same_bits(joined[each], each.make(of, subjects.context()), each.chunks.taps)


def test_chunks_of_a_tight_budget_are_shared_to_the_bit():
    of, memory = subjects.images(), 9 << 19
    context = subjects.context(memory_bytes=memory)
    passes = [asked(of, Conductance(steps=20), context), asked(of, Conductance(steps=20), context, target="label")]
    assert passes[0].chunks.points < 21
    joined = made_in_company(of, passes, memory)
    for each in passes:
        assert_same_bits(joined[each], each.make(of, context), each.chunks.taps)


# --- what is not shared


@pytest.mark.parametrize(
    "other",
    [Conductance(steps=9), Conductance(steps=8, rule="captum"), InternalInfluence(steps=8, rule="captum")],
    ids=["steps", "rule", "nodes"],
)
def test_other_points_are_another_walk(other):
    of, context = subjects.classifier(), subjects.context()
    first, second = asked(of, Conductance(steps=8), context), asked(of, other, context)
    assert first.shares() != second.shares()
    joined = made_in_company(of, [first, second])
    assert_same_bits(joined[second], second.make(of, context), second.chunks.taps)


def test_what_draws_what_refines_and_what_needs_no_gradient_walks_alone():
    of, context = subjects.classifier(), subjects.context()
    for method in (SmoothGrad(samples=2), ConductanceWithin(tolerance=0.5), Activation()):
        assert asked(of, method, context).shares() is None


@pytest.mark.parametrize("changes", [{"baseline": "mean"}, {"precision": "float64"}])
def test_another_path_or_precision_is_another_walk(changes):
    of, context = subjects.classifier(), subjects.context()
    first, second = (asked(of, Conductance(steps=8), context, **each) for each in ({}, changes))
    assert first.shares() != second.shares()


class Two(nn.Module):
    """Gives a value and a policy; the one chosen is the policy, the second."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.value, self.policy = nn.Linear(6, 5), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        h = torch.tanh(self.body(x))
        return [self.value(h), self.policy(h)]


def test_another_output_is_another_walk_and_keeps_its_own_numbers():
    network = networks.ready(Two()).float()
    network.register_forward_hook(Chosen(1))
    of = replace(subjects.subject(network, networks.points(6, 6).float()), outputs=("value", "policy"))
    context = subjects.context()
    passes = [
        asked(of, Conductance(steps=8), context, target="output:value/element:1"),
        asked(of, Conductance(steps=8), context, target="element:1"),
        asked(of, Conductance(steps=8), context, target="output:policy/element:1"),
    ]
    for order in (passes, passes[::-1]):
        joined = made_in_company(of, order)
        for each in passes:
            assert_same_bits(joined[each], each.make(of, context), each.chunks.taps)


# --- faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty(InternalInfluence):
    """Gives NaN at every layer, or breaks as it begins."""

    breaks: type[Exception] | None = None

    def reading(self, ready: Prepared, tap: Tap, zeros: Tensor, chunks: int) -> Reading:
        if self.breaks is not None:
            raise self.breaks("breaks as it begins")
        return InternalInfluence.reading(self, ready, tap, zeros.fill_(float("nan")), chunks)


@pytest.mark.parametrize("breaks", [None, SweepRefused, MemoryError])
@pytest.mark.parametrize("first", [0, 1])
def test_what_refuses_or_stops_one_is_its_own(breaks, first):
    of, context = subjects.classifier(), subjects.context()
    sound = asked(of, Conductance(steps=8), context)
    faulty = asked(of, Faulty(steps=8, breaks=breaks), context, target="class:class 1")
    assert sound.shares() == faulty.shares()
    context.wanted.extend([sound, faulty])
    order = (sound, faulty) if first == 0 else (faulty, sound)
    for each in order:
        if each is faulty:
            with pytest.raises(breaks or NotFinite):
                context.run(each, of)
        else:
            assert_same_bits(context.run(each, of), each.make(of, subjects.context()), each.chunks.taps)


@pytest.mark.parametrize("broken", [ZeroDivisionError, RuntimeError, Cancelled])
def test_a_fault_of_ours_in_company_shows_and_is_not_tried_again_alone(broken):
    of, context = subjects.classifier(), subjects.context()
    sound = asked(of, Conductance(steps=8), context)
    faulty = asked(of, Faulty(steps=8, breaks=broken), context, target="class:class 1")
    context.wanted.extend([sound, faulty])
    with pytest.raises(broken):
        context.run(sound, of)
    assert sound not in context.passes


# --- memory


def test_memory_limits_how_many_are_made_together():
    of, wide = subjects.images(), subjects.context()
    labels = ("predicted", "label", "class:class 0", "class:class 1", "class:class 2")
    passes = [asked(of, Conductance(steps=8), wide, target=target) for target in labels]
    seen = prepared(of, passes[0].asked)
    means = passes[0].means(seen)
    alone = passes[0].method.quote(seen, passes[0].chunks).bytes + means
    more = sums_bytes(seen.probe, passes[0].chunks) + means
    assert more > 0
    for company in (0, 1, 3, 4):
        context = subjects.context(memory_bytes=alone + company * more + more // 2)
        context.wanted.extend(passes)
        context.run(passes[0], of)
        assert set(context.passes) == set(passes[: company + 1])


def test_a_reconstruction_error_is_walked_apart_from_other_targets():
    assert _network("error") == _network("error:fixed") != _network("predicted") == _network("class:a")
    assert _network("output:a/error") != _network("output:a/predicted") != _network("predicted")
