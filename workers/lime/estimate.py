"""What will LIME of some examples take? Forward passes for the most part, which one block tells."""

from __future__ import annotations

from workers.kind import Quote
from workers.lime import beside
from workers.lime.case import Case, Kind, most_features
from workers.lime.controls import CONTROL_SAMPLES, FITS, RERUNS, wide
from workers.lime.parameters import LimeParameters
from workers.lime.reference import MOST_REGRESSIONS, forward
from workers.lime.rows import row_seconds
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_COPIES = 12
"""Of samples times features: drawn, weighed, resampled."""

_GROUPS, _MOST_MOMENTS, _RESAMPLES, _MOST_AT_ONCE, _IN_HAND = 40, 8 << 20, 20, 2 << 20, 4
"""Of features times features: groups of samples whose moments are held, and the most numbers of all; resamples that are
fitted together, their most numbers, and the matrices of each that a fit has at a time."""

_JOB_SECONDS, _FIT_SECONDS, _CELL_SECONDS, _PAIR_SECONDS = 0.15, 0.02, 2.5e-7, 3.5e-6
"""What tables and pictures take whatever the network is; a surrogate with its errors and stability, and that for each
sample times feature and each feature times feature. Measured for 16 to 1,000 features and up to 20,000 samples."""

_REGRESSION_SECONDS = 3e-3
"""One of those that lime's forward selection fits."""

_BACKWARD = 3
"""Forward passes in the time of one forward and backward."""


def estimate(kind: Kind, subject: Subject, parameters: LimeParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child; with `settle` at most. Raises what `Case.of` raises."""
    case = Case.of(kind, subject, parameters)
    rows, n = case.rows(memory_bytes), len(case)
    samples = max(parameters.most, parameters.samples) if parameters.settle else parameters.samples
    verified = min(parameters.verify, n) if parameters.engine == "lamina" else 0
    few = min(CONTROL_SAMPLES, parameters.samples)
    passed = n * samples + verified * parameters.samples + RERUNS * few
    attributed = beside.evaluations(parameters.beside) * n * len(parameters.targets) * _BACKWARD
    features = most_features(case.at, subject.examples[ROLE].texts, n, parameters.features)
    fits = n * _fit(samples, features) + verified * _fit(parameters.samples, features)
    fits += FITS * _fit(wide(features, few), features) + verified * _lime(parameters, features)
    network = case.predicting.network
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    numbers = features + len(parameters.targets)
    drawn = max(samples, wide(features, few)) * numbers
    sampled = 8 * (_COPIES * drawn + moments(1 + numbers) + resampled(1 + numbers))
    return Quote(
        seconds=(passed + attributed) * row_seconds(case.predicting, rows.count) + _JOB_SECONDS + fits,
        bytes=_FIRST_USE_BYTES + int(max(_LOADING * weights, _LOADED * weights + rows.bytes + sampled)) + 2 * data,
    )  # fmt: skip


def moments(side: int) -> int:
    """Numbers in the moments of an example's samples, `side` by `side` for each group."""
    return min(_MOST_MOMENTS, _GROUPS * side**2)


def resampled(side: int) -> int:
    """Numbers that fitting resamples takes beside."""
    return _IN_HAND * max(side**2, min(_MOST_AT_ONCE, _RESAMPLES * side**2))


def _fit(samples: int, features: int) -> float:
    """Seconds of one surrogate."""
    return _FIT_SECONDS + _CELL_SECONDS * samples * features + _PAIR_SECONDS * features**2


def _lime(parameters: LimeParameters, features: int) -> float:
    """Seconds that lime takes for one example."""
    selects = forward(parameters.selection, parameters.features)
    regressions = parameters.features * features if selects else 2
    if regressions > MOST_REGRESSIONS:
        return 0.0
    return _REGRESSION_SECONDS * regressions * len(parameters.targets)
