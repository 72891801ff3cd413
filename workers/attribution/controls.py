"""Which runs would show that the numbers of an attribution mean nothing?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt

import torch
from torch import Tensor, nn

from service.contracts.outcome import ControlRun
from workers.attribution.compute import Case, again, few_of
from workers.attribution.parameters import Complete, FromBaseline, tolerance_of
from workers.attribution.spec import Attribution
from workers.kind import Context
from workers.numerics.intervals import t_quantile
from workers.sweep.around import Around, behind
from workers.sweep.completeness import Endpoints, completeness
from workers.sweep.method import Method
from workers.sweep.methods.within import ConductanceWithin, IntegratedGradientsWithin
from workers.sweep.probe import Probe, probe
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep, Totals
from workers.sweep.refusals import SweepRefused

CONTROL_EXAMPLES = 4
"""How many times some examples are attributed again, all controls together; for the quote."""

_FEW, _SOME, _STEPS = 2, 4, 10
_SLACK, _LEVEL = 1.1, 0.95
_SIDE = "control_side_branch"
_ROUNDING = {"float32": 1e-3, "float64": 1e-8}
"""Of the largest attribution: what other chunks may move."""

_CANCELLED = 1e-2
"""Of the largest attribution anywhere: a layer whose attributions cancel to less is left with rounding, which has no
scale of its own."""

SIDE = ("a layer off the path", "Does a layer that the output does not depend on get nothing?")
UNREAD = ("an input that nothing reads", "Does an input that the output does not depend on get nothing?")
ZERO = ("a zero step", "Does an input equal to its baseline get nothing?")
CHUNKS = ("other chunks", "Does an example get the same numbers in whatever chunk it is computed?")
DOUBLED = ("doubled steps", "Does the completeness error not grow when the steps are doubled?")


def names(kind: Attribution[FromBaseline]) -> tuple[tuple[str, str], ...]:
    """The controls of a kind: each its name and its question."""
    severed = (SIDE if kind.places == "layers" else UNREAD,) if kind.severed else ()
    zero = (ZERO,) if kind.multiplied and issubclass(kind.parameters, FromBaseline) else ()
    complete = issubclass(kind.parameters, Complete)
    doubled = (DOUBLED,) if complete and "steps" in kind.parameters.model_fields else ()
    return (*severed, *zero, CHUNKS, *doubled)


# --- what nothing depends on gets nothing


class _WithSideBranch(Around):
    """The model, and beside it a layer that reads the input and that nothing reads."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, {_SIDE: nn.Tanh()})

    def forward(self, *inputs: Tensor) -> object:
        self.get_submodule(_SIDE)(next(each for each in inputs if each.is_floating_point()))
        return behind(self)(*inputs)


class _WithUnreadInput(Around):
    """The model, with one more input that it does not read."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, {_SIDE: nn.Identity()})

    def forward(self, *inputs: Tensor) -> object:
        self.get_submodule(_SIDE)(inputs[-1])
        return behind(self)(*inputs[:-1])


def off_path(case: Case, context: Context) -> ControlRun:
    """A side branch is attributed to like any layer, whatever the probe says of it; or an unread input like any."""
    inputs = case.kind.places == "inputs"
    few = case.ready.examples(_FEW)
    extended, seen = _unread(case, few) if inputs else _sided(case, few)
    name, question = UNREAD if inputs else SIDE
    status = seen.tap(_SIDE).status
    method = _with_steps(case, min(_STEPS, _steps(case) or _STEPS))
    obstacle = method.obstacle(extended, extended.probe.tap(_SIDE))
    if obstacle:
        return _run((name, question), "exactly 0", f"the method gives it no number: {obstacle}", None)
    totals = Totals()
    try:
        chunks = method.plan(extended, context.memory_bytes, context.threads, (_SIDE,))
        method.attribute(extended, chunks, [totals], None, case.seed(context))
    except SweepRefused as refused:
        return _run((name, question), "exactly 0", f"not applicable, because {refused}", None)
    largest = float(totals.absolute(_SIDE).max())
    limit = _drop(case, extended, prod(method.units(extended.probe.tap(_SIDE)))) if case.kind.forward else 0.0
    return _run(
        (name, question),
        f"seen to be off the path; attribution {f'within rounding, {limit:.2g}' if limit else 'exactly 0'}",
        f"{status.replace('_', ' ')}; largest absolute total {largest:g}",
        status == "off_path" and largest <= limit,
    )


def _drop(case: Case, ready: Prepared, units: int) -> float:
    """What so many differences between outputs may be of rounding alone."""
    eps = torch.finfo(getattr(torch, case.parameters.precision)).eps
    return 64 * eps * max(1.0, float(ready.outputs.abs().max())) * units


def _sided(case: Case, few: Prepared) -> tuple[Prepared, Probe]:
    model = _WithSideBranch(few.model).eval()
    seen = probe(model, few.x, few.origin, few.target, rows=case.subject.manifest.batch)
    seen = replace(seen, inputs=few.probe.inputs)
    read = next(position for position, each in enumerate(few.x) if each.is_floating_point())
    sequences = {few.probe.inputs[key]: few.probe.tap(key).sequence for key in few.probe.inputs}
    return replace(few, model=model, probe=_forced(seen, sequences.get(read))), seen


def _unread(case: Case, few: Prepared) -> tuple[Prepared, Probe]:
    model = _WithUnreadInput(few.model).eval()
    first = next(position for position, each in enumerate(few.x) if each.is_floating_point())
    x, origin = (*few.x, few.x[first].clone()), (*few.origin, few.origin[first].clone())
    seen = probe(model, x, origin, few.target, rows=case.subject.manifest.batch)
    seen = replace(seen, inputs={**few.probe.inputs, _SIDE: len(x) - 1})
    return replace(few, model=model, x=x, origin=origin, probe=_forced(seen)), seen


def _forced(seen: Probe, sequence: int | None = None) -> Probe:
    """sequence: that of the input, with which the side branch has its axes in common."""
    taps = tuple(
        replace(tap, status="on_path", same_as=None, sequence=sequence) if tap.key == _SIDE else tap
        for tap in seen.taps
    )
    return replace(seen, taps=taps)


# --- nothing moves, nothing changes


def zero_step(case: Case, context: Context) -> ControlRun:
    """Each example is its own baseline."""
    few = case.ready.examples(_FEW)
    method = _with_steps(case, min(_STEPS, _steps(case) or _STEPS))
    still = replace(few, origin=few.x)
    chunks = method.plan(still, context.memory_bytes, context.threads, case.keys)
    totals = Totals()
    ends = method.attribute(still, chunks, [totals], None, case.seed(context))
    largest = max(float(totals.absolute(key).max()) for key in chunks.taps)
    change = float(ends.difference.abs().max())
    scale = max(1.0, float(ends.output.abs().max()))
    return _run(
        ZERO,
        "output changes by no more than rounding; attribution exactly 0 everywhere",
        f"output changes by {change:g}; largest absolute total {largest:g}",
        largest == 0 and change <= 1e-5 * scale,
    )


def other_chunks(case: Case, context: Context) -> ControlRun:
    """The first examples once more, in chunks of one, against what was kept of the pass over all."""
    made, few = again(case, context), case.ready.examples(_FEW)
    keys = case.request(context).whole[:_SOME]
    if not keys:
        return _run(CHUNKS, "the same", "nothing was kept to compare with: verify and certificate are off", None)
    chunks = replace(case.method.plan(few, context.memory_bytes, context.threads, case.keys), examples=1)
    kept = Keep(keys)
    case.method.attribute(few, chunks, [kept], None, case.seed(context))
    pairs = {key: (kept.of(key), made.kept.of(key)[: len(few)]) for key in keys}
    most = max(float(other.abs().max()) for _, other in pairs.values())
    gaps = []
    for one, other in pairs.values():
        scale = max(float(other.abs().max()), _CANCELLED * most)
        gap = float((one - other).abs().max())
        gaps.append(gap / scale if scale > 0 else gap)
    limit = _ROUNDING[case.parameters.precision]
    expected = f"within {limit:g} of the largest attribution"
    return _run(CHUNKS, expected, f"largest difference {max(gaps):.3g}", max(gaps) <= limit)


# --- more steps, no larger error


@dataclass(frozen=True, slots=True)
class _Errors:
    """Of some examples: |Σ − (F(x) − F(x'))| in the mean over cut layers, and the sum of magnitudes; the change."""

    missing: Tensor
    gross: Tensor
    change: Tensor

    @property
    def share(self) -> float:
        """Sum over sum, so that an example whose output hardly changes decides nothing."""
        return float(self.missing.sum() / self.change.sum())


def doubled_steps(case: Case, context: Context) -> ControlRun:
    """The error over all cut layers and some examples, as it was computed and at twice as many steps.

    Errors of single examples go up and down as steps meet kinks; so growth counts only where it is more than a tenth,
    above the tolerance, above rounding, and beyond what the examples' own spread explains.
    """
    steps = _steps(case)
    if steps is None:
        return _run(DOUBLED, "no growth", "the method chose its own number of steps", None)
    made, some = again(case, context), few_of(case, _SOME)
    method = _with_steps(case, 2 * steps)
    chunks = method.plan(some.ready, context.memory_bytes, context.threads, case.keys)
    finer = Totals()
    ends = method.attribute(
        some.ready, chunks, [finer], lambda part: context.progress(part, f"control: {2 * steps} steps"),
        case.seed(context),
    )  # fmt: skip
    cuts = [key for key in chunks.taps if case.method.complete(some.ready, some.ready.probe.tap(key))]
    once = _errors(made.totals, made.ends, cuts, len(some.ready))
    twice = _errors(finer, ends, cuts, len(some.ready))
    expected = (
        f"at most {_SLACK:g} times the error, at most {tolerance_of(case.parameters):g} of the output's change, or no"
        " more than rounding and chance explain"
    )
    if once is None or twice is None:
        why = "no layer through which every path passes, or an output that does not change"
        return _run(DOUBLED, expected, why, None)
    floor = 8 * torch.finfo(getattr(torch, case.parameters.precision)).eps * float(twice.gross.sum())
    allowed = max(_SLACK * once.share, tolerance_of(case.parameters), floor / float(twice.change.sum()))
    passed = twice.share <= allowed or not _grown(once.missing, twice.missing)
    observed = f"{once.share:.3g} at {steps} steps, {twice.share:.3g} at {2 * steps}, n = {len(some.ready)}"
    return _run(DOUBLED, expected, observed, passed)


def _grown(once: Tensor, twice: Tensor) -> bool:
    """Whether the error of twice as many steps is larger beyond chance: Student's t of the paired differences."""
    growth = twice - once
    if len(growth) < 2:
        return bool(growth > 0)
    half = t_quantile(_LEVEL, len(growth) - 1) * float(growth.std()) / sqrt(len(growth))
    return float(growth.mean()) > half


def _errors(totals: Totals, ends: Endpoints, cuts: Sequence[str], n: int) -> _Errors | None:
    """Over the first n examples and the layers `cuts`; None where there is nothing to attribute."""
    ends = Endpoints(ends.output[:n], ends.baseline_output[:n])
    change = ends.difference.abs()
    if not cuts or float(change.max()) == 0:
        return None
    missing = torch.stack([completeness(totals.signed(key)[:n], ends).delta.abs() for key in cuts]).mean(0)
    gross = torch.stack([totals.absolute(key)[:n] for key in cuts]).mean(0)
    return _Errors(missing, gross, change)


def _steps(case: Case) -> int | None:
    steps = getattr(case.method, "steps", None)
    return steps if isinstance(steps, int) else None


def _with_steps(case: Case, steps: int) -> Method:
    """The method with so many steps; as it is where it has none."""
    if isinstance(case.method, ConductanceWithin | IntegratedGradientsWithin):
        return case.method.at(steps)
    if _steps(case) is None:
        return case.method
    made: Method = replace(case.method, steps=steps)  # type: ignore[type-var] # a Method is a dataclass by its contract
    return made


def _run(which: tuple[str, str], expected: str, observed: str, passed: bool | None) -> ControlRun:
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


RUNS = {
    SIDE: off_path, UNREAD: off_path, ZERO: zero_step, CHUNKS: other_chunks, DOUBLED: doubled_steps,
}  # fmt: skip
