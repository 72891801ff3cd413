"""Can the head of this subject read its blocks, in which batches, and at what cost?"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from weakref import WeakKeyDictionary

from pydantic import JsonValue
from torch import nn

from workers.analyses.logit_lens.outcome import LensParameters
from workers.kind import AnalysisError, Context, Part, Quote
from workers.lens.blocks import Blocks, blocks
from workers.lens.refusals import NoLens
from workers.numerics.determinism import NotFinite
from workers.passes.asked import prepared
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared
from workers.sweep.refusals import BudgetTooSmall, SweepRefused

CONTROL_EXAMPLES = 2
_TASKS = ("next_token", "seq2seq")
_MOST_ROWS, _DISTRIBUTIONS = 64, 6
"""Rows of a batch; numbers in float64 held at once for each token of the vocabulary."""

_FIRST_USE_BYTES, _LOADING, _LOADED = 40 << 20, 3.0, 1.3
"""The first use of the numerical libraries; bytes for each byte of weights while a model is loaded, and after."""

_BLOCKS: WeakKeyDictionary[nn.Module, dict[tuple[str, ...], Blocks]] = WeakKeyDictionary()
"""Found once for each model, though it is asked about by applies, quote, plan, compute and the controls."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A subject, what is asked of it, and its blocks."""

    subject: Subject
    parameters: LensParameters
    ready: Prepared
    found: Blocks

    @classmethod
    def of(cls, subject: Subject, parameters: LensParameters) -> Case:
        """Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        task = subject.facts.task
        if task not in _TASKS:
            raise NoLens(
                f"the model's task is {task}: only models that predict a token have a head to read blocks with"
            )
        ready = prepared(subject, parameters.asked)
        known = _BLOCKS.setdefault(ready.model, {})
        if parameters.layers not in known:
            known[parameters.layers] = blocks(ready, parameters.layers)
        return cls(subject, parameters, ready, known[parameters.layers])

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self.ready.outputs.shape[self.ready.target.axis if self.ready.outputs.ndim > 2 else 1])

    def depth(self, at: int) -> float:
        """Of layer `at` of all that are read: blocks that have run, over all blocks."""
        return (at + (self.found.embedding is None)) / len(self.found.blocks)

    def bytes(self, rows: int) -> int:
        """What a batch of `rows` takes at its peak."""
        states = sum(tap.bytes_per_example for tap in self.found.all)
        said = self.vocabulary * 8 * (_DISTRIBUTIONS + len(self.found.all))
        return self.ready.probe.cost.bytes(rows) + rows * (2 * states + said)

    def batch(self, memory_bytes: int) -> int:
        """Examples at a time. Raises BudgetTooSmall."""
        fixed = self.ready.probe.rows
        if self.bytes(fixed or 1) > memory_bytes:
            raise BudgetTooSmall(self.bytes(fixed or 1), memory_bytes)
        each = max(1, self.bytes(2) - self.bytes(1))
        most = fixed or min(_MOST_ROWS, 1 + (memory_bytes - self.bytes(1)) // each)
        return max(1, min(most, len(self.ready)))


def applies(subject: Subject, parameters: LensParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    if subject.black_box:
        return (ONLY_OUTPUTS,)
    try:
        Case.of(subject, parameters)
    except (SweepRefused, NotFinite, AnalysisError) as error:
        remedy = error.remedy if isinstance(error, AnalysisError) else None
        return (f"{error}" + (f". {remedy}" if remedy else ""),)
    return ()


def estimate(subject: Subject, parameters: LensParameters, memory_bytes: int) -> Quote:
    """What reading takes, and the controls after it; above the freshly forked child.

    The blocks run once; what stands before and behind them runs again for each of them, taken as half a pass.
    """
    case = Case.of(subject, parameters)
    size = case.batch(memory_bytes)
    batches = ceil(len(case.ready) / size) + 2
    weights = sum(t.numel() * t.element_size() for t in (*case.ready.model.parameters(), *case.ready.model.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    once = case.ready.probe.cost.seconds(max(size, case.ready.probe.rows or 1))
    return Quote(
        seconds=batches * once * (1 + len(case.found.all) / 2),
        bytes=_FIRST_USE_BYTES + int(max(_LOADING * weights, _LOADED * weights + case.bytes(size))) + 2 * data,
    )


def parts(subject: Subject, parameters: LensParameters, context: Context) -> tuple[Part, ...]:
    """One part: all examples, batch by batch."""
    case = Case.of(subject, parameters)
    plan: dict[str, JsonValue] = {
        "pass": "lens", "examples": len(case.ready), "batch": case.batch(context.memory_bytes),
        "layers": [tap.key for tap in case.found.all], "device": str(case.ready.device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(), plan=plan),)
