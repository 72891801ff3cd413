"""Which runs would show that these rows mean nothing?"""

from __future__ import annotations

import torch
from torch import Tensor

from service.contracts.outcome import ControlRun
from workers.analyses.attention_rollout.case import CONTROL_EXAMPLES, Case
from workers.analyses.attention_rollout.outcome import RolloutParameters
from workers.attention.capture import Caught, captured
from workers.attention.run import Block, Question, follow
from workers.attention.structure import Stack
from workers.kind import Context, Control
from workers.subject.subject import Subject
from workers.sweep.run import outputs

_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
_SAME = "Does the network give the same answer while its attention is followed?"
_ONE = "Do the rows of rollout hold one whole, and those of gradient nothing below zero?"
_EVEN = "Does attention that is made even give the rows that can be worked out for it?"


def _same_answer(subject: Subject, parameters: RolloutParameters, context: Context) -> ControlRun:
    """The output with attention done in steps, beside the output of the network left alone."""
    case = Case.of(subject, parameters)
    few = case.ready.examples(CONTROL_EXAMPLES)
    context.progress(0.0, "control: the same answer")
    alone = outputs(few.model, few.x, few.probe.rows, few.target)
    rows = few.probe.rows or len(few)
    with torch.no_grad():
        x = tuple(torch.cat([t, t[-1:].expand(max(0, rows - len(t)), *t.shape[1:])]) for t in few.x)
        followed = few.target.read(captured(few.model, x, lambda each: each.weights))[: len(few)]
    difference = float((followed - alone).abs().max())
    scale = max(1e-12, float(alone.abs().max()))
    tolerance = _TOLERANCE[parameters.precision]
    return ControlRun(
        name="the same answer",
        question=_SAME,
        expected=f"outputs that differ by at most {tolerance:g} of the largest",
        observed=f"largest difference {difference / scale:.3g} of the largest output, n = {len(few)}",
        passed=difference <= tolerance * scale,
    )


def _one_whole(subject: Subject, parameters: RolloutParameters, context: Context) -> ControlRun:
    case = Case.of(subject, parameters)
    context.progress(0.0, "control: one whole")
    (block,) = _few(case, parameters.question)
    if parameters.rule == "rollout":
        worst = float((block.rows.sum(-1) - 1).abs().max())
        tolerance = _TOLERANCE[parameters.precision]
        expected, observed = f"sums of 1 within {tolerance:g}", f"largest difference {worst:.3g}"
        passed = worst <= tolerance and float(block.rows.min()) >= 0
    else:
        least = float(block.rows.min())
        expected, observed, passed = "no relevance below 0", f"smallest relevance {least:.3g}", least >= -1e-12
    return ControlRun(name="one whole", question=_ONE, expected=expected, observed=observed, passed=passed)


def _even_attention(subject: Subject, parameters: RolloutParameters, context: Context) -> ControlRun:
    """Each query attends alike to all that it attends to at all; (I/2 + E/2) to the power of the layers."""
    case = Case.of(subject, parameters)
    context.progress(0.0, "control: even attention")
    passed, observed = None, "encoder and decoder: their rows follow the target's gradient, not the attention alone"
    if isinstance(case.structure, Stack):
        (block,) = _few(case, Question(rule="rollout", heads="mean", read=parameters.read), even=True)
        supports = _supports(case)
        if any(not torch.equal(each, supports[0]) for each in supports):
            observed = "the layers or heads do not attend to the same tokens, so no power of one matrix is due"
        else:
            expected = _power(block, supports[0])
            worst = float((block.rows[0, -1] - expected).abs().max())
            observed = f"largest difference {worst:.3g}"
            passed = worst <= _TOLERANCE[parameters.precision]
    return ControlRun(
        name="even attention",
        question=_EVEN,
        expected=f"the row of (I/2 + E/2) to the power of the layers, within {_TOLERANCE[parameters.precision]:g}",
        observed=observed,
        passed=passed,
    )


def _even(weights: Tensor) -> Tensor:
    seen = (weights > 0).to(weights.dtype)
    return seen / seen.sum(-1, keepdim=True).clamp(min=1)


def _few(case: Case, question: Question, *, even: bool = False) -> tuple[Block, ...]:
    some = case.ready.examples(CONTROL_EXAMPLES)
    return tuple(follow(some, case.structure, question, len(some), case.places, _even if even else None))


def _supports(case: Case) -> list[Tensor]:
    """(tokens, tokens) bool of the first example, for each head of each layer of the network as it is."""
    assert isinstance(case.structure, Stack)
    caught: dict[int, Tensor] = {}

    def keep(each: Caught) -> Tensor:
        caught[each.bit] = each.weights
        return each.weights

    rows = case.ready.probe.rows or 1
    with torch.no_grad():
        x = tuple(t[:1].expand(rows, *t.shape[1:]) for t in case.ready.x)
        captured(case.ready.model, x, keep)
    split = [each.split(caught[each.bit], rows)[0].cpu() > 0 for each in case.structure.layers]
    return [head for layer in split for head in layer]


def _power(block: Block, support: Tensor) -> Tensor:
    even = _even(support.double())
    mixed = (torch.eye(len(even), dtype=torch.float64) + even) / 2
    mixed = mixed / mixed.sum(-1, keepdim=True)
    powered: Tensor = torch.linalg.matrix_power(mixed, block.rows.shape[1])
    return block.read[0] @ powered


CONTROLS = (
    Control(name="the same answer", question=_SAME, run=_same_answer),
    Control(name="one whole", question=_ONE, run=_one_whole),
    Control(name="even attention", question=_EVEN, run=_even_attention),
)
