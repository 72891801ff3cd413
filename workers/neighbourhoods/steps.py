"""Which steps of a series are there, and which only fill it up to the length that the network reads?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.passes.positions import is_switch
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats

_LENGTHS = ("length", "lengths")
"""What an input is called that holds the number of steps of each example."""


@dataclass(frozen=True, slots=True)
class Span:
    """Steps start to stop, of one channel or, where that is None, of all."""

    start: int
    stop: int
    channel: int | None

    def said(self, channels: tuple[str, ...]) -> str:
        """channels: their names."""
        steps = f"step {self.start}" if self.stop == self.start + 1 else f"steps {self.start}\u2013{self.stop - 1}"
        return steps if self.channel is None else f"{channels[self.channel]}, {steps}"


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """real: (steps,), what is no padding. by: what says so. said: in words."""

    real: NDArray[np.bool_]
    by: Literal["mask", "length", "value", "none"]
    said: str

    @property
    def padded(self) -> int:
        """How many are padding."""
        return int((~self.real).sum())


def steps_of(case: Predicting, index: int, raw: Floats, padding: float | None) -> Steps:
    """Of example `index`, raw: (channels, steps).

    By the first further input that is a mask of as many steps; else by one of the name length with one number for each
    example; else by the raw value `padding`, which all channels hold from somewhere to the end.
    """
    count = raw.shape[1]
    for at, (facts, given) in enumerate(zip(case.subject.declared, case.x, strict=False)):
        if at and is_switch(facts) and given.shape[1:] == (count,):
            real = np.asarray(given[index].ne(0).cpu().numpy())
            return _told(real, "mask", f"the input {case.subject.facts.further_inputs[at - 1].name} is 0 there")
    for at, further in enumerate(case.subject.facts.further_inputs, 1):
        if further.name.lower() in _LENGTHS and case.raw[at][index].numel() == 1:
            real = np.arange(count) < float(case.raw[at][index])
            return _told(real, "length", f"the input {further.name} is {float(case.raw[at][index]):g}")
    if padding is None:
        return _told(np.ones(count, dtype=np.bool_), "none", "")
    other = (raw != padding).any(axis=0)
    last = int(np.flatnonzero(other)[-1]) + 1 if other.any() else 0
    return _told(np.arange(count) < last, "value", f"every channel holds {padding:g} from there to the end")


def _told(real: NDArray[np.bool_], by: Literal["mask", "length", "value", "none"], why: str) -> Steps:
    away = np.flatnonzero(~real)
    said = (
        f"{len(away)} of {len(real)} steps, the first of them step {away[0]}, are padding: {why}." if len(away) else ""
    )
    return Steps(real, by, said)
