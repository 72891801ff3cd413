"""What comes of a customer's file of examples? Its manifest and its canonical form, or a refusal; for any format.

Each format only says what it found (`found.py`); values are compared with the declared facts here, so that equal
numbers are the same dataset however they were stored.
"""

from pathlib import Path

import numpy as np

from service.contracts.facts import DatasetFacts
from service.contracts.manifest import DatasetManifest, TensorSpec
from workers.subject.data import canonical
from workers.subject.data.formats import FORMATS
from workers.subject.data.found import Array, Found, in_array
from workers.subject.data.overlap import repeated
from workers.subject.data.remarks import remarks
from workers.subject.data.told import told
from workers.subject.data.values import Range, as_inputs, check_labels, check_shape, check_values
from workers.subject.digest import digest_of_file

REWRITER = "lamina.data/1"

read_dataset = canonical.read


def rewrite_dataset(source: Path, target: Path, facts: DatasetFacts) -> DatasetManifest:
    """Reads the file at `source` as data; writes the canonical form, inputs in raw units, to `target`. Or Refusal."""
    form = FORMATS[told(source)]
    found = form.read(source, facts)
    span, inputs, notes = _inputs(found, facts)
    further = []
    for each in facts.further_inputs if found.texts is None else ():
        array = found.further[each.name]
        check_values(array, each.input, in_array(each.name))
        kept, rounded = as_inputs(array, each.input, each.name)
        further.append(kept)
        notes += rounded
    examples = len(inputs) if found.texts is None else len(found.texts)
    labels = None if found.labels is None else check_labels(found.labels, facts, found.labels_name, examples)
    content = canonical.write(target, inputs=inputs, texts=found.texts, labels=labels, further=further)
    return DatasetManifest(
        format=form.name,
        rewriter=REWRITER,
        canonical_digest=digest_of_file(target),
        examples=examples,
        inputs=_spec(found.name, found.inputs) if found.texts is None else _of_texts(found.name),
        labels=None if found.labels is None else _spec(found.labels_name, found.labels),
        label_counts=_counts(labels, facts),
        low=span.lowest,
        high=span.highest,
        further_inputs=tuple(_spec(name, array) for name, array in found.further.items()),
        notes=tuple(note[:4000] for note in (*notes, *found.notes)[:100]),
        warnings=remarks(
            facts, span if found.texts is None else None, repeated(content), labels, found.features, examples
        ),
    )


def _inputs(found: Found, facts: DatasetFacts) -> tuple[Range, Array, tuple[str, ...]]:
    """The range of the inputs and the inputs as they are kept; of texts, the range of their lengths in characters."""
    if found.texts is not None:
        lengths = np.array([[len(text)] for text in found.texts], dtype=np.float64)
        span = Range(low=lengths.min(axis=0), high=lengths.max(axis=0))
        note = f"texts have {int(span.lowest):,} to {int(span.highest):,} characters; low and high are these lengths"
        return span, found.inputs, (note,)
    check_shape(found.inputs.shape, facts.input, found.name)
    span = check_values(found.inputs, facts.input, found.place)
    inputs, notes = as_inputs(found.inputs, facts.input, found.name, decimal=found.decimal)
    return span, inputs, notes


def _counts(labels: Array | None, facts: DatasetFacts) -> tuple[int, ...]:
    if labels is None or not facts.classes:
        return ()
    return tuple(int(count) for count in np.bincount(labels, minlength=len(facts.classes)))


def _spec(name: str, array: Array) -> TensorSpec:
    shape = ("N", *(str(axis) for axis in array.shape[1:]))
    return TensorSpec(name=name[:256], dtype=array.dtype.name, shape=shape)


def _of_texts(name: str) -> TensorSpec:
    return TensorSpec(name=name[:256], dtype="text", shape=("N",))
