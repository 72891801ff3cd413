"""What will LIME over the layers of a network take? Forward passes for the most part, then a fit for each reading."""

from __future__ import annotations

from math import prod

from workers.kind import Quote
from workers.lime.case import most_features
from workers.lime.estimate import moments, resampled
from workers.lime.layers.case import Case
from workers.lime.layers.controls import CONTROL_SAMPLES, RERUNS
from workers.lime.layers.parameters import LayersParameters
from workers.lime.rows import row_seconds
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_COPIES = 6
"""Of an example's samples, features and readings."""

_LOOKS, _PROBED = 8, 64 << 20
"""Rows of which the probe holds all layers at once; bytes of its passes with gradients, at most. What it frees is not
there for the larger blocks of samples that follow."""

_READ, _GRADIENT_ROWS = 1.2, 8
"""What reading costs beside a forward pass; rows in the time of a gradient, and of what layers give, at an example."""

_JOB_SECONDS, _READING_SECONDS, _CELL_SECONDS = 0.15, 1e-3, 6e-8
"""Tables and pictures; a fit with its stability; and that for each sample, feature and reading."""


def estimate(subject: Subject, parameters: LayersParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    rows, n = case.rows(memory_bytes), len(case)
    readings = 1 + len(parameters.readings) * len(case.layers.taps)
    few = min(CONTROL_SAMPLES, parameters.samples)
    passed = n * (parameters.samples + _GRADIENT_ROWS) + (RERUNS + 1) * few
    features = most_features(case.at, subject.examples[ROLE].texts, n, parameters.features)
    network = case.predicting.network
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    seen = sum(tap.bytes_per_example for tap in case.ready.layers)
    probed = _LOOKS * seen + min(_PROBED, case.ready.probe.cost.bytes(_GRADIENT_ROWS))
    units = sum(prod(tap.shape) for tap in case.layers.taps)
    itemsize = 8 if parameters.precision == "float64" else 4
    layers = (2 + len(parameters.readings)) * units * itemsize
    side = 1 + features + readings
    sampled = 8 * (_COPIES * parameters.samples * side + 2 * moments(side) + resampled(side))
    return Quote(
        seconds=_READ * passed * row_seconds(case.predicting, rows.count) + _JOB_SECONDS
        + n * readings * (_READING_SECONDS + parameters.samples * features * _CELL_SECONDS),
        bytes=_FIRST_USE_BYTES + 2 * data
        + int(max(_LOADING * weights, _LOADED * weights + probed + rows.bytes + layers + sampled)),
    )  # fmt: skip
