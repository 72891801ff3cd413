"""What did this audit not do? Said in plain sentences, before any result, so that silence is never read as a pass."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from service.contracts.manifest import ModelManifest
from service.contracts.section import display
from service.contracts.status import AnalysisState
from service.report.twin import ReportedInput, ReportSection
from service.report.wording import clipped

LONGEST = 4000
DECLARED = (
    "What the owners of the model and of the data declared was taken as declared; it was not checked unless an"
    " analysis of this report measures it."
)
NOT_AUDITABLE = {
    "forward_only": "can only be run forward",
    "not_fired": "did not run on an example input",
    "no_gradient_path": "have no gradient path to the output",
}


def not_tested(
    sections: Sequence[ReportSection],
    inputs: Sequence[ReportedInput],
    manifest: ModelManifest | None,
    kinds: Mapping[str, str],
) -> tuple[str, ...]:
    """Every gap the audit's own records show, one sentence each: the gravest first. `kinds`: kind -> title, of all."""
    lines = [
        *_unanswered(sections),
        *_doubted(sections),
        *_not_applicable(sections),
        *_warned(manifest),
        *_layers(manifest),
        *_not_requested(sections, kinds),
        *_data(inputs),
        DECLARED,
    ]
    return tuple(clipped(text, LONGEST) for text in lines)


def _unanswered(sections: Sequence[ReportSection]) -> Iterator[str]:
    for place, part in enumerate(sections):
        name, why = _named(place, part), f": {part.reason.detail}" if part.reason else "."
        if part.state is AnalysisState.FAILED:
            yield f"{name} failed and answered nothing{why}"
        elif part.state in {AnalysisState.CANCELLED, AnalysisState.CANCELLING}:
            yield f"{name} was cancelled and answered nothing{why}"
        elif part.state is not AnalysisState.SUCCEEDED:
            yield f"{name} had not ended when this report was made (state: {part.state})."


def _doubted(sections: Sequence[ReportSection]) -> Iterator[str]:
    for place, part in enumerate(sections):
        name = _named(place, part)
        for control in part.section.controls if part.section else ():
            if control.passed is False:
                yield f"{name}: the control \u201c{control.name}\u201d failed; read the numbers there as unconfirmed."
            elif control.passed is None:
                yield f"{name}: the control \u201c{control.name}\u201d was not run: {control.observed}"


def _not_applicable(sections: Sequence[ReportSection]) -> Iterator[str]:
    for place, part in enumerate(sections):
        count = len(part.section.not_applicable) if part.section else 0
        if count:
            yield f"{_named(place, part)} left out {_counted(count, 'subject')}; each is listed there with its reason."


def _named(place: int, part: ReportSection) -> str:
    """An analysis with the number the page gives it: one kind may have been asked for twice."""
    return f"\u201c{part.title}\u201d (analysis {place + 1})"


def _warned(manifest: ModelManifest | None) -> Iterator[str]:
    for warning in () if manifest is None else manifest.warnings:
        advice = f" {warning.advice}" if warning.advice else ""
        yield f"Inspection of the model warned ({warning.code}): {warning.detail}.{advice}"


def _layers(manifest: ModelManifest | None) -> Iterator[str]:
    if manifest is None:
        yield "The model was not read: nothing is said of its layers."
        return
    states = Counter(layer.auditable for layer in manifest.layers)
    for state, meaning in NOT_AUDITABLE.items():
        if count := states[state]:  # type: ignore[index]  # the keys are the literals of Auditable, but one
            share = f"{display(count, 3, count=True)} of {display(len(manifest.layers), 3, count=True)}"
            yield f"Layers that {meaning}: {share}. No analysis by layer covers them."


def _not_requested(sections: Sequence[ReportSection], kinds: Mapping[str, str]) -> Iterator[str]:
    asked = {part.kind for part in sections}
    for kind, title in sorted(kinds.items()):
        if kind not in asked:
            yield f"Not requested: \u201c{title}\u201d ({kind})."


def _data(inputs: Sequence[ReportedInput]) -> Iterator[str]:
    names = sorted({part.name for part in inputs})
    if len(names) == 1:
        yield f"Everything was measured on one dataset, \u201c{names[0]}\u201d; other data may behave otherwise."
    elif names:
        yield "Everything was measured on the datasets named in this report; other data may behave otherwise."
    else:
        yield "No dataset was used."


def _counted(count: int, noun: str) -> str:
    return f"{display(count, 3, count=True)} {noun}{'' if count == 1 else 's'}"
