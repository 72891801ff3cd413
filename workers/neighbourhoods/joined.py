"""Which ids does a network read of a text whose tokens depend on what stands before them?

A tokenizer of byte pairs gives a word together with the space before it, and a gap of two spaces otherwise than one.
What it gives of a unit then depends on the unit before it that is left, and on what lies between; seldom on more. Each
such pair is tokenised once, and samples are put together from pairs. Whether that is right is asked on samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workers.neighbourhoods.tokens import MOST_TOKENS, Ids
from workers.neighbourhoods.words import NONE, Shown, Units, stands
from workers.subject.network import Tokenizer


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Joined:
    """A text's units, what separates them, and what the tokenizer gave of pairs so far.

    words: of every occurrence, then, where a mask stands for what is not shown, the mask as often. owner: (E,), the
    feature of each. gaps: before the first, between, and behind the last. head, tail: tokens of every text.
    """

    tokenizer: Tokenizer
    units: Units
    mask: str | None
    words: tuple[str, ...]
    owner: Ids
    gaps: tuple[str, ...]
    head: Ids
    tail: Ids
    length: int
    pad: int
    pairs: dict[int, Ids | None] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, tokenizer: Tokenizer, units: Units, mask: str | None, *, head: Ids, tail: Ids, length: int, pad: int
    ) -> Joined:
        """Nothing is tokenised yet."""
        own, gaps = [each for each in units.stretches if each.feature != NONE], [""]
        for each in units.stretches:
            if each.feature == NONE:
                gaps[-1] += each.text
            else:
                gaps.append("")
        words = [each.text for each in own] + ([] if mask is None else [mask] * len(own))
        return cls(
            tokenizer=tokenizer, units=units, mask=mask, words=tuple(words), gaps=tuple(gaps), head=head, tail=tail,
            owner=np.array([each.feature for each in own]), length=length, pad=pad,
        )  # fmt: skip

    @property
    def still(self) -> bool:
        """Whether no token moves; that is not known."""
        return False

    def rows(self, shown: Shown) -> tuple[Ids, Ids]:
        """Ids and their mask, (n, length) each, padded at the end and cut before the tail."""
        row, keys = self._sequence(shown)
        which, at = np.unique(keys, return_inverse=True)
        found = [self._tokens(key) for key in which.tolist()]
        flat = np.concatenate([each for each in found if each is not None] or [self.head[:0]])
        long = np.array([0 if each is None else len(each) for each in found])[at]
        begin = np.cumsum([0, *(0 if each is None else len(each) for each in found)])[at]
        count = np.bincount(row, long, len(shown)).astype(np.int64)
        token = np.repeat(begin - (np.cumsum(long) - long), long) + np.arange(long.sum())
        place = np.arange(len(token)) - np.repeat(np.cumsum(count) - count, count)
        body = np.minimum(count, self.length - len(self.head) - len(self.tail))
        made = np.full((len(shown), self.length), self.pad)
        kept = place < np.repeat(body, count)
        made[np.repeat(np.arange(len(shown)), count)[kept], len(self.head) + place[kept]] = flat[token[kept]]
        made[:, : len(self.head)] = self.head
        ends = len(self.head) + body
        made[np.arange(len(shown))[:, None], ends[:, None] + np.arange(len(self.tail))] = self.tail
        filled = (np.arange(self.length) < (ends + len(self.tail))[:, None]).astype(np.int64)
        self._tokenise(np.unique(row[np.array([each is None for each in found])[at]]), shown, made, filled)
        return made, filled

    def apart(self, shown: Shown) -> int:
        """Of how many samples some pair has no tokens of its own, so that they are tokenised whole."""
        row, keys = self._sequence(shown)
        return len(np.unique(row[[self._tokens(key) is None for key in keys.tolist()]]))

    def _sequence(self, shown: Shown) -> tuple[Ids, Ids]:
        """Of each unit that is there and of the end: its sample, and a number for it and for the one before it."""
        there, many = stands(shown, self.owner), len(self.words)
        codes = np.broadcast_to(np.arange(len(self.owner)), there.shape)
        if self.mask is not None:
            codes, there = np.where(there, codes, codes + len(self.owner)), np.ones_like(there)
        edge = np.ones((len(shown), 1), dtype=np.int64)
        row, at = np.nonzero(np.concatenate([there, edge.astype(np.bool_)], axis=1))
        code = np.concatenate([codes, many * edge], axis=1)[row, at]
        first = np.concatenate([[True], row[1:] != row[:-1]])
        before = np.where(first, many, np.concatenate([[many], code[:-1]]))
        return row, before * (many + 1) + code

    def _tokens(self, key: int) -> Ids | None:
        """What a unit and the gap before it add behind the unit before; None where a token is of both units."""
        if key not in self.pairs:
            before, code = divmod(key, len(self.words) + 1)
            count, end = len(self.owner), len(self.words)
            left, right = ("" if each == end else self.words[each] for each in (before, code))
            first = 0 if before == end else before % count + 1
            last = count if code == end else code % count
            self.pairs[key] = self._behind(left, "".join(self.gaps[first : last + 1]) + right)
        return self.pairs[key]

    def _behind(self, left: str, right: str) -> Ids | None:
        whole, border = left + right, len(left)
        pieces = self.tokenizer.pieces(whole, MOST_TOKENS)
        if any(start < border < end for _, start, end in pieces):
            return None
        if any(piece not in self.numbers for piece, _, _ in pieces):
            ids = self.tokenizer.encode([whole], len(pieces) + 1)[0][0].tolist()  # of no token no text is encoded
            self.numbers.update((piece, each) for (piece, _, _), each in zip(pieces, ids, strict=False))
        body = pieces[len(self.head) : len(pieces) - len(self.tail)]
        own = [self.numbers[piece] for piece, start, _ in body if start >= border]
        return np.array(own, dtype=np.int64)

    def _tokenise(self, rows: Ids, shown: Shown, made: Ids, filled: Ids) -> None:
        """Replaces the given rows by what their texts are tokenised as."""
        if len(rows):
            ids, *mask = self.tokenizer.encode(self.units.texts(shown[rows], self.mask), self.length)
            made[rows] = ids.numpy()
            for each in mask[:1]:
                filled[rows] = each.numpy()
