"""Which ids does a network read where units of its text are taken away?

The tokens of what is left, closed up: the same as those of the text that is left where the tokenizer takes each unit
by itself. Whether it does is asked of the tokenizer, on samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workers.neighbourhoods.removals import Removals
from workers.neighbourhoods.words import NONE, Shown, Units, stands
from workers.subject.network import Tokenizer

MOST_TOKENS = 1 << 22
"""Of any text, for asking what it has without being cut."""

_COMPARED = 33
_SEED = 0

Ids = NDArray[np.int64]
Piece = tuple[str, int, int]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Closed:
    """A text's tokens, from which those of some features are taken away and the rest closed up.

    ids: (E,). owner: (E,), the feature each belongs to, or NONE. instead: (E,), stands where its feature does not.
    head, tail: how many of the first and last stand in every text, whatever there is no room for.
    """

    ids: Ids
    owner: Ids
    instead: NDArray[np.bool_]
    head: int
    tail: int
    length: int
    pad: int

    @property
    def still(self) -> bool:
        """Whether no token moves, whatever is taken away: as many stand in its place."""
        own, instead = (self.owner[(self.owner != NONE) & each] for each in (~self.instead, self.instead))
        return np.array_equal(np.sort(own), np.sort(instead))

    def rows(self, shown: Shown) -> tuple[Ids, Ids]:
        """Ids and their mask, (n, length) each, padded at the end and cut before the tail."""
        there = stands(shown, self.owner) ^ self.instead
        if len(self.ids) > self.length:
            body = there[:, self.head : len(self.ids) - self.tail]
            body &= np.cumsum(body, axis=1) <= self.length - self.head - self.tail
        filled = np.arange(self.length) < there.sum(axis=1)[:, None]
        made = np.full(filled.shape, self.pad)
        made[filled] = np.broadcast_to(self.ids, there.shape)[there]
        return made, filled.astype(np.int64)


def closed(
    ids: Ids, part: Ids, owner: Ids, mask: Ids, *, ends: tuple[int, int], length: int, pad: int
) -> Closed:  # fmt: skip
    """The tokens `ids` (E,) with `mask` in the place of each occurrence that is not shown.

    part: (E,), the occurrence that a token is of, or NONE. owner: (E,), its feature, or NONE. ends: as `ends_of`.
    """
    first = part != np.concatenate([[NONE], part[:-1]])
    at = np.flatnonzero(first & (part != NONE))
    where = np.repeat(at, len(mask))
    return Closed(
        ids=np.insert(ids, where, np.tile(mask, len(at))),
        owner=np.insert(owner, where, owner[where]),
        instead=np.insert(np.zeros(len(ids), dtype=np.bool_), where, values=True),
        head=ends[0], tail=ends[1], length=length, pad=pad,
    )  # fmt: skip


def ends_of(tokenizer: Tokenizer, pieces: Sequence[Piece]) -> tuple[int, int]:
    """How many tokens of a text the tokenizer adds at its beginning and at its end: those that an empty text has.

    That a token stands for no character is no sign: spaces are cut off what tokens are said to stand for.
    """
    added = [piece for piece, _, _ in tokenizer.pieces("", MOST_TOKENS)]
    own = [piece for piece, _, _ in pieces]
    for head in range(min(len(added), len(own)), -1, -1):
        tail = len(added) - head
        if head + tail <= len(own) and own[:head] == added[:head] and own[len(own) - tail :] == added[head:]:
            return head, tail
    return 0, 0


def parts_of(units: Units, pieces: Sequence[Piece]) -> tuple[Ids, frozenset[int], str]:
    """(E,): the stretch that each token is of, where that is a unit, or NONE; all units that hold part of a token; and
    why a token is not of one unit alone, empty where each is. Such a token is given to the first of its units."""
    starts, ends = (np.array([getattr(each, end) for each in units.stretches]) for end in ("start", "end"))
    part, every, why = np.full(len(pieces), NONE), set[int](), ""
    for at, (token, start, end) in enumerate(pieces):
        inside = range(int(np.searchsorted(ends, start, "right")), int(np.searchsorted(starts, end, "left")))
        held = [each for each in inside if units.stretches[each].feature != NONE] if end > start else []
        every.update(held)
        part[at] = held[0] if held else NONE
        beside = "".join(
            each.text[max(0, start - each.start) : end - each.start]
            for each in (units.stretches[other] for other in inside if other not in held)
        )
        if len(held) > 1 or (held and beside.strip()):
            why = why or f"the token {token!r} is of more than one unit, or of what stands between units"
    return part, frozenset(every), why


def compared(features: int) -> Shown:
    """Samples by which it is seen whether ids that are put together are those of the text; one has nothing left."""
    shown: Shown = Removals(features, _SEED, paired=True).take(_COMPARED).z != 0
    shown[0] = False  # the example itself is compared elsewhere; nothing left of it is not drawn in pairs
    return shown


def differing(rows: tuple[Ids, Ids], expected: Sequence[Tensor]) -> int:
    """How many samples are other ids, or have another mask, than their text tokenised."""
    wrong = np.zeros(len(rows[0]), dtype=np.bool_)
    for ours, theirs in zip(rows, expected, strict=False):
        wrong |= (ours != theirs.cpu().numpy()).any(axis=1)
    return int(wrong.sum())


def same(given: Sequence[Tensor], row: Sequence[Tensor]) -> bool:
    """Whether inputs of one row hold the same numbers."""
    return all(bool((ours.cpu() == theirs.cpu()).all()) for ours, theirs in zip(given, row, strict=False))
