"""What will an attack take? Gradients and forwards for the most part, which one block tells."""

from __future__ import annotations

from time import perf_counter

import torch

from workers.kind import Quote
from workers.robustness.case import Case
from workers.robustness.compute import STORED_BYTES
from workers.robustness.parameters import RobustnessParameters
from workers.subject.subject import Subject

_FIRST_USE_BYTES = 60 << 20
"""What the first use of the numerical libraries takes in a process, backward kernels among it."""
_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: while the model is loaded; what stays of them."""
_KEPT = 4
"""Tensors as large as all layers' outputs together that a forward with its backward takes at its peak."""
_COPIES = 10
"""Of the examples: near, made, starts, lanes, adversarials, what is written."""
_JOB_SECONDS = 0.5
_BACKWARD = 3.0
"""Forwards in the time of a forward with its backward."""
_LADDER = 9.4
"""Gradients of a whole ladder that breaks nothing, in steps of its first attack: lanes are halved on the way."""
_QUERIED = 0.6
"""Share of the queries that are asked on average: warm searches end where they win nothing."""
_CHECKED = 1.2
"""Times the attack on as many examples as checks attack again."""
_AGAIN = 100
"""Most such examples: those of all checks together."""
_PGD = 40
_SEARCHES, _AROUND = 2.0, 100.0
"""Of a black box: searches of so many queries each, and what noise, neighbours and the boundary take."""


def estimate(subject: Subject, parameters: RobustnessParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child: at most, as examples that break are cheaper. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    attacked, n = case.attacked, len(case)
    rows = attacked.rows(memory_bytes)
    row = _row_seconds(case, rows)
    per_example = _forwards(subject, parameters, len(case.settings.epsilons))
    again = {"all": min(n, _AGAIN), "quick": min(n, 32), "none": 0}[parameters.checks]
    checked = again * (_CHECKED * per_example if parameters.checks == "all" else 50)
    weights = sum(t.numel() * t.element_size() for t in (*attacked.network.parameters(), *attacked.network.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    examples = attacked.x.numel() * attacked.x.element_size()
    working = _KEPT * rows * attacked.row_bytes() + _COPIES * examples + 2 * min(STORED_BYTES, examples)
    return Quote(
        seconds=_JOB_SECONDS + (n * per_example + checked) * row,
        bytes=_FIRST_USE_BYTES + int(max(_LOADING * weights, _LOADED * weights + working)) + 2 * data,
    )


def _forwards(subject: Subject, parameters: RobustnessParameters, budgets: int) -> float:
    """Of one example that nothing breaks, gradients counted as so many forwards."""
    queries = float(parameters.queries)
    if subject.black_box:
        return _SEARCHES * queries + _AROUND
    gradients = _LADDER * parameters.steps
    if {"pgd", "auto"} & set(parameters.compare):
        gradients += _PGD * budgets
    if parameters.minimum != "no":
        gradients += 2.2 * parameters.minimum_steps
    return _BACKWARD * gradients + _QUERIED * queries


def _row_seconds(case: Case, rows: int) -> float:
    """What a row takes in a block as attacks ask it; the faster of two, the first of which warms up."""
    some = min(rows, 64)
    index = torch.zeros(some, dtype=torch.int64)
    x = case.attacked.x[:1].expand(some, *case.attacked.x.shape[1:]).contiguous()
    victim, taken = case.attacked.victim(case.aim.read, rows), []
    with case.attacked.quiet():
        for _ in range(2):
            started = perf_counter()
            victim.outputs(x, index)
            taken.append(perf_counter() - started)
    return min(taken) / some
