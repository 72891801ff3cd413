"""Which formats of examples are read? A new one is one module beside this file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.contracts.facts import DatasetFacts
from service.contracts.manifest import DatasetFormat
from workers.subject.data import columnar, delimited, images, jsonl, npy, npz, tensors
from workers.subject.data.found import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. read(source, facts): what the customer's file holds, read as data, or Refusal."""

    name: DatasetFormat
    read: Callable[[Path, DatasetFacts], Found]


FORMATS: dict[DatasetFormat, Format] = {
    each.name: each
    for each in (
        Format(name="npz", read=npz.read),
        Format(name="npy", read=npy.read),
        Format(name="safetensors", read=tensors.read),
        Format(name="csv", read=delimited.read),
        Format(name="jsonl", read=jsonl.read),
        Format(name="parquet", read=columnar.read),
        Format(name="images", read=images.read),
    )
}
