"""Files of examples for the tests, and how they are taken in."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from service.contracts.facts import DatasetFacts
from service.contracts.manifest import DatasetManifest
from workers.subject.data.arrow import pa, parquet
from workers.subject.data.dataset import read_dataset, rewrite_dataset
from workers.subject.refusal import Refusal
from workers.subject.subject import Examples

Taken = Callable[..., tuple[DatasetManifest, Examples]]
Refused = Callable[..., Refusal]


def table_facts(features: int = 2, low: float = -10.0, high: float = 10.0, **changes: Any) -> DatasetFacts:
    """A table of `features` numbers with the classes cat and dog."""
    given = {"kind": "table", "layout": "NF", "shape": [features], "bounds": {"low": [low], "high": [high]}}
    return DatasetFacts.model_validate({"input": given, "classes": ["cat", "dog"], **changes})


def text_facts(**changes: Any) -> DatasetFacts:
    """Texts of at most eight tokens with the classes cat and dog; the columns text and label."""
    given = {"kind": "text", "layout": "NT", "shape": [8], "bounds": {"low": [0], "high": [99]}, "unit": "token"}
    columns = [{"name": "text", "role": "text"}, {"name": "label", "role": "label"}]
    return DatasetFacts.model_validate({"input": given, "classes": ["cat", "dog"], "columns": columns, **changes})


def image_facts(shape: tuple[int, ...] = (3, 2, 2), layout: str = "NCHW", **changes: Any) -> DatasetFacts:
    """Images in raw values 0 to 255 with the classes cat and dog."""
    given = {"kind": "image", "layout": layout, "shape": list(shape), "bounds": {"low": [0], "high": [255]}}
    return DatasetFacts.model_validate({"input": given, "classes": ["cat", "dog"], **changes})


def taken(folder: Path, content: bytes | str, facts: DatasetFacts | None = None) -> tuple[DatasetManifest, Examples]:
    """What intake makes of a file."""
    (folder / "source").write_bytes(content if isinstance(content, bytes) else content.encode())
    target = folder / f"canonical-{len(list(folder.iterdir()))}"  # tensors are mapped from it: never the same one twice
    manifest = rewrite_dataset(folder / "source", target, facts or table_facts())
    return manifest, read_dataset(target, name="d", digest=manifest.canonical_digest)


def npz(**arrays: Any) -> bytes:
    """A NumPy archive."""
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def parquet_of(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet file of these columns."""
    target = io.BytesIO()
    parquet.write_table(pa.table(columns), target, **options)
    return target.getvalue()


def image(pixels: Any, form: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """An image of these 8-bit values, (H, W) or (H, W, channels)."""
    array = np.asarray(pixels, dtype=np.uint8)
    made = PIL.Image.fromarray(array)
    target = io.BytesIO()
    (made.convert(mode) if mode else made).save(target, form, **options)
    return target.getvalue()


def zipped(members: dict[str, bytes | str]) -> bytes:
    """A zip of these members, stored."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()
