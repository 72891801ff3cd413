"""What counts as broken, for each task, and what of an output is read to tell?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workers.attack.classes import Classified, Misclassified
from workers.attack.goal import Goal
from workers.attack.numbers import Hidden, Shifted
from workers.kind import AnalysisError
from workers.numerics.determinism import require_finite
from workers.passes.attacked import Attacked, Inputs, Read
from workers.passes.positions import last_real
from workers.passes.targets import compared_input

Judged = Literal["labels", "predictions"]
_NO_CLASSES = ("regression", "score", "generation")
_UNLABELLED = (
    "The data have no labels: an example counts as broken when its own prediction changes, so that shares are agreement"
    " and no accuracy."
)
_HALF = "The tolerance is half a standard deviation of the outputs over the examples: declare what shift matters."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an attack is to reach.

    goal: untargeted, least-likely, or class:NAME. tolerance: of a number, in its own unit; 0 for half a standard
    deviation of what the network gives. quantile: of the errors of a reconstruction, above which one is an anomaly.
    raised: whether a usual example is to look like an anomaly, and not the other way round.
    """

    goal: str = "untargeted"
    tolerance: float = 0.0
    quantile: float = 0.9
    raised: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aim:
    """goal, over what `read` makes of outputs: (rows, C) where `classes`, else (rows,).

    truth: int64 (n,), the class that each example is held to; None without classes. judged: whether truth are labels or
    what the network itself predicts. broken: what happens to an example, in words. before: (n,) or (n, C), what is read
    at the examples themselves. limit: the tolerance or threshold, where there is one.
    """

    read: Read
    goal: Goal
    classes: bool
    truth: Tensor | None
    judged: Judged
    broken: str
    before: Tensor
    limit: float | None = None
    unit: str = ""
    notes: tuple[str, ...] = ()

    def predicted(self, outputs: Tensor) -> Tensor:
        """The class of each row, int64 (rows,)."""
        return outputs.argmax(1)


def aim_of(attacked: Attacked, wanted: Wanted) -> Aim:
    """Raises AnalysisError where the task has no such goal."""
    facts = attacked.subject.facts
    require_finite(attacked.given, "output")
    if facts.task == "reconstruction":
        return _error(attacked, wanted)
    if facts.task in _NO_CLASSES:
        return _shift(attacked, wanted)
    return _classes(attacked, wanted)


# --- classes


def _classes(attacked: Attacked, wanted: Wanted) -> Aim:
    read = _reading(attacked)
    before = _before(attacked, read)
    predicted = before.argmax(1).cpu()
    task = attacked.subject.facts.task
    labelled = task == "classification" and attacked.labels is not None
    truth = _labels(attacked, before.shape[1]) if labelled else predicted
    notes = (_UNLABELLED,) if task == "classification" and not labelled else ()
    said = {"policy": "its action changes", "next_token": "its next token changes", "seq2seq": "its next token changes"}
    broken = said.get(task, "it is classified wrongly" if labelled else "its prediction changes")
    goal: Goal = Misclassified(truth)
    if wanted.goal != "untargeted":
        targets, broken = _targets(attacked, wanted.goal, before)
        goal = Classified(targets)
    return Aim(
        read=read, goal=goal, classes=True, truth=truth, judged="labels" if labelled else "predictions", broken=broken,
        before=before, notes=notes,
    )  # fmt: skip


def _targets(attacked: Attacked, asked: str, before: Tensor) -> tuple[Tensor, str]:
    if asked == "least-likely":
        return before.argmin(1).cpu(), "it is classified as what was least likely"
    name = asked.removeprefix("class:")
    names = attacked.subject.facts.output.classes
    count = before.shape[1]
    known = names if len(names) == count else ()
    if name in known:
        number = known.index(name)
    elif not known and name.isdecimal() and int(name) < count:
        number = int(name)
    else:
        listed = ", ".join(known[:20]) if known else f"the numbers 0 to {count - 1}"
        raise AnalysisError("goal", f"the model has no class {name!r}; it has {listed}", remedy="Name one of these.")
    return torch.full((len(before),), number), f"it is classified as {name}"


def _labels(attacked: Attacked, count: int) -> Tensor:
    labels = attacked.labels
    assert labels is not None
    wrong = ((labels < 0) | (labels >= count)).nonzero().flatten().tolist()
    if wrong:
        raise AnalysisError(
            "labels",
            f"{len(wrong)} of {len(labels)} labels are of no class: example {wrong[0]} has {int(labels[wrong[0]])}, and"
            f" the model's {count} classes are counted from 0",
            remedy="Correct the labels, or send the data without them: the network's own predictions are then held.",
        )
    return labels


def _reading(attacked: Attacked) -> Read:
    given, facts = attacked.given, attacked.subject.facts
    probabilities = facts.output.kind == "probabilities"
    if given[0].numel() == 1 and facts.task == "classification":
        return _two_of_probability if probabilities else _two_of_logit
    if given.ndim == 3 and facts.task in ("next_token", "seq2seq"):
        last = last_real(attacked.subject, attacked.own, given.shape[1])

        def at_last(output: Tensor, _inputs: Inputs, index: Tensor) -> Tensor:
            rows = torch.arange(len(output), device=output.device)
            return output[rows, last[index.cpu()].to(output.device)]

        return at_last
    if given.ndim == 2 and given.shape[1] > 1:
        return _logarithms if probabilities and bool((given >= 0).all()) else _as_given
    raise AnalysisError(
        "not-applicable",
        f"the model's task is {facts.task}, and one output has the axes {tuple(given.shape[1:])}: which of its many"
        " predictions must change for an example to be broken is not told",
        remedy="Ask of a model with one prediction for each example, or export one that gives the place in question.",
    )


def _as_given(output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
    return output


def _logarithms(output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
    """Of probabilities: their differences are those of logits, which do not saturate with the softmax."""
    return output.clamp(min=torch.finfo(output.dtype).tiny).log()


def _two_of_logit(output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
    """One logit z is that of class 1 beside 0 for class 0."""
    value = output.reshape(-1)
    return torch.stack([torch.zeros_like(value), value], 1)


def _two_of_probability(output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
    value = output.reshape(-1)
    return torch.stack([torch.full_like(value, 0.5), value], 1)


# --- numbers


def _shift(attacked: Attacked, wanted: Wanted) -> Aim:
    given, facts = attacked.given, attacked.subject.facts
    _refuse_target(wanted, facts.task)
    if given[0].numel() != 1:
        raise AnalysisError(
            "not-applicable",
            f"the model's task is {facts.task}, and one output has the axes {tuple(given.shape[1:])}: it is no single"
            " number that could shift",
            remedy="Export a model that gives the number in question.",
        )
    before = _before(attacked, _one)
    tolerance = wanted.tolerance or 0.5 * float(before.double().std(correction=0))
    notes = () if wanted.tolerance else (_HALF,)
    if not tolerance > 0:
        raise AnalysisError(
            "tolerance", "the network gives the same number for all examples, and no tolerance is asked for",
            remedy="Ask for a tolerance in the unit of the output.",
        )  # fmt: skip
    unit = facts.output.unit
    return Aim(
        read=_one, goal=Shifted(before, tolerance), classes=False, truth=None, judged="predictions",
        broken=f"its output shifts by more than {tolerance:.4g} {unit}", before=before, limit=tolerance, unit=unit,
        notes=notes,
    )  # fmt: skip


def _error(attacked: Attacked, wanted: Wanted) -> Aim:
    _refuse_target(wanted, "reconstruction")
    compared = compared_input(attacked.own)
    shift = len(attacked.inputs) - len(attacked.own)
    if attacked.given[0].numel() != attacked.own[compared][0].numel():
        raise AnalysisError(
            "not-applicable",
            f"one output has the axes {tuple(attacked.given.shape[1:])} and one input"
            f" {tuple(attacked.own[compared].shape[1:])}: they cannot be compared number by number",
        )

    def error(output: Tensor, inputs: Inputs, _index: Tensor) -> Tensor:
        return (output.flatten(1) - inputs[compared + shift].flatten(1)).square().mean(1)

    before = _before(attacked, error)
    threshold = float(before.double().quantile(wanted.quantile))
    usual = f"{threshold:.4g}, the {100 * wanted.quantile:g} % quantile of these examples"
    broken = f"its error rises above {usual}" if wanted.raised else f"its error falls to {usual}, or below"
    return Aim(
        read=error, goal=Hidden(threshold, wanted.raised), classes=False, truth=None, judged="predictions",
        broken=broken, before=before, limit=threshold, unit="mean squared error",
    )  # fmt: skip


def _refuse_target(wanted: Wanted, task: str) -> None:
    if wanted.goal != "untargeted":
        raise AnalysisError(
            "goal", f"the model's task is {task}, which has no classes to lead an example to",
            remedy='Ask for goal "untargeted".',
        )  # fmt: skip


def _one(output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
    return output.reshape(-1)


def _before(attacked: Attacked, read: Read) -> Tensor:
    """Asked through the victim itself, so that what is compared later was read in one way."""
    with attacked.quiet():
        return attacked.victim(read, 64).outputs(attacked.x, torch.arange(len(attacked), device=attacked.x.device))
