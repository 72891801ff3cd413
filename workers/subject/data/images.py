"""How does a zip of images become examples? Read member by member in the order of names, nothing unpacked to disk.

Labels come from labels.csv (file, label) where the zip has one, else from the first folder of each name.
"""

import csv
import io
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath

import numpy as np

from service.contracts.facts import Column, DatasetFacts
from workers.subject.archive import Archive, opened
from workers.subject.data.cells import Faults, label_codes
from workers.subject.data.delimited import decoded_lines
from workers.subject.data.found import Array, Found, room_for, too_many
from workers.subject.data.limits import CELL_CHARACTERS, IMAGE_BYTES, IMAGE_LABELS_BYTES, IMAGES
from workers.subject.data.pixels import Pixels
from workers.subject.data.told import SUFFIXES, ZIP_CAPS
from workers.subject.refusal import Refusal, quoted

LABELS = "labels.csv"
_LABEL = Column(name="label", role="label")


def read(source: Path, facts: DatasetFacts) -> Found:
    """The images of the zip at `source`, and their labels. Raises Refusal."""
    if facts.input.kind not in ("image", "series", "table") or facts.further_inputs:
        raise Refusal(
            "not-images",
            f"the file is a zip of images; facts declare inputs of kind {facts.input.kind}"
            + (" and further inputs" if facts.further_inputs else ""),
            "Declare inputs of kind image, or send arrays: numpy.savez.",
        )
    pixels = Pixels.declared(facts)
    with opened(source, ZIP_CAPS, "a zip of images") as archive:
        names, unread = _members(archive)
        room_for(len(names), prod(facts.input.shape))
        labels, notes = _labels(archive, names, facts)
        inputs = np.empty((len(names), *facts.input.shape), dtype=np.float32)
        for at, name in enumerate(names):
            inputs[at] = pixels.read(archive.read(name, IMAGE_BYTES), name)
    if unread:
        notes = (*notes, f"not read: {', '.join(quoted(name) for name in unread[:20])[:1000]}")
    return Found(
        inputs=inputs,
        name="images",
        place=lambda index, value: f"image {quoted(names[index[0]])}: value {value} at {list(index[1:])}",
        labels=labels,
        labels_name=LABELS if LABELS in archive.sizes else "folders",
        notes=(*pixels.notes(), *notes),
    )


def _members(archive: Archive) -> tuple[list[str], list[str]]:
    """The images in the order of their names, and what else is there; what systems leave in folders is not told."""
    names, unread = [], []
    for name in sorted(archive.sizes):
        path = PurePosixPath(name)
        if name.endswith("/") or path.name.startswith(".") or "__MACOSX" in path.parts or path.name == "Thumbs.db":
            continue
        if path.suffix.lower() in SUFFIXES:
            names.append(name)
        elif name != LABELS:
            unread.append(name)
    if len(names) > IMAGES:
        raise too_many("images", len(names), IMAGES)
    if not names:
        raise Refusal("empty-dataset", "the zip holds no image", f"Send at least one of {', '.join(SUFFIXES)}.")
    return names, unread


def _labels(archive: Archive, names: list[str], facts: DatasetFacts) -> tuple[Array | None, tuple[str, ...]]:
    if facts.labels_array is None:
        return None, ()
    listed = LABELS in archive.sizes
    by_name = _listed(archive) if listed else _foldered(names, facts)
    distinct: dict[str, int] = {}
    for at, name in enumerate(names):
        if name not in by_name:
            raise Refusal(
                "missing-label",
                f"image {quoted(name)} has no line in {LABELS}",
                f"Give every image one line in {LABELS}: its path in the zip, and its label.",
            )
        distinct.setdefault(by_name[name], at)
    faults = Faults(lambda at: f"image {quoted(names[at])}", columns=False)
    codes, note = label_codes(distinct, _LABEL, facts.classes, faults)
    code = dict(zip(distinct, codes, strict=True))
    strange = len(by_name) - len(names) if listed else 0
    notes = (f"{strange:,} lines of {LABELS} name no image",) if strange > 0 else ()
    return np.array([code[by_name[name]] for name in names], dtype=np.int64), (*notes, *([note] if note else []))


def _foldered(names: list[str], facts: DatasetFacts) -> Mapping[str, str]:
    """The first folder of each name, past one that holds everything and is no class itself."""
    parts = {name: PurePosixPath(name).parts for name in names}
    tops = {each[0] for each in parts.values()}
    skip = int(len(tops) == 1 and not tops & set(facts.classes) and all(len(each) > 2 for each in parts.values()))
    loose = next((name for name, each in parts.items() if len(each) < 2 + skip), None)
    if loose is not None:
        raise Refusal(
            "missing-label",
            f"image {quoted(loose)} lies in no folder, and the zip has no {LABELS}",
            f"Put images into folders named after their classes, add {LABELS} with the columns file and label, or"
            " register the dataset with labels_array null.",
        )
    return {name: each[skip] for name, each in parts.items()}


def _listed(archive: Archive) -> Mapping[str, str]:
    """labels.csv: file to label."""
    csv.field_size_limit(CELL_CHARACTERS)
    lines = decoded_lines(io.BytesIO(archive.read(LABELS, IMAGE_LABELS_BYTES)))
    records = csv.reader(lines, strict=True)
    found: dict[str, str] = {}
    try:
        header = next(records, [])
        if sorted(header) != ["file", "label"]:
            raise _bad(1, f"its columns are {', '.join(quoted(name, 30) for name in header[:5])}, not file and label")
        for record in records:
            if not record:
                continue
            if len(record) != 2:
                raise _bad(records.line_num, f"it has {len(record):,} cells")
            file, label = record[header.index("file")], record[header.index("label")]
            if file in found:
                raise _bad(records.line_num, f"{quoted(file)} is named twice")
            found[file] = label
    except csv.Error as error:
        raise _bad(records.line_num, str(error)) from error
    return found


def _bad(line: int, why: str) -> Refusal:
    return Refusal(
        "bad-labels",
        f"{LABELS}, line {line:,}: {why}",
        "Write two columns, separated by a comma: file (the path in the zip) and label (a class name or its number).",
    )
