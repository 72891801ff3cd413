"""Which runs would show that the lens does not read what it says?"""

from __future__ import annotations

import torch

from service.contracts.outcome import ControlRun
from workers.analyses.logit_lens.case import CONTROL_EXAMPLES, Case
from workers.analyses.logit_lens.outcome import LensParameters
from workers.kind import Context, Control
from workers.lens.run import after, read
from workers.subject.subject import Subject

_LAST = "Is what is read after the last block the model's own answer, to the last bit?"
_EMPTY = "Does nothing but the state of the last block reach the answer?"
_ROUNDING = 1e-5


def _last_block(subject: Subject, parameters: LensParameters, context: Context) -> ControlRun:
    case = Case.of(subject, parameters)
    few = case.ready.examples(CONTROL_EXAMPLES)
    context.progress(0.0, "control: the last block")
    worst = max(float(block.difference.max()) for block in read(few, case.found, len(few)))
    return ControlRun(
        name="the last block",
        question=_LAST,
        expected="logits that do not differ at all",
        observed=f"largest difference {worst:g}, n = {len(few)}",
        passed=worst == 0,
    )


def _empty_state(subject: Subject, parameters: LensParameters, context: Context) -> ControlRun:
    """With zeros in its place, examples can no longer be told apart."""
    case = Case.of(subject, parameters)
    few = case.ready.examples(CONTROL_EXAMPLES)
    context.progress(0.0, "control: an empty state")
    passed, observed = None, "one example alone cannot differ from another"
    if len(few) > 1:
        said = after(few, case.found, torch.zeros_like)
        own = after(few, case.found, torch.clone)
        worst, scale = float((said - said[:1]).abs().max()), max(1e-12, float(own.abs().max()))
        observed = f"largest difference {worst / scale:.3g} of the largest logit, n = {len(few)}"
        passed = worst <= _ROUNDING * scale
    return ControlRun(
        name="an empty state",
        question=_EMPTY,
        expected=f"the same logits for all examples, within {_ROUNDING:g} of the largest",
        observed=observed,
        passed=passed,
    )


CONTROLS = (
    Control(name="the last block", question=_LAST, run=_last_block),
    Control(name="an empty state", question=_EMPTY, run=_empty_state),
)
