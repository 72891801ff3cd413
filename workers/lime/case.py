"""What is one LIME analysis, made ready: the network, its examples, and what surrounds each of them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from torch import nn

from workers.kind import AnalysisError
from workers.lime.parameters import LimeParameters
from workers.lime.rows import Rows, rows
from workers.lime.spec import Around, Lime
from workers.numerics.determinism import seed_for
from workers.passes.predicting import Asking, Predicting
from workers.subject.subject import Subject
from workers.surrogate.neighbourhood import Neighbourhood

Kind = Lime[Any]
Scale = Literal["output", "probability"]

KINDS_BY_INPUT = {
    "image": "lime_image", "table": "lime_tabular", "text": "lime_text", "tokens": "lime_text", "series": "lime_series",
}  # fmt: skip
MOST_FEATURES = 1024
"""A surrogate of more is neither stable nor quick: its matrices grow with the square, and samples with the number."""

_OF_TOKENS = ("next_token", "seq2seq")
_HELD = 8
"""Neighbourhoods of so many first examples are kept: they are asked about by applies, plan, compute, pictures and
controls."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A subject, what is asked of it, and where its samples come from."""

    kind: Kind
    subject: Subject
    parameters: LimeParameters
    predicting: Predicting
    scale: Scale
    around: Around
    held: dict[int, Neighbourhood] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: Kind, subject: Subject, parameters: LimeParameters) -> Case:
        """Made once for each question. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        key = (kind.name, parameters, told_apart(subject))
        if key not in known:
            known[key] = cls._made(kind, subject, parameters)
        return known[key]

    @classmethod
    def _made(cls, kind: Kind, subject: Subject, parameters: LimeParameters) -> Case:
        refuse_other_inputs(subject, kind.inputs)
        predicting, scale = asked(subject, parameters)
        return cls(kind, subject, parameters, predicting, scale, kind.around(predicting, parameters))

    def __len__(self) -> int:
        """How many examples."""
        return len(self.predicting)

    def at(self, index: int) -> Neighbourhood:
        """The neighbourhood of an example. Raises AnalysisError where it has none, or the network fails at it."""
        if index in self.held:
            return self.held[index]
        if index in self.predicting.lost:
            raise AnalysisError(
                "network",
                f"the network fails at example {index} itself: {self.predicting.lost[index]}",
                remedy="Leave that example out.",
            )
        made = self.around(index)
        if len(made.names) > MOST_FEATURES:
            raise AnalysisError(
                "features",
                f"example {index} has {len(made.names)} {self.kind.nouns}; a surrogate reads at most {MOST_FEATURES}",
                remedy="Ask for larger ones, or for several together.",
            )
        if index < _HELD:
            self.held[index] = made
        return made

    def rows(self, memory_bytes: int) -> Rows:
        """How its samples run."""
        return rows(self.predicting, memory_bytes, self.parameters.rows)

    @property
    def unit(self) -> str:
        """Of predictions and coefficients."""
        return "probability" if self.scale == "probability" else self.subject.facts.output.unit

    def class_name(self, target: int, index: int) -> str | None:
        """Whose number target number `target` reads at an example; None where it reads no single class."""
        found = self.predicting.targets[target]
        if found.scale not in ("logit", "probability") or found.places or found.index is None:
            return None
        row = found.of(index, index + 1).index
        assert row is not None
        number, names = int(row[0, found.axis - 1]), self.subject.facts.output.classes
        if number < len(names):
            return names[number][:128]
        return f"id {number}" if self.subject.facts.task in _OF_TOKENS else f"number {number}"


Data = tuple[tuple[str, str, int], ...]
_READY: WeakKeyDictionary[nn.Module, dict[tuple[str, LimeParameters, Data], Case]] = WeakKeyDictionary()


def told_apart(subject: Subject) -> Data:
    """The data by role: other data are another question, also where somebody gives them an old digest."""
    return tuple((role, data.digest, id(data.inputs)) for role, data in sorted(subject.examples.items()))


_LOOKED_AT = 8


def most_features(at: Callable[[int], Neighbourhood], texts: Sequence[str] | None, examples: int, default: int) -> int:
    """The most features of an example, among the first and the longest texts, which have the most words."""
    first = range(min(examples, _LOOKED_AT))
    longest = sorted(range(examples), key=lambda index: -len(texts[index]))[:_LOOKED_AT] if texts else ()
    found = []
    for index in {*first, *longest}:
        with suppress(AnalysisError):
            found.append(len(at(index).names))
    return max(found, default=default)


def stream_seed(digest: str, index: int) -> int:
    """The seed of an example's samples, as numpy's RandomState takes it."""
    return seed_for(digest, index) % 2**32


def refuse_other_inputs(subject: Subject, inputs: tuple[str, ...]) -> None:
    """Raises AnalysisError where the model reads no such input."""
    if any(facts.kind in inputs for facts in subject.declared):
        return
    reads = subject.facts.input.kind
    other = KINDS_BY_INPUT.get(reads)
    raise AnalysisError(
        "not-applicable",
        f"this model reads input of kind {reads}, and this is LIME for {' and '.join(inputs)}",
        remedy=f"Ask for {other}." if other else "There is no LIME for it.",
    )


def asked(subject: Subject, parameters: LimeParameters) -> tuple[Predicting, Scale]:
    """The network with its targets; on the scale "auto" a probability wherever all targets have one."""

    def on(scale: Scale) -> Predicting:
        asking = Asking(
            targets=parameters.targets, scale=scale, examples=parameters.examples, precision=parameters.precision
        )
        return Predicting.of(subject, asking)

    if parameters.scale != "auto":
        return on(parameters.scale), parameters.scale
    try:
        return on("probability"), "probability"
    except AnalysisError:  # there is none, or the target itself is wrong, which the output says as well
        return on("output"), "output"
