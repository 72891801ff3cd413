"""What will attacks on some texts take? Forward passes, which one block tells, and the work of the tokenizer."""

from __future__ import annotations

from time import perf_counter

from workers.kind import Quote
from workers.robustness.text.case import Case
from workers.robustness.text.controls import CONTROL_EXAMPLES
from workers.robustness.text.found import Found
from workers.robustness.text.parameters import TextParameters
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_BACKWARD = 3
"""Forwards in the time of one with its gradient."""

_JOB_SECONDS = 0.3
_TEXT_SECONDS = 1.2e-4
"""Of making a candidate and tokenising it, beside what one pass tells."""

_SCORE_SECONDS = 1.5e-8
"""Of one such number: its products, and its place among the largest."""

_KEPT, _IN_FLIGHT = 1.5, 5
"""Tensors that a pass takes at its peak, as measured: with gradients of all layers' size together, without of the
largest one's."""

_TIMED = 2
_SCORES = 20
"""Bytes for each open place and token of the vocabulary that a proposal takes: three numbers, and what is allowed."""


def estimate(subject: Subject, parameters: TextParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    rows = case.rows(memory_bytes)
    asked = sum(_asked(case, index, name) for index in case.kept for name in case.attacks)
    asked *= 1 + CONTROL_EXAMPLES / max(1, len(case.kept))
    weights = sum(t.numel() * t.element_size() for t in (*case.network.parameters(), *case.network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * max(8, tensor.element_size()) for tensor in held)
    scores = steps = 0
    if "swaps" in case.attacks:
        scores = len(case.vocabulary) * max(len(case.open_places(index)) for index in case.kept)
        steps = (len(case.kept) + CONTROL_EXAMPLES) * _proposed(case)
    return Quote(
        seconds=asked * (_row_seconds(case, rows) + _TEXT_SECONDS) + steps * scores * _SCORE_SECONDS + _JOB_SECONDS,
        bytes=_FIRST_USE_BYTES
        + int(max(_LOADING * weights, _LOADED * weights + _passing(case, rows) + _SCORES * scores))
        + 2 * data,
    )


def _proposed(case: Case) -> int:
    """How many texts of the beam are given proposals for one example, at most."""
    most = max(Found.none(case, index, "swaps").most for index in case.kept)
    each = case.parameters.beam * (case.parameters.tries + 1)
    return 1 + case.parameters.beam * min(most - 1, case.parameters.queries // each)


def _passing(case: Case, rows: int) -> int:
    """What the widest pass takes beside the network: all of the beam with its gradients, or a block without."""
    most = max(case.parameters.beam * case.parameters.tries, *(len(case.open_places(at)) + 1 for at in case.kept))
    fixed = case.subject.manifest.batch or 1
    block = max(fixed, min(rows, max(most, len(case.x[0]))))
    kept = _KEPT * case.row_bytes * max(fixed, min(rows, case.parameters.beam))
    return int(max(kept, _IN_FLIGHT * case.largest * block))


def _asked(case: Case, index: int, attack: str) -> float:
    """At most, in forwards of one row."""
    most, limit = Found.none(case, index, attack).most, case.parameters.queries
    if attack == "swaps":
        each = case.parameters.beam * (case.parameters.tries + _BACKWARD)
        return min(limit, case.parameters.tries + _BACKWARD + (most - 1) * each)
    words = len(case.words(index))
    return min(limit, words + 1 + words * case.parameters.tries)


def _row_seconds(case: Case, rows: int) -> float:
    """What a row of a block takes, the faster of two."""
    victim, index, taken = case.victim(rows), case.kept[0], []
    count = min(rows, case.parameters.tries)
    given = case.own(index, count)
    for _ in range(_TIMED):
        started = perf_counter()
        victim.answers(given, index)
        taken.append(perf_counter() - started)
    return min(taken) / count
