"""What does one kind of input add to LIME? What surrounds an example of it, and how an explanation of it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from workers.lime.outcome import Shown
from workers.lime.parameters import LimeParameters
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats, Neighbourhood

P = TypeVar("P", bound=LimeParameters)

Around = Callable[[int], Neighbourhood]
"""The neighbourhood of an example. Raises AnalysisError where it has none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawn:
    """One example, to be drawn, with the first of its targets.

    targets: what to call each. coefficients, errors: (targets, K), of the chosen features, 0 elsewhere; an error that
    is not known is 0. whole: (targets, K), of the surrogate on all features. unit: of all of them.
    """

    case: Predicting
    index: int
    neighbourhood: Any
    targets: tuple[str, ...]
    coefficients: Tensor
    errors: Tensor
    whole: Tensor
    unit: str


Pictures = Callable[[Sequence[Drawn]], tuple[tuple[Shown, bytes], ...]]
Meaning = Callable[[Any], tuple[str, ...] | None]
Shares = Callable[[Any, Tensor], Floats]


def _first(_: object) -> int:
    return 0


def _none(_: object) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lime(Generic[P]):
    """A kind of input.

    noun: a feature, in the singular. inputs: the kinds of input it reads. parameters: its class.
    around: for a case, what gives each example's neighbourhood; what all examples share is made once.
    meaning: for a neighbourhood, what each feature is in whichever example it occurs; None where features of one
    example are not those of another. position: the input that a neighbourhood changes. shares: for a neighbourhood and
    an attribution of that input of its example, one number for each element or token, the sum over each feature, (K,).
    notes: what of an example is in no feature, in sentences. pictures: of the first examples. arrays: what else of a
    neighbourhood is kept per example, by name. absent: what a feature that is not there is replaced by, in words.
    optional_roles: of datasets that it uses where they are given. formula: in Markdown. literature: of its page.
    """

    name: str
    version: int
    title: str
    question: str
    source: str
    noun: str
    inputs: tuple[str, ...]
    parameters: type[P]
    around: Callable[[Predicting, P], Around]
    absent: str
    limits: tuple[str, ...]
    formula: str
    literature: str
    meaning: Meaning
    shares: Shares
    position: Callable[[Any], int] = _first
    notes: Callable[[Any], tuple[str, ...]] = _none
    pictures: Pictures | None = None
    arrays: Callable[[Any], Mapping[str, Tensor]] | None = None
    optional_roles: tuple[str, ...] = ()

    @property
    def nouns(self) -> str:
        """In the plural."""
        return f"{self.noun}s"
