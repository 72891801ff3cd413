"""What does one kind of attribution add to what all share? Its method, its paper, and what must hold of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from workers.attribution.outcome import Places
from workers.attribution.parameters import AttributionParameters
from workers.pictures.colours import RAISES
from workers.subject.subject import Subject
from workers.sweep.method import Method
from workers.sweep.ready import Prepared

A = TypeVar("A", bound=AttributionParameters)

Make = Callable[[A, Prepared, Subject], Method]
"""The method that parameters ask for. Raises AnalysisError where they do not fit the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution(Generic[A]):
    """noun: what is attributed, in the singular. unit: of the attributions, from that of the target.

    multiplied: attributions hold the factor x - x', so that an input equal to its baseline gets nothing.
    draws: the method draws random numbers. severed: what the target does not depend on gets nothing.
    limits: what it does not show, beside what no attribution shows.
    forward: attributions are differences between forward passes, which round by what else is in their batch.
    slope: attributions say how the target responds to a small change, not what a part contributes.
    rounding: by how many times more than others the method amplifies rounding, where captum's numbers are compared.
    signs: what blue and orange mean where its attributions are drawn.
    formula: what is computed, and how, in Markdown. literature: of its page, with the place in each.
    """

    name: str
    version: int
    title: str
    question: str
    source: str
    noun: str
    places: Places
    parameters: type[A]
    method: Make[A]
    limits: tuple[str, ...]
    formula: str
    literature: str
    multiplied: bool
    draws: bool = False
    severed: bool = True
    forward: bool = False
    slope: bool = False
    rounding: float = 1.0
    unit: Callable[[str], str] = str
    signs: str = RAISES
