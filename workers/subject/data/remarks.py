"""What must a reader of numbers know of these examples? Repetitions, constant features, imbalance, bounds."""

from collections.abc import Iterator, Sequence

import numpy as np

from service.contracts.facts import DatasetFacts
from service.contracts.manifest import Notice
from workers.subject.data.found import Array
from workers.subject.data.overlap import Repeated
from workers.subject.data.values import Range
from workers.subject.refusal import quoted

RATIO = 10
"""Classes this many times rarer than the most frequent one, bounds this many times wider than the data, are told."""
_SHOWN = 8


def remarks(
    facts: DatasetFacts,
    found: Range | None,
    repeated: Repeated,
    labels: Array | None,
    features: Sequence[str],
    examples: int,
) -> tuple[Notice, ...]:
    """The warnings of a dataset's manifest. found: None where the examples are texts."""
    if examples < 2:
        return ()
    return (
        *_repeated(repeated),
        *(() if found is None else (*_constant(facts, found, features), *_bounds(facts, found))),
        *(() if labels is None else _labels(facts, labels)),
    )


def _repeated(repeated: Repeated) -> Iterator[Notice]:
    if repeated.count:
        places = ", ".join(f"example {at} repeats {first}" for at, first in repeated.places)
        yield Notice(
            code="duplicate-examples",
            detail=f"{repeated.count:,} examples repeat an earlier one exactly, labels aside: {places}"
            + (", ..." if repeated.count > len(repeated.places) else ""),
            advice="Remove them unless they are meant: repeated examples count twice in every mean and interval.",
        )


def _constant(facts: DatasetFacts, found: Range, features: Sequence[str]) -> Iterator[Notice]:
    if facts.input.kind != "table":
        return
    names = features or facts.input.feature_names or tuple(f"feature {at}" for at in range(found.low.size))
    constant = [names[at] for at in np.flatnonzero(found.low == found.high).tolist()]
    if constant:
        yield Notice(
            code="constant-features",
            detail=f"{len(constant):,} of {found.low.size:,} features have one value in all examples: "
            + ", ".join(quoted(name) for name in constant[:_SHOWN])
            + (", ..." if len(constant) > _SHOWN else ""),
            advice="Nothing can be learned here of what the network does with them; send examples in which they vary.",
        )


def _bounds(facts: DatasetFacts, found: Range) -> Iterator[Notice]:
    if facts.input.kind == "tokens":
        return
    bounds = facts.input.bounds
    low, high = np.asarray(bounds.low), np.asarray(bounds.high)
    width = np.broadcast_to(high - low, found.low.shape)
    wide = (found.high > found.low) & (width > RATIO * (found.high - found.low))
    if len(bounds.low) == 1:  # one pair for all: only all values together can be compared with it
        wide = np.array([float(high[0] - low[0]) > RATIO * (found.highest - found.lowest) > 0])
    if wide.any():
        yield Notice(
            code="bounds-wide",
            detail=f"the declared bounds are more than {RATIO} times as wide as the values found"
            f" ({found.lowest:g} to {found.highest:g})"
            + (f", in {int(wide.sum()):,} of {wide.size:,} channels or features" if wide.size > 1 else ""),
            advice="Check the unit and the bounds: perturbations and baselines are chosen within what is declared.",
        )


def _labels(facts: DatasetFacts, labels: Array) -> Iterator[Notice]:
    if not facts.classes:
        return
    counts = np.bincount(labels, minlength=len(facts.classes))
    there = np.flatnonzero(counts)
    absent = [facts.classes[at] for at in np.flatnonzero(counts == 0)]
    if len(there) == 1 and len(facts.classes) > 1:
        yield Notice(
            code="single-class",
            detail=f"every example has the label {quoted(facts.classes[there[0]])}",
            advice="Check which column or array holds the labels; compare classes on data that has more than one.",
        )
    elif absent:
        yield Notice(
            code="class-missing",
            detail=f"{len(absent):,} of {len(facts.classes):,} classes have no example: "
            + ", ".join(quoted(name) for name in absent[:_SHOWN])
            + (", ..." if len(absent) > _SHOWN else ""),
            advice="Nothing will be said of them; send examples of every class that the network is used for.",
        )
    most, least = int(counts.max()), int(counts[there].min())
    if most >= RATIO * least and len(there) > 1:
        often, rare = facts.classes[int(counts.argmax())], facts.classes[int(there[counts[there].argmin()])]
        yield Notice(
            code="classes-imbalanced",
            detail=f"{quoted(often)} has {most:,} examples, {quoted(rare)} has {least:,}",
            advice="Read numbers per class; a mean over all examples says little of the rare ones.",
        )
