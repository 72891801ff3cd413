"""Which examples stand in two datasets, or twice in one? Told exactly, by the digest of each example's raw content."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from workers.subject.data.canonical import CONTENT_BYTES
from workers.subject.data.found import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Examples equal to an earlier one. places: (its index, index of the first that it equals), the first few."""

    count: int
    places: tuple[tuple[int, int], ...]


def repeated(content: Array, places: int = 5) -> Repeated:
    """How many examples repeat an earlier one, labels aside. content: uint8 (N, 16), see canonical.py."""
    first: dict[bytes, int] = {}
    count, shown = 0, list[tuple[int, int]]()
    for at, digest in enumerate(_rows(content)):
        before = first.setdefault(digest, at)
        if before != at:
            count += 1
            if len(shown) < places:
                shown.append((at, before))
    return Repeated(count=count, places=tuple(shown))


def shared(examples: Tensor, others: Tensor) -> int:
    """How many of `examples` also stand among `others`; both digests of content, uint8 (N, 16)."""
    known = set(_rows(others.cpu().numpy()))
    return sum(digest in known for digest in _rows(examples.cpu().numpy()))


def _rows(content: Array) -> Iterator[bytes]:
    whole = content.tobytes()
    return (whole[at : at + CONTENT_BYTES] for at in range(0, len(whole), CONTENT_BYTES))
