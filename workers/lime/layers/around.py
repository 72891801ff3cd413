"""What surrounds an example, whichever kind of input the network reads?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.kind import AnalysisError
from workers.lime.layers.parameters import LayersParameters
from workers.lime.spec import Around
from workers.neighbourhoods.image import image
from workers.neighbourhoods.series import series
from workers.neighbourhoods.table import table
from workers.neighbourhoods.table_background import TableBackground
from workers.neighbourhoods.text import text
from workers.passes.predicting import Predicting
from workers.subject.subject import Subject


@dataclass(frozen=True, slots=True)
class Surroundings:
    """noun: a feature, in the singular. absent: what stands for one that is absent. at: an example's neighbourhood."""

    noun: str
    absent: str
    at: Around


def surroundings(subject: Subject, predicting: Predicting, parameters: LayersParameters) -> Surroundings:
    """By the first input that has features of its own kind. Raises AnalysisError where none has."""
    for facts in subject.declared:
        if facts.kind in _BY_KIND:
            return _BY_KIND[facts.kind](predicting, parameters)
    reads = ", ".join(sorted({facts.kind for facts in subject.declared}))
    raise AnalysisError(
        "not-applicable",
        f"this model reads {reads}, and samples are made of {', '.join(sorted(_BY_KIND))}",
        remedy="There is no LIME for it.",
    )


def _image(case: Predicting, parameters: LayersParameters) -> Surroundings:
    settings = parameters.image
    return Surroundings("segment", "what fills a hidden segment", lambda index: image(case, index, settings))


def _series(case: Predicting, parameters: LayersParameters) -> Surroundings:
    settings = parameters.series
    return Surroundings("segment", "what fills a hidden segment", lambda index: series(case, index, settings))


def _table(case: Predicting, parameters: LayersParameters) -> Surroundings:
    settings = parameters.table
    background = TableBackground.of(case, settings)
    return Surroundings(
        "column", "a value drawn from the background", lambda index: table(case, index, settings, background)
    )


def _text(case: Predicting, parameters: LayersParameters) -> Surroundings:
    settings = parameters.text
    return Surroundings("unit", "nothing, or the mask,", lambda index: text(case, index, settings))


_BY_KIND: dict[str, Callable[[Predicting, LayersParameters], Surroundings]] = {
    "image": _image, "table": _table, "series": _series, "text": _text, "tokens": _text,
}  # fmt: skip
