"""What has every format in common once it is read? Raw numbers or texts, labels, and words for where each stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.subject.data.limits import CANONICAL_BYTES, EXAMPLES
from workers.subject.refusal import Refusal, quoted

Array = NDArray[Any]
Place = Callable[[tuple[int, ...], object], str]
"""Where a value stands and what it is, as its owner would look it up: (index, value) -> words."""


def in_array(name: str) -> Place:
    """The words for a value of a named array."""
    return lambda index, value: f"array {quoted(name)}: value {value} at {list(index)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file's examples before they are compared with the declared facts.

    inputs: raw, shape (N, ...), of any real dtype; (N, 0) where there are texts. labels: codes of shape (N,).
    name: what the file calls the inputs; place: the words for one of their values.
    further: the arrays of the inputs after the first, by name. features: names of the features, where the file has any.
    decimal: numbers were written in decimal, so that rounding them to float32 is no loss worth a note.
    """

    inputs: Array
    name: str
    place: Place
    labels: Array | None = None
    labels_name: str = ""
    further: Mapping[str, Array] = field(default_factory=dict)
    texts: tuple[str, ...] | None = None
    features: tuple[str, ...] = ()
    decimal: bool = False
    notes: tuple[str, ...] = ()


NO_NUMBERS: Array = np.zeros((0, 0), dtype=np.float32)


def too_many(what: str, found: int, most: int, remedy: str = "Send a part of it.") -> Refusal:
    """The refusal of more than a cap allows."""
    return Refusal("too-large", f"the file has {found:,} {what}; at most {most:,} are read", remedy)


def room_for(examples: int, values: int) -> None:
    """Refuses what would not fit the canonical form, before memory for it is taken. values: numbers per example."""
    if examples > EXAMPLES:
        raise too_many("examples", examples, EXAMPLES)
    if examples * values * 4 > CANONICAL_BYTES:
        raise Refusal(
            "too-large",
            f"{examples:,} examples of {values:,} numbers take {examples * values * 4:,} bytes as float32;"
            f" at most {CANONICAL_BYTES:,} are kept",
            "Send a part of them.",
        )
