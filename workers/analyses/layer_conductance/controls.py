"""Which runs would show that the numbers of this analysis mean nothing?"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from service.contracts.outcome import ControlRun
from workers.analyses.layer_conductance.compute import method_of, parts
from workers.analyses.layer_conductance.outcome import ConductanceParameters
from workers.kind import Context, Control
from workers.passes.asked import prepared
from workers.passes.attribution import AttributionPass, Swept
from workers.subject.subject import Subject
from workers.sweep.completeness import Endpoints, completeness
from workers.sweep.plan import Plan, plan
from workers.sweep.probe import probe
from workers.sweep.reducers import Totals
from workers.sweep.run import sweep

_FEW, _SOME, _STEPS = 2, 4, 10
_SLACK = 1.1
"""By how much an error may grow and still be called the same: on ReLU networks it falls on average, not always."""

_SIDE = "control_side_branch"


class _WithSideBranch(nn.Module):
    """The model, and beside it a layer that reads the input and that nothing reads."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.add_module(_SIDE, nn.Tanh())

    def forward(self, *inputs: Tensor) -> object:
        self.get_submodule(_SIDE)(next(each for each in inputs if each.is_floating_point()))
        return self.model(*inputs)


def _off_path(subject: Subject, parameters: ConductanceParameters, context: Context) -> ControlRun:
    """A side branch is swept like any layer, whatever the probe says of it."""
    few = prepared(subject, parameters.asked).examples(_FEW)
    model = _WithSideBranch(few.model).eval()
    seen = probe(model, few.x, few.origin, few.target, rows=subject.manifest.batch)
    chunks = plan(
        seen, examples=len(few), evaluations=_STEPS + 1,
        memory_bytes=context.memory_bytes, threads=context.threads,
        device=str(few.device), dtype=parameters.precision,
    )  # fmt: skip
    forced = Plan(**{**chunks.as_json(), "taps": (_SIDE, *chunks.taps)})  # type: ignore[arg-type]  # its own members
    totals = Totals()
    sweep(model, seen, forced, few.x, few.origin, few.target, [totals], rule=parameters.rule)
    status, largest = seen.tap(_SIDE).status, float(totals.absolute(_SIDE).max())
    return ControlRun(
        name="a layer off the path",
        question="Does a layer that the output does not depend on get nothing?",
        expected="seen to be off the path; conductance exactly 0",
        observed=f"{status.replace('_', ' ')}; largest absolute total {largest:g}",
        passed=status == "off_path" and largest == 0,
    )


def _zero_step(subject: Subject, parameters: ConductanceParameters, context: Context) -> ControlRun:
    """Each example is its own baseline."""
    few = prepared(subject, parameters.asked).examples(_FEW)
    method = replace(method_of(parameters), steps=min(parameters.steps, _STEPS))
    chunks = method.plan(few, context.memory_bytes, context.threads, parameters.layers)
    totals = Totals()
    ends = method.attribute(replace(few, origin=few.x), chunks, [totals], None, 0)
    largest = max(float(totals.absolute(key).max()) for key in chunks.taps)
    change = float(ends.difference.abs().max())
    scale = max(1.0, float(ends.output.abs().max()))
    return ControlRun(
        name="a zero step",
        question="Does an input equal to its baseline get nothing?",
        expected="output changes by no more than rounding; conductance exactly 0 in every layer",
        observed=f"output changes by {change:g}; largest absolute total {largest:g}",
        passed=largest == 0 and change <= 1e-5 * scale,
    )


def _doubled_steps(subject: Subject, parameters: ConductanceParameters, context: Context) -> ControlRun:
    """The mean error over all cut layers and some examples, as it was computed and at twice as many steps."""
    some = prepared(subject, parameters.asked).examples(_SOME)
    (part,) = parts(subject, parameters, context)
    (request,) = part.requests
    assert isinstance(request, AttributionPass)
    asked: Swept = context.run(request, subject)
    stage, finer = f"control: {2 * parameters.steps} steps", Totals()
    method = replace(method_of(parameters), steps=2 * parameters.steps)
    chunks = replace(request.chunks, evaluations=len(method.points))
    ends = method.attribute(some, chunks, [finer], lambda fraction: context.progress(fraction, stage), 0)
    cuts = [key for key in chunks.taps if some.probe.tap(key).cut]
    once = _mean_error(asked.totals, asked.ends, cuts, len(some))
    twice = _mean_error(finer, ends, cuts, len(some))
    passed, observed = None, "no layer through which every path passes, or an output that does not change"
    if once is not None and twice is not None:
        observed = f"{once:.3g} at {parameters.steps} steps, {twice:.3g} at {2 * parameters.steps}, n = {len(some)}"
        passed = twice <= max(_SLACK * once, parameters.tolerance)
    return ControlRun(
        name="doubled steps",
        question="Does the completeness error not grow when the steps are doubled?",
        expected=f"at most {_SLACK:g} times the error, or at most {parameters.tolerance:g} of the output's change",
        observed=observed,
        passed=passed,
    )


def _mean_error(totals: Totals, ends: Endpoints, cuts: list[str], n: int) -> float | None:
    """Over the first n examples and the layers `cuts`; None where there is nothing to attribute."""
    ends = Endpoints(ends.output[:n], ends.baseline_output[:n])
    change = ends.difference.abs()
    if not cuts or float(change.max()) == 0:
        return None
    deltas = torch.stack([completeness(totals.signed(key)[:n], ends).delta.abs() for key in cuts])
    return float((deltas / torch.maximum(change, 0.01 * change.mean())).mean())


CONTROLS = (
    Control(
        name="a layer off the path",
        question="Does a layer that the output does not depend on get nothing?",
        run=_off_path,
    ),
    Control(name="a zero step", question="Does an input equal to its baseline get nothing?", run=_zero_step),
    Control(
        name="doubled steps",
        question="Does the completeness error not grow when the steps are doubled?",
        run=_doubled_steps,
    ),
)
