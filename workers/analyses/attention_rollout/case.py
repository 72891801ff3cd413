"""Can attention be followed through this subject, in which batches, and at what cost?"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from weakref import WeakKeyDictionary, WeakSet

from pydantic import JsonValue
from torch import Tensor, nn

from workers.analyses.attention_rollout.outcome import RolloutParameters
from workers.attention.find import find
from workers.attention.run import attentions, check
from workers.attention.spread import grid, on_grid
from workers.attention.structure import EncoderDecoder, Stack, structure
from workers.kind import AnalysisError, Context, Part, Quote
from workers.numerics.determinism import NotFinite
from workers.passes.asked import ROLE, prepared
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared
from workers.sweep.refusals import BudgetTooSmall, SweepRefused

CONTROL_EXAMPLES = 2
_MOST_ROWS = 64
_KEPT = {"rollout": 0.25, "gradient": 0.5}
"""Of what a row of the probe's passes takes: without gradients nothing is kept behind a layer; with them no layer's own
gradient is held, as it is there. Measured on encoders whose attention is one call, and in single steps."""

_EXACT = 8
"""Bytes of a number in rollout, for which weights and gradients are also held as the network gives them."""

_FIRST_USE_BYTES, _LOADING, _LOADED = 40 << 20, 3.0, 1.3
"""The first use of the numerical libraries; bytes for each byte of weights while a model is loaded, and after."""

_STRUCTURES: WeakKeyDictionary[nn.Module, Stack | EncoderDecoder] = WeakKeyDictionary()
"""Found once for each model, though it is asked about by applies, quote, plan, compute and the controls."""

_FOLLOWED: WeakSet[nn.Module] = WeakSet()
"""Networks whose attention can be followed, before anything else is known of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A subject, what is asked of it, and how its attentions fit together."""

    subject: Subject
    parameters: RolloutParameters
    ready: Prepared
    structure: Stack | EncoderDecoder

    @classmethod
    def of(cls, subject: Subject, parameters: RolloutParameters) -> Case:
        """Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        if subject.model not in _FOLLOWED:  # most networks have no attention, and to see that is cheaper than to probe
            floating = (each.dtype for each in subject.model.parameters() if each.is_floating_point())
            given = subject.arguments(subject.examples[ROLE], stop=2, dtype=next(floating, None))
            structure(find(subject.model, given, subject.manifest.batch))
            _FOLLOWED.add(subject.model)
        ready = prepared(subject, parameters.asked)
        if ready.model not in _STRUCTURES:
            _STRUCTURES[ready.model] = structure(find(ready.model, ready.x, ready.probe.rows))
        made = _STRUCTURES[ready.model]
        check(made, parameters.question)
        return cls(subject, parameters, ready, made)

    @property
    def tokens(self) -> int:
        """Of the input, or of the encoder."""
        return self.structure.tokens if isinstance(self.structure, Stack) else self.structure.encoder.tokens

    @property
    def grid(self) -> tuple[int, int, int] | None:
        """Rows, columns and leading tokens, where the first input is a picture and the tokens are patches of it."""
        facts = self.subject.facts.input
        if facts.kind != "image" or not isinstance(self.structure, Stack):
            return None
        sides = dict(zip(facts.layout[1:], facts.shape, strict=True))
        return grid(self.tokens, sides["H"], sides["W"]) if {"H", "W"} <= set(sides) else None

    @property
    def places(self) -> Tensor | None:
        """Where tokens lie; None along a line."""
        return None if self.grid is None else on_grid(*self.grid)

    def bytes(self, rows: int) -> int:
        """What a batch of `rows` takes at its peak."""
        rule, element = self.parameters.rule, 8 if self.parameters.precision == "float64" else 4
        each = 1 if rule == "rollout" else 2
        weights = sum(one.heads * one.queries * one.keys for one in attentions(self.structure))
        longest = max(max(one.queries, one.keys) for one in attentions(self.structure))
        rolled = (len(attentions(self.structure)) + 2) * longest**2 * _EXACT
        cost = self.ready.probe.cost
        return cost.fixed_bytes + rows * int(
            _KEPT[rule] * cost.row_bytes + each * weights * (element + _EXACT) + rolled
        )

    def batch(self, memory_bytes: int) -> int:
        """Examples at a time. Raises BudgetTooSmall."""
        fixed = self.ready.probe.rows
        if self.bytes(fixed or 1) > memory_bytes:
            raise BudgetTooSmall(self.bytes(fixed or 1), memory_bytes)
        each = max(1, self.bytes(2) - self.bytes(1))
        most = fixed or min(_MOST_ROWS, 1 + (memory_bytes - self.bytes(1)) // each)
        return max(1, min(most, len(self.ready)))


def applies(subject: Subject, parameters: RolloutParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    if subject.black_box:
        return (ONLY_OUTPUTS,)
    try:
        Case.of(subject, parameters)
    except (SweepRefused, NotFinite, AnalysisError) as error:
        remedy = error.remedy if isinstance(error, AnalysisError) else None
        return (f"{error}" + (f". {remedy}" if remedy else ""),)
    return ()


def estimate(subject: Subject, parameters: RolloutParameters, memory_bytes: int) -> Quote:
    """What following takes, and the controls after it; above the freshly forked child."""
    case = Case.of(subject, parameters)
    size = case.batch(memory_bytes)
    batches = ceil(len(case.ready) / size) + 2
    weights = sum(t.numel() * t.element_size() for t in (*case.ready.model.parameters(), *case.ready.model.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    return Quote(
        seconds=batches * case.ready.probe.cost.seconds(max(size, case.ready.probe.rows or 1)),
        bytes=_FIRST_USE_BYTES + int(max(_LOADING * weights, _LOADED * weights + case.bytes(size))) + 2 * data,
    )


def parts(subject: Subject, parameters: RolloutParameters, context: Context) -> tuple[Part, ...]:
    """One part: all examples, batch by batch."""
    case = Case.of(subject, parameters)
    plan: dict[str, JsonValue] = {
        "pass": "attention", "examples": len(case.ready), "batch": case.batch(context.memory_bytes),
        "device": str(case.ready.device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(), plan=plan),)
