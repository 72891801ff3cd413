"""What will it take to follow an attack through all layers? Rows through the network, forward and back."""

from __future__ import annotations

from math import prod

from workers.kind import Quote
from workers.passes.asked import ROLE
from workers.robustness.layers.case import Case
from workers.robustness.layers.latent import HELD
from workers.robustness.layers.moved import MOST_EXAMPLES
from workers.robustness.layers.parameters import RobustnessLayersParameters
from workers.robustness.layers.probes import FOLDS, LEAST, MOST_FEATURES
from workers.subject.subject import Subject

_ATTACK_STEPS = 4.5
"""Rows of an example in the attack on the input, by its first lane's steps: lanes, classes, refinement."""

_LATENT_STEPS = 5.0
"""The same of a latent attack, and of each of its rounds; backward goes down to the layer only."""

_JOB_SECONDS, _BOOTSTRAP_SECONDS = 0.3, 0.02
_FIRST_USE_BYTES = 60 << 20
_LOADING = 3.0
"""Bytes for each byte of weights: file, program and modules while the model is loaded."""

_BLOCKS = 3
"""Blocks of all layers' outputs alive at once, one of them in the type of statistics; attributions of an example."""


def estimate(subject: Subject, parameters: RobustnessLayersParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child. Raises what `Case.of` raises."""
    case = Case.of(subject, parameters)
    n, held, taps = case.count, len(case.threat), case.layers.taps
    rows, cost = case.rows(memory_bytes), case.ready.probe.cost
    latent = min(parameters.latent, len(taps))
    gradients = n * (
        _ATTACK_STEPS * parameters.steps + latent * _LATENT_STEPS * parameters.latent_steps * (1 + parameters.rounds)
    )
    forwards = n * (2 + parameters.draws) + len(taps) * (held + n * (1 + parameters.draws))
    each = cost.seconds(rows) / rows
    probed = held if parameters.probe_examples and held >= LEAST else 0
    features = sum(min(MOST_FEATURES, max(1, prod(tap.shape))) for tap in taps)
    solved = FOLDS * len(taps) * probed**3 * 2e-11 + FOLDS * probed**2 * features * 2e-10
    seen = sum(tap.bytes_per_example for tap in taps)
    network = case.ready.model
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    data = sum(t.numel() * t.element_size() for t in (subject.examples[ROLE].inputs, *subject.examples[ROLE].further))
    inputs = case.threat.x[0].numel() * case.threat.x.element_size()
    widest = max(tap.bytes_per_example for tap in taps)
    climbing = rows * case.row_bytes() + min(HELD * n * widest, memory_bytes // 2)
    following = _BLOCKS * max(rows, min(n, MOST_EXAMPLES)) * seen
    return Quote(
        seconds=_JOB_SECONDS + _BOOTSTRAP_SECONDS * len(taps) + (gradients + forwards / 3) * each + solved,
        bytes=_FIRST_USE_BYTES + 2 * data + int(_LOADING * weights) + cost.bytes(0)
        + max(climbing, following) + (parameters.draws + 8) * n * inputs
        + 8 * (held + n * (1 + parameters.draws)) * min(MOST_FEATURES, widest),
    )  # fmt: skip
