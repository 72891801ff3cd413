"""What must a reader not take from this report? Sentences made from the reasons met while making it."""

from collections import Counter
from collections.abc import Iterable

from service.contracts.compliance import Judged, Status, Why
from service.contracts.section import exact
from service.report.compliance import wording
from service.report.compliance.back import Limitations
from service.report.compliance.given import Given
from service.report.compliance.people import waiver_state
from service.report.compliance.results import kind_of

MEANING = {
    Why.NONE: "no analysis in the window answers it",
    Why.UNMEASURED: "nothing in this service measures it yet",
    Why.SUBJECT_CHANGED: "evidence exists only for another version of the model",
    Why.CONFIG_MISMATCH: "evidence exists only with other settings than demanded",
    Why.UNVERIFIED: "the evidence could not be verified against the log",
    Why.POWER: "too few examples were measured",
    Why.GUARD: "the control that guards it is not met, so its numbers cannot be relied on",
    Why.NO_THRESHOLD: "the organisation has set no threshold",
    Why.NO_BASELINE: "no baseline was approved",
    Why.INCONCLUSIVE: "the interval holds the threshold, so the evidence decides neither way",
}
BIAS = "Bias and fairness are not measured by this service; a report made elsewhere can only be linked."
ALWAYS = (
    "Robust accuracy is an upper bound: it says what the attacks run could not break, not what no attack can.",
    "An explanation is a method's reading of the model; agreement of methods is no proof that they are right.",
    "Intervals hold for new examples drawn like those measured; data that differ are outside of every number here.",
)


def never_assessed(given: Given) -> tuple[str, ...]:
    """What no control of this report could show, for the first page: never folded away."""
    views = [
        f"{framework.name}: {exact(count)} of {wording.plural(len(framework.items), 'item')} not covered by this"
        " service."
        for framework in given.frameworks
        if (count := _uncovered(framework.id, [item.id for item in framework.items], given))
    ]
    unmeasured = Counter(judged.why for judged in _judged(given))[Why.UNMEASURED]
    line = (
        f"{wording.plural(unmeasured, 'requirement asks', 'requirements ask')} for what nothing in this service"
        " measures yet."
    )
    return (*([line] if unmeasured else []), BIAS, *views)


def limitations(given: Given) -> Limitations:
    """Every limit that the reasons of this report give rise to, the particular before the general."""
    notes = (
        *_reasons(given),
        *_attested(given),
        *_waived(given),
        *_failed(given),
        *_data(given),
        *_log(given),
        *ALWAYS,
    )
    return Limitations(notes=tuple(wording.long(note) for note in notes))


def _judged(given: Given) -> Iterable[Judged]:
    return (judged for one in given.assessment.controls for judged in one.judged)


def _uncovered(framework: str, items: list[str], given: Given) -> int:
    spoken = {reference for one in given.assessment.controls for reference in one.control.references}
    return sum(f"{framework}.{item}" not in spoken for item in items)


def _reasons(given: Given) -> Iterable[str]:
    for why, meaning in MEANING.items():
        controls = list(
            dict.fromkeys(
                one.control.id
                for one in given.assessment.controls
                if any(judged.why is why and judged.status is Status.INSUFFICIENT for judged in one.judged)
            )
        )
        if controls:
            yield f"{wording.listed(controls)}: {meaning}."
    stale = [one.control.id for one in given.assessment.controls if one.status is Status.STALE]
    if stale:
        yield f"{wording.listed(stale)}: the evidence is older than demanded; its values are shown and do not count."


def _attested(given: Given) -> Iterable[str]:
    stated = [one.control.id for one in given.assessment.controls if kind_of(one) == "attested"]
    if stated:
        yield f"{wording.listed(stated)}: attested by people, not measured; whether it is true was not checked."


def _waived(given: Given) -> Iterable[str]:
    held = [one.control for one in given.waivers if waiver_state(one, given.asked.as_of) == "in force"]
    if held:
        yield f"{wording.listed(sorted(set(held)))}: excepted for now; the measurements were not made better by that."


def _failed(given: Given) -> Iterable[str]:
    failed = sum(each.state not in {"succeeded", "queued", "running"} for each in given.analyses)
    if failed:
        yield f"{wording.plural(failed, 'analysis', 'analyses')} of the window gave no result; see the annex."


def _data(given: Given) -> Iterable[str]:
    if given.synthetic:
        yield f"Made, not collected: {wording.listed(sorted(given.synthetic))}. Real examples may behave otherwise."
    if not given.data:
        yield "No dataset stands behind this report."


def _log(given: Given) -> Iterable[str]:
    if given.anchor is None:
        yield "The log has no signed head yet: that it was not changed cannot be shown from this report."
    elif given.anchor.unsealed:
        events = wording.plural(given.anchor.unsealed, "event was", "events were")
        yield f"{events} not sealed when the head was signed; the head says nothing of them."
