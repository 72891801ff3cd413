"""What will attacks on some rows take? Forward passes, which one block tells, and the work around each step."""

from __future__ import annotations

from time import perf_counter

import torch

from workers.kind import Quote
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.controls import CONTROL_ROWS
from workers.robustness.tabular.fewer import SINGLE
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.search import BLACK_BOX
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 40 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_LADDER, _STEPS = 9.5, 6.0
"""Of `steps`: gradients that a row which holds takes on one ladder, and steps that follow each other there."""

_CLIMBS, _BACKWARD = 3, 3
"""Ladders; forwards in the time of one with its gradient."""

_JOB_SECONDS, _STEP_SECONDS = 0.2, 2e-3
"""What tables take, and the work around one step of all rows."""

_CONTROL_STEPS = 400
_STATES, _LANES, _ROWS = 24, 9, 16
"""Tensors as large as the rows in work that ladders keep; lanes of a row at most; tensors as large as all rows."""

_CANDIDATES, _COPIES = 1 << 22, 6
"""Numbers of candidates held at once, and how often."""

_TIMED = 2


def estimate(subject: Subject, parameters: TabularParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    n, rows, rules = len(case), case.rows(memory_bytes), case.rules
    queries = parameters.queries * (BLACK_BOX if subject.black_box else 1)
    gradients = 0.0 if subject.black_box else _LADDER * parameters.steps * _BACKWARD
    exchanges = parameters.most_categories * sum(len(codes) for codes in rules.legal)
    budgets = len(parameters.epsilons)
    single = min(len(rules.columns), SINGLE)
    asked = n * (
        _CLIMBS * (gradients + queries) + exchanges + parameters.neighbours * budgets + single * 2
        + len(parameters.protected) * 5
    )  # fmt: skip
    blocks = -(-n // rows)
    following = _CLIMBS * blocks * ((0.0 if subject.black_box else _STEPS * parameters.steps) + queries)
    following += _CONTROL_STEPS + len(parameters.relations) * following
    weights = sum(t.numel() * t.element_size() for t in _weights(case))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * max(8, tensor.element_size()) for tensor in held)
    element = case.x.element_size()
    states = element * case.x[0].numel() * (_STATES * (min(_LANES * n, rows) + CONTROL_ROWS) + _ROWS * n)
    states += min(_CANDIDATES, single * n * case.x[0].numel()) * element * _COPIES
    return Quote(
        seconds=asked * _row_seconds(case, min(rows, n)) + following * _STEP_SECONDS + _JOB_SECONDS,
        bytes=_FIRST_USE_BYTES
        + int(max(_LOADING * weights, _LOADED * weights + 4 * rows * case.attacked.row_bytes() + states))
        + 3 * data,
    )


def _weights(case: Case) -> list[torch.Tensor]:
    return [*case.attacked.network.parameters(), *case.attacked.network.buffers()]


def _row_seconds(case: Case, rows: int) -> float:
    """What a row of a block takes, the faster of two."""
    victim, index, taken = case.victim(rows), torch.arange(rows, device=case.x.device), []
    for _ in range(_TIMED):
        started = perf_counter()
        victim.outputs(case.x[:rows], index)
        taken.append(perf_counter() - started)
    return min(taken) / rows
