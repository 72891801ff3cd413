"""Which ids does a network read where units of its text are taken away?

The tokens of what is left, closed up: the same as those of the text that is left where the tokenizer takes each unit
by itself. Whether it does is asked of the tokenizer, on samples; where it does not, every sample is tokenised.
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
    ids: Ids, pieces: Sequence[Piece], part: Ids, owner: Ids, mask: Ids, *, length: int, pad: int
) -> Closed:  # fmt: skip
    """The tokens `ids` (E,) with `mask` in the place of each occurrence that is not shown.

    part: (E,), the occurrence that a token is of, or NONE. owner: (E,), its feature, or NONE.
    """
    first = part != np.concatenate([[NONE], part[:-1]])
    at = np.flatnonzero(first & (part != NONE))
    where = np.repeat(at, len(mask))
    return Closed(
        ids=np.insert(ids, where, np.tile(mask, len(at))),
        owner=np.insert(owner, where, owner[where]),
        instead=np.insert(np.zeros(len(ids), dtype=np.bool_), where, values=True),
        head=_added(pieces), tail=_added(pieces[::-1]), length=length, pad=pad,
    )  # fmt: skip


def is_added(piece: Piece) -> bool:
    """Whether the tokenizer adds it to every text: it stands for no character."""
    return piece[1] == piece[2]


def _added(pieces: Sequence[Piece]) -> int:
    return next((at for at, piece in enumerate(pieces) if not is_added(piece)), len(pieces))


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


def differing(tokenizer: Tokenizer, units: Units, tokens: Closed, mask: str | None) -> tuple[int, int]:
    """How many of how many samples are other ids, or have another mask, once their text is tokenised."""
    shown = Removals(len(units.names), _SEED, paired=True).take(_COMPARED).z != 0
    shown[0] = False  # the example itself is compared elsewhere; nothing left of it is not drawn in pairs
    expected = tokenizer.encode(units.texts(shown, mask), tokens.length)
    wrong = np.zeros(len(shown), dtype=np.bool_)
    for ours, theirs in zip(tokens.rows(shown), expected, strict=False):
        wrong |= (ours != theirs.cpu().numpy()).any(axis=1)
    return int(wrong.sum()), len(wrong)


def same(given: Sequence[Tensor], row: Sequence[Tensor]) -> bool:
    """Whether inputs of one row hold the same numbers."""
    return all(bool((ours.cpu() == theirs.cpu()).all()) for ours, theirs in zip(given, row, strict=False))
