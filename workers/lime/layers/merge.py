"""What do the surrogates of all layers and examples say together?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from service.contracts.outcome import NotApplicable
from workers.kind import Computed, Partial
from workers.lime.layers.agreement import visible_from
from workers.lime.layers.case import Case
from workers.lime.layers.findings import findings
from workers.lime.layers.outcome import AtLayer, Depth, Layer, LayersOutcome, Visible
from workers.lime.layers.parameters import LayersParameters
from workers.lime.layers.pictures import pictures
from workers.lime.layers.reading import DIRECTION
from workers.lime.outcome import Average, Example
from workers.numerics.intervals import mean_t
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_STILL = "nothing changes"


def merge(subject: Subject, parameters: LayersParameters, partials: Sequence[Partial]) -> Computed[LayersOutcome]:
    """Examples in their order; where the decision is visible; the layers over all examples; the pictures."""
    case = Case.of(subject, parameters)
    arrays = {name: each for partial in partials for name, each in partial.arrays.items()}
    missing = [NotApplicable.model_validate(each) for each in _listed(partials, "missing")]
    rows = partials[0].values["rows"]
    assert isinstance(rows, int)
    outcome = LayersOutcome(
        noun=case.around.noun, absent=case.around.absent, settings=parameters.settings(rows).as_json(),
        target=parameters.target, readings=parameters.readings, scale=parameters.scale, unit=case.unit,
        precision=parameters.precision, top=parameters.top, examples=len(case),
        available=len(subject.examples[ROLE].inputs),
        layers=tuple(
            Layer(key=tap.key, kind=tap.kind[:128], cut=tap.cut, container=tap.container) for tap in case.layers.taps
        ),
        explained=tuple(Example.model_validate(each) for each in _listed(partials, "explained")),
        at=tuple(AtLayer.model_validate(each) for each in _listed(partials, "at")),
        visible=(), depths=(), pictures=(), not_applicable=(*case.layers.others, *missing),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"visible": tuple(_visible(outcome)), "depths": tuple(_depths(outcome))})
    drawn = pictures(case, outcome, arrays)
    outcome = outcome.model_copy(update={"pictures": tuple(shown for shown, _ in drawn)})
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    return Computed(outcome=outcome, arrays=arrays, pictures={shown.artifact: png for shown, png in drawn})


def _listed(partials: Sequence[Partial], name: str) -> list[JsonValue]:
    found: list[JsonValue] = []
    for partial in partials:
        values = partial.values[name]
        assert isinstance(values, list)
        found += values
    return found


def _visible(outcome: LayersOutcome) -> Iterator[Visible]:
    """Of the direction, which alone ends in the decision: the output's norm is that of all its numbers."""
    cuts = [layer.key for layer in outcome.layers if layer.cut]
    if DIRECTION in outcome.readings:
        for example in outcome.explained:
            yield _of_example(outcome, example, cuts)


def _of_example(outcome: LayersOutcome, example: Example, cuts: Sequence[str]) -> Visible:
    found = {each.key: each for each in outcome.read_at(example.index, DIRECTION) if each.key in cuts}
    known = [key for key in cuts if key in found]
    at, because = visible_from([found[key].agrees for key in known]), ""
    if not known:
        because = "no layer that is read is one through which everything passes"
    elif not example.explanations[0].legible:
        because = f"the output's own surrogate may not be read: {example.explanations[0].verdict}"
    elif at is None:
        because = f"the last of them, {known[-1]}, does not agree with the output"
    key = known[at] if at is not None and not because else None
    return Visible(
        index=example.index, key=key,
        depth=None if key is None else (1 + cuts.index(key)) / len(cuts), because=because[:4000],
    )  # fmt: skip


def _depths(outcome: LayersOutcome) -> Iterator[Depth]:
    for layer in outcome.layers:
        of = [each for each in outcome.at if each.key == layer.key]
        for reading in dict.fromkeys(each.reading for each in of):
            found = [each for each in of if each.reading == reading]
            legible = [
                each
                for each in found
                if outcome.of(each).legible and outcome.example(each.index).explanations[0].legible
            ]
            yield Depth(
                key=layer.key, reading=reading, cut=layer.cut,
                legible=sum(outcome.of(each).legible for each in found),
                held_out=_mean([outcome.of(each).held_out for each in found if outcome.of(each).verdict != _STILL]),
                shared=_share([each.shared for each in legible]), ranks=_mean([each.ranks for each in legible]),
            )  # fmt: skip


def _mean(values: Sequence[float | None]) -> Average | None:
    known = [each for each in values if each is not None]
    return Average.of(mean_t(known)) if known else None


def _share(values: Sequence[float]) -> Average | None:
    """The same of shares, whose bounds are shares."""
    mean = _mean(values)
    if mean is None or mean.low is None or mean.high is None:
        return mean
    return mean.model_copy(update={"low": max(0.0, mean.low), "high": min(1.0, mean.high)})
