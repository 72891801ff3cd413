"""What does a reader see of attacks: the answer with its doubt, the curve, what was tried, what it does not show?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section, exact
from service.contracts.vocabulary import METRICS
from workers.robustness import tables
from workers.robustness.outcome import At, RobustnessOutcome

LIMITS = (
    "A robust accuracy found by attacks is an upper bound: another attack can only lower it, and none is a guarantee.",
    "Only changes within a ball around each example are tried: no rotations, weather or physical attacks.",
    "Whoever knows of a detector or another defence around the network would attack that too; it is not tried.",
    "Intervals are about other examples from the same source, and not about other data or stronger attacks.",
)
_NORMS = {"linf": "each number changed by at most epsilon", "l2": "the change being at most epsilon long"}


def section(title: str, question: str, source: str, outcome: RobustnessOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=title, question=question, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=source,
    )  # fmt: skip


def telling(outcome: RobustnessOutcome) -> At:
    """The budget that is named in the answer: that at which nearest to half of what is right holds.

    Of equals the largest where more than half hold, else the smallest: that says the most.
    """
    half = outcome.clean.value / 2

    def apart(at: At) -> tuple[float, float]:
        return abs(at.robust.value - half), -at.epsilon if at.robust.value > half else at.epsilon

    return min(outcome.curve, key=apart)


def _answer(outcome: RobustnessOutcome) -> str:
    doubt = _doubt(outcome)
    if not outcome.clean.count:
        return f"{doubt}The network is wrong on all {outcome.examples} examples as they are: nothing is left to break."
    at = telling(outcome)
    within = f"within {exact(float(f'{at.epsilon:.4g}'))} {outcome.unit} ({outcome.norm})"
    clean, robust = outcome.clean, at.robust
    if outcome.accuracy:
        text = (
            f"{_percent(clean.value, clean.low, clean.high)} of the examples are right without an attack, and at most"
            f" {_percent(robust.value, robust.low, robust.high)} {within}, n = {outcome.examples}."
        )
    else:
        assert at.broken is not None
        broken = at.broken
        text = (
            f"For at least {_percent(broken.value, broken.low, broken.high)} of {broken.n} examples"
            f" {outcome.broken} {within}."
        )
    return (doubt + text)[:4000]


def _doubt(outcome: RobustnessOutcome) -> str:
    """What a reader must know first."""
    if outcome.again is not None and outcome.again.confirmed < outcome.again.n:
        return "Not to be relied on: stored adversarials were not confirmed. "
    failed = [each.name for each in outcome.verdicts if each.verdict == "fail"]
    warned = [each.name for each in outcome.verdicts if each.verdict == "warn"]
    embedded = "Diagnostic only: embeddings are moved, which no text need have. " if outcome.embedded else ""
    if failed:
        return f"{embedded}Probably too high: {len(failed)} checks of the attack failed ({', '.join(failed)}). "
    if outcome.blind or outcome.black_box:
        return f"{embedded}By outputs alone, so that an attack that sees the weights may find far more: "
    if warned:
        return f"{embedded}With care: {len(warned)} checks of the attack are in doubt ({', '.join(warned)}). "
    if not any(each.verdict == "pass" for each in outcome.verdicts):
        return f"{embedded}The attack was not checked. "
    return embedded


def _percent(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _blocks(outcome: RobustnessOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    if outcome.notes:
        blocks.append(Prose(text=" ".join(outcome.notes)[:4000]))
    blocks.append(tables.curve(outcome))
    if outcome.verdicts:
        blocks.append(tables.verdicts(outcome))
    blocks.append(tables.attacks(outcome))
    if outcome.by_class:
        blocks.append(tables.by_class(outcome))
    if outcome.worst:
        blocks.append(tables.worst(outcome))
    blocks += [
        Picture(title="Broken by the least", artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
    ]
    for each in outcome.worst:
        if each.changes:
            blocks.append(tables.changes(outcome, each))
        if each.line is not None:
            blocks.append(tables.line(each))
    blocks.append(Prose(text=_stored(outcome)))
    return tuple(blocks)


def _asked(outcome: RobustnessOutcome) -> str:
    held = "the labels" if outcome.judged == "labels" else "what the network itself says"
    settings = outcome.settings
    knows = "outputs alone" if outcome.black_box or outcome.blind else "the network with its weights"
    return (
        f"The first {outcome.examples} of {outcome.available} examples, held to {held}. An example counts as broken"
        f" when {outcome.broken}. The attacker knows {knows} and may move {_moved(outcome)} within the declared bounds,"
        f" {_NORMS[outcome.norm]}; epsilon counts {outcome.unit}. Goal: {outcome.goal}. {settings['steps']} gradient"
        f" steps in the first attack, {settings['queries']} queries per example; {outcome.gradients:,} gradients and"
        f" {outcome.forwards:,} forwards in all, and as many again or fewer for the checks."
    )[:4000]


def _moved(outcome: RobustnessOutcome) -> str:
    return "the embeddings of all tokens" if outcome.embedded else "all numbers of the input"


def _measures(outcome: RobustnessOutcome) -> list[Measure]:
    at, made = telling(outcome), list[Measure]()
    if outcome.accuracy:
        made.append(_measure("Accuracy without an attack", "clean_accuracy", outcome, tables.share(outcome.clean), ""))
        label = f"Robust accuracy at {exact(float(f'{at.epsilon:.4g}'))}, at most"
        made.append(_measure(label, "robust_accuracy", outcome, tables.share(at.robust), " An upper bound."))
    nearest = outcome.nearest
    if nearest is not None and nearest.median is not None:
        both = nearest.low is not None and nearest.high is not None
        number = Number(
            value=nearest.median, unit=tables.said_unit(outcome), low=nearest.low if both else None,
            high=nearest.high if both else None, n=nearest.n,
        )  # fmt: skip
        how = "were sought (DDN, FMN)" if nearest.sought else "are those of the attacks above, drawn in to the boundary"
        note = f" For {nearest.censored} of {nearest.n} none was found; the nearest adversarials {how}."
        made.append(_measure("Median smallest perturbation, at most", "median_epsilon", outcome, number, note))
    return made


def _measure(label: str, metric: str, outcome: RobustnessOutcome, number: Number, note: str) -> Measure:  # noqa: ARG001  # one form for all
    of = METRICS[metric]
    return Measure(
        label=label, number=number, direction=of.direction, note=f"Denominator: {of.denominator}.{note}"
    )  # fmt: skip


def _stored(outcome: RobustnessOutcome) -> str:
    text = f"{outcome.stored} of {outcome.stored_of} adversarials are stored, in the order of the examples."
    again = outcome.again
    if again is not None:
        text += (
            f" A check that shares nothing with the attacks read them back and asked the network about each alone:"
            f" {again.confirmed} of {again.n} confirmed."
        )
        if again.rounded is not None:
            text += f" {again.rounded} of these still break their example when stored in 8 bits."
    nearest = outcome.nearest
    if nearest is not None and nearest.median is None:
        text += (
            f" Half or more of the examples held at every budget ({nearest.censored} of {nearest.n}): the median"
            " smallest perturbation lies beyond them, and is not told."
        )
    return text
