"""What will reruns of a model from each of its layers take?

The probe says what a row costs from end to end. A rerun from a layer runs all before it for one row or for all, and
saves for a backward pass only what comes after it, so a layer's share is read off its place among the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, prod

from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Probe, Tap

_FLOOR_BYTES = 4 << 20
"""What the first passes of a process take beyond their tensors: kernels, thread-local caches."""

_FORWARD = 0.4
"""Of the time of a forward and a backward pass, what the forward pass takes."""

_ALIVE = 4
"""Tensors of a layer's size alive at once in a pass that saves nothing: its input, its output, buffers between."""

_NEEDED = 0.42
"""Of the bytes of a probed pass, which holds what every layer gives, what the backward pass alone needs."""

_MOMENTS = 3 * 8

_FORWARD_ROWS = 64
"""Where passes without gradients reach their speed: a fifth faster than at 16 rows on a residual network."""


def widened(probe: Probe, chunks: Plan) -> Plan:
    """`chunks` for passes without gradients, which save nothing: more rows at a time, as far as the memory goes."""
    if probe.rows is not None or chunks.examples > 1:
        return chunks
    held = sum(_held(probe.tap(key)) for key in chunks.taps)
    affordable = (chunks.memory_bytes - _FLOOR_BYTES - held) // max(1, forward_bytes(probe, 1))
    most = max(chunks.points, min(chunks.evaluations, _FORWARD_ROWS, affordable))
    return replace(chunks, points=ceil(chunks.evaluations / ceil(chunks.evaluations / most)))


def quote(probe: Probe, chunks: Plan, examples: int, evaluations: Mapping[str, int], *, slopes: bool) -> Quote:
    """evaluations: reruns for each example, by the key of the tap. slopes: with a backward pass."""
    taps = [probe.tap(key) for key in chunks.taps]
    cases = ceil(examples / chunks.examples)
    seconds = 2 * cases * _FORWARD * probe.cost.seconds(chunks.examples)
    for tap in taps:
        points = min(chunks.points, evaluations[tap.key])
        rows = max(points * chunks.examples, probe.rows or probe.least_rows)
        after = _after(probe, tap)
        forward = _FORWARD * (1 + after) / 2  # one row of prefix, or all: half of the layers, as they come
        share = forward + (1 - _FORWARD) * after if slopes else forward
        seconds += cases * ceil(evaluations[tap.key] / points) * share * probe.cost.seconds(rows)
    held = sum(_held(tap, chunks.examples) for tap in taps)
    peak = max((_bytes(probe, chunks, tap, evaluations[tap.key], slopes=slopes) for tap in taps), default=0)
    return Quote(seconds, _FLOOR_BYTES + held + peak)


def quote_forward(probe: Probe, chunks: Plan, examples: int, held: int) -> Quote:
    """Forward passes of the whole model, `chunks.evaluations` for each example. held: bytes besides, per example."""
    rows = max(chunks.points * chunks.examples, probe.rows or probe.least_rows)
    passes = ceil(examples / chunks.examples) * ceil(chunks.evaluations / chunks.points)
    sums = sum(prod(probe.tap(key).shape) * _MOMENTS for key in chunks.taps)
    peak = forward_bytes(probe, rows)
    return Quote(passes * _FORWARD * probe.cost.seconds(rows), _FLOOR_BYTES + sums + peak + held * chunks.examples)


def _bytes(probe: Probe, chunks: Plan, tap: Tap, evaluations: int, *, slopes: bool) -> int:
    """At the peak of a chunk of reruns from `tap`."""
    rows = max(min(chunks.points, evaluations) * chunks.examples, probe.rows or probe.least_rows)
    if slopes:
        given = 2 * tap.bytes_per_example * rows
        saved = _NEEDED * _after(probe, tap) * (probe.cost.bytes(rows) - probe.cost.bytes(0))
        return probe.cost.bytes(0) + given + int(saved)
    return forward_bytes(probe, rows)


def forward_bytes(probe: Probe, rows: int) -> int:
    """At the peak of a pass that saves nothing, with the values that are put in."""
    return (2 + _ALIVE) * rows * max(each.bytes_per_example for each in probe.taps)


def _held(tap: Tap, examples: int = 1) -> int:
    """Its values at both ends, and the sums over examples of every unit."""
    return 2 * tap.bytes_per_example * examples + prod(tap.shape) * _MOMENTS


def _after(probe: Probe, tap: Tap) -> float:
    """The share of the model that lies behind `tap`, by the number of layers."""
    own = [each.key for each in probe.taps if each.same_as is None and not each.container]
    if tap.key not in own:
        own = [each.key for each in probe.taps]
    return 1 - own.index(tap.key) / len(own)
