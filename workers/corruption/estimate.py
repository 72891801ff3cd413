"""What will corruptions of some examples take? One example of each kind tells, and one block of forward passes."""

from __future__ import annotations

from time import perf_counter

from workers.corruption.case import Case
from workers.corruption.controls import CONTROL_EXAMPLES
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.spec import SEVERITIES
from workers.kind import Quote
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_KERNELS_BYTES = {"image": 16 << 20, "video": 16 << 20, "series": 8 << 20}
"""Of transforms and drawings, beside these. Measured in sandboxed children."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_JOB_SECONDS, _KIND_SECONDS = 0.1, 0.02
"""What tables and pictures take whatever the network is; the intervals of one kind."""

_TIMED = 2
_RERUNS = 4
"""Times that the examples of the controls are corrupted."""


def estimate(subject: Subject, parameters: CorruptionParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    rows, n, kinds = case.rows(memory_bytes), len(case), case.corruptions
    times = len(parameters.severities) * n + _RERUNS * min(CONTROL_EXAMPLES, n)
    spoilt = sum(_seconds_of(case, at) for at in range(len(kinds)))
    passed = times * len(kinds) * _row_seconds(case, min(rows, n))
    weights = sum(t.numel() * t.element_size() for t in (*case.network.parameters(), *case.network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * max(8, tensor.element_size()) for tensor in held)
    kept = 8 * 3 * n * len(kinds) * len(parameters.severities)
    return Quote(
        seconds=times * spoilt + passed + _JOB_SECONDS + _KIND_SECONDS * len(kinds),
        bytes=_FIRST_USE_BYTES
        + _KERNELS_BYTES.get(case.kind, 0)
        + int(max(_LOADING * weights, _LOADED * weights + case.bytes(min(rows, n)) + kept + case.clean.numel() * 8))
        + 2 * data,
    )


def _seconds_of(case: Case, at: int) -> float:
    """What one corruption of one example takes, the faster of two."""
    taken = []
    for _ in range(_TIMED):
        started = perf_counter()
        case.source.rows(case.corruptions[at], SEVERITIES[-1], [0], "quote")
        taken.append(perf_counter() - started)
    return min(taken)


def _row_seconds(case: Case, rows: int) -> float:
    """What a row of a block takes, the faster of two."""
    x, taken = tuple(each[:rows] for each in case.x), []
    for _ in range(_TIMED):
        started = perf_counter()
        case.outputs(x)
        taken.append(perf_counter() - started)
    return min(taken) / rows
