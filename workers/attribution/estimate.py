"""What will a whole analysis take: its pass, captum's comparison, the certificate and the controls?

The peak is the loading of the model, the pass over all examples, or what runs after it while the sums of the analysis
are held: a shuffling of the largest parameter, an attribution of the few examples that are checked, or an evaluation of
many versions of them. Each gives back what the one before it has freed.
"""

from __future__ import annotations

from math import prod

from torch import nn

from workers.attribution.certificate import extra
from workers.attribution.compute import VERIFIED, Case, Kind
from workers.attribution.controls import CONTROL_EXAMPLES
from workers.attribution.parameters import AttributionParameters
from workers.attribution.places import unit_bytes
from workers.certificate.certify import Effort
from workers.kind import Quote
from workers.passes.attribution import unit_means
from workers.subject.subject import Subject
from workers.suffix.quote import forward_bytes
from workers.sweep.plan import held_bytes

_FIRST_USE_BYTES, _ONEDNN_BYTES = 40 << 20, 8 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_KEPT_PAGES = 1.125
"""Resident bytes for each byte of a sweep: freed pages are given back once they are an eighth more (KeptPages)."""

_IN_DOUBLE = 6
"""Bytes for each byte of the widest layer of a block while it is summed over examples: itself, its magnitude and its
square, in double precision."""

_STEADY = 0.7
"""What a row of a long run takes, as a share of a row of the probe's passes: caches and branches have settled."""

_JOB_SECONDS, _TAP_SECONDS, _UNIT_SECONDS = 0.1, 3e-3, 2.7e-6
"""What tables, ranks and pictures take whatever the network is; for each tap; and for each unit of all taps. Fitted to
whole jobs of the networks of `benchmarks.memory`."""

_IN_ONEDNN = (nn.modules.conv._ConvNd, nn.RNNBase)

_SHUFFLING = 16
"""Bytes for each number of the largest parameter while it is shuffled: an order in int64, and two copies."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""


def estimate(kind: Kind, subject: Subject, parameters: AttributionParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises SweepRefused where the budget is too small."""
    case = Case.of(kind, subject, parameters)
    ready, method, n = case.ready, case.method, len(case.ready)
    chunks = method.plan(ready, memory_bytes, 1, case.keys)
    once, more = method.quote(ready, chunks), extra(kind, parameters, n)
    k = max(1, min(n, parameters.certificate_examples))
    few = ready.examples(k)
    call = method.quote(few, method.plan(few, memory_bytes, 1, case.keys))
    calls = CONTROL_EXAMPLES + parameters.verify * min(n, VERIFIED) / k + more.examples / k
    weights = sum(t.numel() * t.element_size() for t in (*ready.model.parameters(), *ready.model.buffers()))
    widest = max((ready.probe.tap(key).bytes_per_example for key in chunks.taps), default=0)
    sweeping = _KEPT_PAGES * once.bytes + _IN_DOUBLE * widest * chunks.examples
    if more.held:
        sweeping = max(sweeping, weights + _checking(case, more.held, k, call.bytes))
    means = unit_means(method, ready, chunks.taps, by_class=case.classed)
    sums = held_bytes(ready.probe, chunks) + sum(each.bytes for each in means if each is not None)
    held = sums + _LOADED * weights + sweeping
    code = _FIRST_USE_BYTES + (_ONEDNN_BYTES if any(isinstance(m, _IN_ONEDNN) for m in ready.model.modules()) else 0)
    units = sum(prod(method.units(ready.probe.tap(key))) for key in chunks.taps)
    beside = _JOB_SECONDS + _TAP_SECONDS * len(chunks.taps) + _UNIT_SECONDS * units
    return Quote(
        seconds=_STEADY * (once.seconds + calls * call.seconds + more.rows * ready.probe.cost.row_seconds) + beside,
        bytes=code + int(max(_LOADING * weights, held)) + 2 * _data(subject) + _embedded(case),
    )


def _checking(case: Case, variants: int, examples: int, attributed: int) -> float:
    """At the peak of the certificate, beside the twin whose parameters are shuffled."""
    ready, method = case.ready, case.method
    whole = sum(unit_bytes(ready, method, key) for key in case.certified()) * examples
    largest = max((t.numel() for t in ready.model.parameters()), default=0)
    rows = max(Effort().rows if case.kind.places == "inputs" else 2 * examples, ready.probe.rows or 1)
    versions = 2 * rows * sum(each[:1].numel() * each.element_size() for each in ready.x)  # one by one, and as a batch
    evaluated = forward_bytes(ready.probe, rows) + versions
    return variants * whole + max(_SHUFFLING * largest, _KEPT_PAGES * attributed, evaluated)


def _data(subject: Subject) -> int:
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def _embedded(case: Case) -> int:
    """What is held of inputs and baselines beside the data: what the embeddings of ids give."""
    given = {tensor.data_ptr() for each in case.subject.examples.values() for tensor in (each.inputs, *each.further)}
    tensors = (each for each in (*case.ready.x, *case.ready.origin) if each.data_ptr() not in given)
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)
