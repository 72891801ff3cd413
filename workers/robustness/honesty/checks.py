"""Which checks are there, what does each ask, and what do they say of one attack?

What each costs is bounded by the number of examples that it looks at (`strength`, `planted`): of the attack's own N, at
most a tenth (and 10) run again with a doubled budget, an eighth (and 10) by outputs alone, and 20 each without a limit
and with a planted adversarial, of which most break early. Together about 0.8 of the attack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from workers.attack.found import Found
from workers.robustness.honesty import gradients, outputs, planted, strength
from workers.robustness.honesty.examined import Examined, Told, at_hand, unheard
from workers.robustness.honesty.verdict import NotRun, Seen, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """question, expected: as in a verdict. gradients: whether it takes them. weight: its part of the time, about."""

    question: str
    expected: str
    run: Callable[[Examined, Found], Seen]
    gradients: bool = False
    weight: float = 1.0


def _of_network(run: Callable[[Examined], Seen]) -> Callable[[Examined, Found], Seen]:
    return lambda examined, _found: run(examined)


CHECKS: dict[str, Check] = {
    "same answer twice": Check(
        question="Does the network answer equal questions alike?", expected="the same bits",
        run=_of_network(outputs.repeated),
    ),
    "alone and in a batch": Check(
        question="Does the answer for an example hang on those beside it?", expected="the same, within rounding",
        run=_of_network(outputs.companions),
    ),
    "logits or probabilities": Check(
        question="Are the outputs what they are declared to be?", expected="no probabilities where logits are declared",
        run=_of_network(outputs.probabilities),
    ),
    "graph to the input": Check(
        question="Does the output hang on the input, as far as gradients see?", expected="a gradient can be taken",
        run=_of_network(gradients.attached),
    ),
    "gradients there": Check(
        question="Are there gradients to climb?", expected="neither zero nor infinite at more than 1 % of the examples",
        run=gradients.present, gradients=True,
    ),
    "softmax not saturated": Check(
        question="Does the cross-entropy have a gradient?", expected="at all but 1 % of the examples",
        run=gradients.saturated, gradients=True,
    ),
    "finite differences": Check(
        question="Are the gradients the derivatives of what the network computes?",
        expected="at most 5 % of derivatives along random directions differ", run=gradients.agree, gradients=True,
    ),
    "gradients lead": Check(
        question="Does a gradient tell what happens a tenth of the budget away?",
        expected="a correlation of at least 0.9", run=gradients.lead, gradients=True,
    ),
    "curve": Check(
        question="Does the curve fall, and does each of its adversarials break again?", expected="all of them",
        run=strength.curve,
    ),
    "one step": Check(
        question="Does a single step break what the attack did not?", expected="none", run=strength.one_step,
        gradients=True,
    ),
    "random noise": Check(
        question="Is noise of equal size much weaker?",
        expected="none that held, and at most half of what the attack broke", run=strength.noise,
    ),
    "no limit": Check(
        question="Does an unlimited budget break everything?", expected="a robust accuracy of about zero",
        run=strength.unlimited, weight=3,
    ),
    "doubled budget": Check(
        question="Does an attack twice as long find more?", expected="at most 1 point of robust accuracy",
        run=strength.doubled, weight=15,
    ),
    "black box": Check(
        question="Does a search that sees outputs alone find more than gradients do?",
        expected="not more, beyond chance",
        run=strength.black_box, weight=10,
    ),
    "planted adversarial": Check(
        question="Does the attack find adversarials that are known to exist?", expected="at least 95 % of them",
        run=planted.planted, weight=3,
    ),
}  # fmt: skip


def checks(
    examined: Examined, found: Found, told: Told = unheard, wanted: Collection[str] | None = None
) -> tuple[Verdict, ...]:
    """What every check says of an attack's result, in the order of `CHECKS`. wanted: names to run; None is all.

    The counts of the attack stay as they are: what checks ask is kept apart. Raises what `told` raises, and NotFinite
    or RuntimeError where the network itself fails.
    """
    examined, found = examined.some(examined.index), at_hand(found, examined.x)
    examined.victim.whose()
    run = [name for name in CHECKS if wanted is None or name in wanted]
    whole, done, verdicts = sum(CHECKS[name].weight for name in run), 0.0, []
    blind = None if examined.victim.black_box else gradients.detached(examined)
    for name, check in CHECKS.items():
        if name not in run:
            verdicts.append(_said(name, NotRun("it was not asked for; name it in the request")))
            continue
        told(done / whole, name)
        part = replace(examined, told=partial(_within, told, done / whole, check.weight / whole, name))
        verdicts.append(_said(name, _seen(check, part, found, blind)))
        done += check.weight
    return tuple(verdicts)


def ladders(examples: int, wanted: Collection[str] | None = None) -> float:
    """About how many examples' worth of an attack on `examples` all checks cost, where none of these breaks."""
    again, black = strength.sizes(examples)
    most = {
        "doubled budget": 2.0 * again, "black box": 0.5 * black, "planted adversarial": min(planted.CASES, examples),
        "no limit": 0.5 * min(strength.UNLIMITED, examples),
    }  # fmt: skip
    return sum(cost for name, cost in most.items() if wanted is None or name in wanted)


def _seen(check: Check, examined: Examined, found: Found, blind: str | None) -> Seen | NotRun:
    by_gradient = check.gradients or check is CHECKS["graph to the input"]
    if by_gradient and examined.victim.black_box:
        return NotRun("a black box gives no gradients; it takes the network with its weights")
    if check.gradients and blind is not None:
        return NotRun("no gradient by the input can be taken; it takes a network whose graph reaches its input")
    if blind is not None:  # as the attack itself had to
        examined = replace(examined, victim=replace(examined.victim, black_box=True))
    try:
        return check.run(examined, found)
    except NotRun as why:
        return why


def _said(name: str, seen: Seen | NotRun) -> Verdict:
    check = CHECKS[name]
    if isinstance(seen, NotRun):
        return Verdict(
            name=name, question=check.question, verdict="not run", observed="", expected=check.expected,
            because=str(seen),
        )  # fmt: skip
    return Verdict(
        name=name, question=check.question, verdict=seen.verdict, observed=seen.observed, expected=check.expected,
        because=seen.because, value=seen.value, low=seen.low, high=seen.high, n=seen.n,
    )  # fmt: skip


def _within(told: Told, begins: float, share: float, name: str, fraction: float, stage: str) -> None:
    told(begins + share * fraction, f"{name}: {stage}")
