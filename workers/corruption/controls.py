"""Which runs would show that these numbers mean nothing?

Severity 0 goes through everything but the corruption and must give the clean answer; a rule of brightness has an
accuracy under brightening that follows from counting; a rule that reads nothing must not care; and an example must be
corrupted alike whatever it is run with.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from service.contracts.outcome import ControlRun
from workers.corruption.case import Case
from workers.corruption.compute import REFUSED, clean_values, under
from workers.corruption.image.weather import WEATHER
from workers.corruption.of_images import images
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.spec import NO_SEVERITY, SEVERITIES
from workers.kind import Context
from workers.passes.asked import ROLE
from workers.subject.subject import Subject, along_channels

CONTROL_EXAMPLES = 8
"""Of which controls are made; for the quote."""

_LEVELS = 20
_HALF = 0.5
_BRIGHTNESS = next(each for each in WEATHER if each.name == "brightness")
_LIMIT = {"float32": 1e-4, "float64": 1e-9}
"""Of the value: what the rounding of other blocks may move."""

IDENTITY = ("severity 0", "Does a corruption without strength leave every answer as it is?")
THRESHOLD = ("a rule of brightness", "Has a rule that counts on brightness the accuracy that follows from counting?")
CONSTANT = ("a constant", "Does a network that reads nothing keep its answer under every corruption?")
ALONE = ("alone", "Is an example corrupted alike, alone and among others, and once more?")

Observed = tuple[str, bool | None]


def run(
    which: tuple[str, str], subject: Subject, parameters: CorruptionParameters, context: Context
) -> ControlRun:  # fmt: skip
    """One of `RUNS`."""
    expected, check = RUNS[which]
    try:
        observed, passed = check(Case.of(subject, parameters), context)
    except REFUSED as refused:
        observed, passed = f"not applicable, because {refused}", None
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


def _identity(case: Case, context: Context) -> Observed:
    few = range(min(CONTROL_EXAMPLES, len(case)))
    clean = clean_values(case)[0][: len(few)]
    wrong, moved = list[str](), 0.0
    for corruption in case.corruptions:
        values, distance, _ = under(case, corruption, NO_SEVERITY, few, context.digest)
        moved = max(moved, float(distance.max()))
        gap = (values - clean).abs().max() / clean.abs().max().clamp(min=1.0)
        if float(gap) > _limit(case):
            wrong.append(corruption.name)
    told = f"{len(case.corruptions)} corruptions of {len(few)} examples, largest distance {moved:.3g}"
    return (f"other answers with {', '.join(wrong)}; {told}" if wrong else f"the clean answers; {told}"), not wrong


def _limit(case: Case) -> float:
    """Agreement and accuracy are counted and may not move at all."""
    return 0.0 if case.judge.higher_is_better else _LIMIT[case.parameters.precision]


def _threshold(case: Case, context: Context) -> Observed:
    """Grey pictures in equal steps from dark to bright: a dark one counts as bright once enough is added."""
    if case.kind not in ("image", "video"):
        return f"not applicable, because brightness is of pictures and not of a {case.kind}", None
    position = next(at for at, each in enumerate(case.subject.declared) if each.kind == case.kind)
    facts = case.subject.declared[position]
    levels = (torch.arange(_LEVELS, dtype=torch.float64) + _HALF) / _LEVELS
    like = levels.view(-1, *[1] * len(facts.shape)).expand(_LEVELS, *facts.shape)
    low, high = (along_channels(each, facts, like) for each in (facts.bounds.low, facts.bounds.high))
    data = case.subject.examples[ROLE]
    raw = [each[:1].expand(_LEVELS, *each.shape[1:]) for each in (data.inputs, *data.further)]
    raw[position] = low + (high - low) * like
    source = images(case.subject, tuple(raw), position, torch.float64)
    middle = case.subject.prepared(low + (high - low) * _HALF, position)
    said, passed = list[str](), True
    for severity in SEVERITIES:
        read = source.rows(_BRIGHTNESS, severity, range(_LEVELS), context.digest).x[position]
        bright = (read > middle).flatten(1).all(1)
        right = int((bright == (levels > _HALF)).sum())
        said.append(f"{right} of {_LEVELS}")
        passed &= right == _LEVELS - round(_BRIGHTNESS.at(severity) * _LEVELS)
    return f"right at severities 1 to 5: {', '.join(said)}", passed


def _constant(case: Case, context: Context) -> Observed:
    few = range(min(CONTROL_EXAMPLES, len(case)))
    severity = case.parameters.ascending[-1]
    if case.judge.reading == "error":
        return "not applicable, because an error against the input changes with the input", None
    if case.judge.form == "last":
        return "not applicable, because the position that is read moves with the text", None
    own = case.clean[: len(few)]
    expected = case.judge.read(own, tuple(each[: len(few)] for each in case.x), torch.tensor(few)).values
    for corruption in case.corruptions:
        given = case.source.rows(corruption, severity, few, context.digest)
        values = case.judge.read(own, given.x, torch.tensor(few)).values
        if not bool((values == expected).all()):
            return f"another value under {corruption.name}", False
    return f"the clean value under {len(case.corruptions)} corruptions", True


def _alone(case: Case, context: Context) -> Observed:
    few = range(min(CONTROL_EXAMPLES, len(case)))
    severity = case.parameters.ascending[-1]
    for corruption in case.corruptions:
        together = case.source.rows(corruption, severity, few, context.digest).x
        for index in few:
            alone = case.source.rows(corruption, severity, [index], context.digest).x
            if any(not torch.equal(all_[index], one[0]) for all_, one in zip(together, alone, strict=True)):
                return f"example {index} is another one under {corruption.name}", False
    return f"the same bits, {len(case.corruptions)} corruptions of {len(few)} examples", True


RUNS: dict[tuple[str, str], tuple[str, Callable[[Case, Context], Observed]]] = {
    IDENTITY: ("the clean answers", _identity),
    THRESHOLD: ("what counting the grey pictures says, at every severity", _threshold),
    CONSTANT: ("the clean value, under every corruption", _constant),
    ALONE: ("the same bits", _alone),
}
