"""How is a dataset kept? One safetensors file whose bytes depend on the examples alone, with a digest of each.

Tensors: `inputs` (N, ...) float32, or int64 for token ids; or `text` uint8, all texts after another as UTF-8, with
`text_offsets` int64 (N + 1,); `labels` int64 (N,); `further.0`, `further.1`, ... as `inputs`; `content` uint8 (N, 16).
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from workers.subject.data.found import Array
from workers.subject.subject import Examples
from workers.tensorfile import save

_BLOCK = 1 << 8
"""Examples copied at a time while their digests are made."""
CONTENT_BYTES = 16
"""Of a digest of one example: two unequal ones of 10 million agree by chance once in 10^24 datasets."""
_SIGNED = b"lamina.content/1"


def write(
    target: Path, *, inputs: Array, texts: Sequence[str] | None, labels: Array | None, further: Sequence[Array]
) -> Array:
    """Writes the canonical form; equal examples give equal bytes. Returns the digests, uint8 of shape (N, 16)."""
    tensors: dict[str, Array] = {}
    if texts is None:
        tensors["inputs"] = inputs
        content = content_of((inputs, *further))
    else:
        encoded = [text.encode("utf-8") for text in texts]
        tensors["text"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        tensors["text_offsets"] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        content = _digests(encoded)
    if labels is not None:
        tensors["labels"] = labels
    tensors |= {f"further.{at}": array for at, array in enumerate(further)}
    tensors["content"] = content
    save(tensors, target)
    return content


def content_of(arrays: Sequence[Array]) -> Array:
    """A digest of each example: of its numbers in all `arrays` (N, ...), in order; -0.0 counts as 0.0."""
    return _digests(row for start in range(0, len(arrays[0]), _BLOCK) for row in _rows(arrays, start))


def _rows(arrays: Sequence[Array], start: int) -> Iterator[bytes]:
    """The bytes of the examples of one block: a copy of all of them at once would double what is held."""
    parts = []
    for array in arrays:
        block = np.ascontiguousarray(array[start : start + _BLOCK]).reshape(len(array[start : start + _BLOCK]), -1)
        parts.append(block + block.dtype.type(0) if block.dtype.kind == "f" else block)
    return (b"".join(part[at].tobytes() for part in parts) for at in range(len(parts[0])))


def _digests(contents: Any) -> Array:
    digests = [hashlib.blake2b(each, digest_size=CONTENT_BYTES, person=_SIGNED).digest() for each in contents]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, CONTENT_BYTES)


def read(canonical: Path, *, name: str, digest: str) -> Examples:
    """The examples of a file that `write` wrote: inputs raw; texts, if any, not yet tokens (inputs of shape (N, 0))."""
    tensors = safetensors.torch.load_file(canonical)
    texts, inputs = None, tensors.get("inputs")
    if inputs is None:
        texts = _texts(tensors["text"], tensors["text_offsets"])
        inputs = torch.zeros((len(texts), 0), dtype=torch.int64)
    further = [tensors[f"further.{at}"] for at in range(sum(name.startswith("further.") for name in tensors))]
    return Examples(
        name=name,
        digest=digest,
        inputs=inputs,
        labels=tensors.get("labels"),
        further=tuple(further),
        texts=texts,
        content=tensors.get("content"),
    )


def _texts(content: torch.Tensor, offsets: torch.Tensor) -> tuple[str, ...]:
    whole, places = content.numpy().tobytes(), offsets.tolist()
    return tuple(whole[start:end].decode("utf-8") for start, end in pairwise(places))
