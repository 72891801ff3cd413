"""What will LIME of some examples take? Forward passes for the most part, which one block tells."""

from __future__ import annotations

from workers.kind import Quote
from workers.lime import beside
from workers.lime.case import Case, Kind
from workers.lime.controls import CONTROL_SAMPLES, RERUNS
from workers.lime.parameters import LimeParameters
from workers.lime.rows import row_seconds
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_COPIES = 6
"""Of an example's samples and features: drawn, weighed, and resampled for stability."""

_JOB_SECONDS, _EXAMPLE_SECONDS, _CELL_SECONDS = 0.1, 0.03, 5e-8
"""What tables and pictures take whatever the network is; a fit with its stability for each example; and that for each
sample, feature and target, resampled twenty times."""

_BACKWARD = 3
"""Forward passes in the time of one forward and backward."""


def estimate(kind: Kind, subject: Subject, parameters: LimeParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child; with `settle` at most. Raises what `Case.of` raises."""
    case = Case.of(kind, subject, parameters)
    rows, n = case.rows(memory_bytes), len(case)
    samples = max(parameters.most, parameters.samples) if parameters.settle else parameters.samples
    verified = min(parameters.verify, n) if parameters.engine == "lamina" else 0
    few = min(CONTROL_SAMPLES, parameters.samples)
    passed = n * samples + verified * parameters.samples + (RERUNS + 1) * few
    attributed = beside.evaluations(parameters.beside) * n * len(parameters.targets) * _BACKWARD
    features = max((len(each.names) for each in case.held.values()), default=parameters.features)
    cells = (n + verified) * samples * features * len(parameters.targets)
    network = case.predicting.network
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    sampled = _COPIES * 8 * samples * (features + len(parameters.targets))
    return Quote(
        seconds=(passed + attributed) * row_seconds(case.predicting, rows.count) + _JOB_SECONDS
        + (n + verified) * _EXAMPLE_SECONDS + cells * _CELL_SECONDS,
        bytes=_FIRST_USE_BYTES + int(max(_LOADING * weights, _LOADED * weights + rows.bytes + sampled)) + 2 * data,
    )  # fmt: skip
