"""Which examples stand in two datasets, or twice in one? Told exactly, by the digest of each example's raw content."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from service.contracts.outcome import Finding
from service.contracts.provenance import Overlap
from workers.subject.data.canonical import CONTENT_BYTES
from workers.subject.data.found import Array
from workers.subject.subject import Examples

_FIRST, _TRAINING = "evaluation", "training"
_MOST_PAIRS = 64


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


def overlaps(examples: Mapping[str, Examples]) -> tuple[Overlap, ...]:
    """Of each pair of roles, how many examples of the first stand in the second; evaluation first, then by name."""
    contents = {role: each.content for role, each in examples.items() if each.content is not None}
    roles = sorted(contents, key=lambda role: (role != _FIRST, role))
    return tuple(
        Overlap(role=role, other=other, shared=shared(contents[role], contents[other]), examples=len(contents[role]))
        for role, other in list(combinations(roles, 2))[:_MOST_PAIRS]
    )


def shared_examples(found: tuple[Overlap, ...]) -> tuple[Finding, ...]:
    """A finding for each pair of roles that share examples."""
    return tuple(_finding(each) for each in found if each.shared)


def _finding(overlap: Overlap) -> Finding:
    leaked = {overlap.role, overlap.other} == {_FIRST, _TRAINING}
    return Finding(
        code="shared-examples",
        severity="warning" if leaked else "note",
        raised_if="an example of one role has the same raw inputs, to the last bit, as one of another role",
        meaning=(
            "The network has been trained on examples that it is evaluated on: what is measured on them says nothing of"
            " new ones, and numbers over all examples are too good."
            if leaked
            else f"Examples in the role {overlap.role} are compared with themselves in the role {overlap.other}."
        ),
        advice=(
            "Remove the shared examples from the evaluation dataset, register it again and repeat the audit."
            if leaked
            else "Name datasets that share no example, unless that is meant."
        ),
        evidence=f"{overlap.role} and {overlap.other} share {overlap.shared} of {overlap.examples} examples",
    )


def _rows(content: Array) -> Iterator[bytes]:
    whole = content.tobytes()
    return (whole[at : at + CONTENT_BYTES] for at in range(0, len(whole), CONTENT_BYTES))
