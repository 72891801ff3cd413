"""Has anything in the log been changed? Every event is joined to all before it, so a change shows where it was made.

An event's entry is the RFC 8785 text of all that it says. Its leaf is SHA-256(0x00 || entry), as RFC 9162 hashes the
leaves of a Merkle tree; the chain goes on with SHA-256(chain hash before || leaf). Each tenant has a chain of its own.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Integer, Value, canonical_json

START = "sha256:" + hashlib.sha256(b"lamina log").hexdigest()
"""What the first event of a log is joined to."""


class Entry(Value):
    """An event as it is hashed: who did what to which thing, when; `at` in microseconds since 1970, UTC."""

    id: Integer
    tenant: str
    by: str
    at: Integer
    subject_type: str
    subject_id: str
    action: str
    before: str | None
    after: str | None
    detail: dict[str, JsonValue]

    def written(self) -> bytes:
        """The bytes that are hashed."""
        return canonical_json(self.model_dump(mode="json"))

    def leaf(self) -> str:
        """The leaf of this entry in the tree."""
        return leaf_of(self.written())


class Link(Value):
    """An entry in its place: its number from 0, its leaf, and the chain's hash with it."""

    number: Annotated[int, Field(ge=0), WHOLE]
    entry: Entry
    leaf: str
    chain_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place where the log is not what it was. `number`: of the event; `event`: its id, where there is one."""

    number: int
    event: int | None
    said: str


def leaf_of(entry: bytes) -> str:
    """SHA-256(0x00 || entry)."""
    return "sha256:" + hashlib.sha256(b"\0" + entry).hexdigest()


def joined(before: str, leaf: str) -> str:
    """The chain's hash once `leaf` is joined to it. Raises ValueError for what is no hash."""
    return "sha256:" + hashlib.sha256(raw(before) + raw(leaf)).hexdigest()


def raw(digest: str) -> bytes:
    """The 32 bytes of a `sha256:` text. Raises ValueError."""
    name, _, text = digest.partition(":")
    found = bytes.fromhex(text) if name == "sha256" else b""
    if len(found) != 32:
        raise ValueError(f"{digest[:80]!r} is no SHA-256 digest")
    return found


def breaks(links: Iterable[Link], *, start: str = START, first: int = 0) -> Iterator[Break]:
    """Every place where the chain does not hold, in order; links come ordered by their number.

    After a break the chain is followed on from what is stored, so that one change is told once.
    """
    chain_hash, expected = start, first
    for link in links:
        yield from _numbering(link, expected)
        if link.entry.leaf() != link.leaf:
            yield Break(
                number=link.number,
                event=link.entry.id,
                said="what the event says is not what was sealed: it was changed afterwards",
            )
        if _joins(chain_hash, link.leaf) != link.chain_hash:
            yield Break(
                number=link.number,
                event=link.entry.id,
                said="the event does not join the one before it: one of their hashes was changed",
            )
        chain_hash, expected = link.chain_hash, link.number + 1


def heads_broken(hashes: Mapping[int, str], heads: Iterable[tuple[int, str]]) -> Iterator[Break]:
    """Signed heads (size, chain hash) that the chain does not lead to; `hashes`: size -> the chain's hash then."""
    for size, chain_hash in heads:
        found = START if size == 0 else hashes.get(size)
        if found is None:
            yield Break(
                number=size, event=None, said=f"a signed head speaks of {size} events, and the log has no such place"
            )
        elif found != chain_hash:
            yield Break(
                number=size,
                event=None,
                said=f"the chain does not lead to the signed head at {size} events: the log was rewritten before it",
            )


def entry_of(row: Mapping[str, Any]) -> Entry:
    """An entry from plain values with the names of Entry."""
    return Entry.model_validate(dict(row))


def _numbering(link: Link, expected: int) -> Iterator[Break]:
    if link.number > expected:
        gone = f"event {expected} is" if link.number == expected + 1 else f"events {expected} to {link.number - 1} are"
        yield Break(number=expected, event=None, said=f"{gone} missing")
    elif link.number < expected:
        yield Break(number=link.number, event=link.entry.id, said=f"number {link.number} is taken twice")


def _joins(before: str, leaf: str) -> str | None:
    try:
        return joined(before, leaf)
    except ValueError:
        return None
