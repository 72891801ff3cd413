"""Which samples was the network asked about before?

Rows are told apart by 64 bits made of theirs, and where two rows share those, by all their bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.neighbourhood import Samples

Places = NDArray[np.int64]
_Words = NDArray[np.uint64]

_WORD = 8
_SEED = 0


class Known:
    """The different samples so far, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._words: _Words = np.empty((0, 0), dtype=np.uint64)

    def __len__(self) -> int:
        """How many different ones."""
        return len(self._words)

    def number(self, samples: Samples) -> tuple[Places, Places]:
        """(n,): the number of each sample; and where, among these samples, those stand that are new, in order."""
        before, words = len(self), _words(samples)
        words = np.concatenate([self._words, words]) if before else words
        first, which = _different(words)
        order = np.argsort(first)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        first = first[order]
        self._words = words if len(first) == len(words) else words[first]
        return rank[which[before:]], first[before:] - before


def _different(words: _Words) -> tuple[Places, Places]:
    """Where each different row comes first, and which of those each row is."""
    _, first, which = np.unique(_hashed(words), return_index=True, return_inverse=True)
    if len(first) < len(words) and not np.array_equal(words, words[first][which]):
        _, first, which = np.unique(words, axis=0, return_index=True, return_inverse=True)
    return first, which.ravel()


def _hashed(words: _Words) -> _Words:
    """(n,). Numbers written in a few digits differ in their upper bits alone, which a product would leave there."""
    odd = np.random.default_rng(_SEED).integers(2**63, size=words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    return np.asarray((words ^ (words >> np.uint64(32))) @ odd)


def _words(samples: Samples) -> _Words:
    """(n, words): equal where the network and the surrogate read the same."""
    z, drawn = samples.z, samples.drawn.reshape(len(samples), -1)
    binary = bool(((z == 0) | (z == 1)).all())
    parts = [_octets(np.packbits(z != 0, axis=1) if binary else z)]
    if samples.drawn is not z and not (drawn.shape == z.shape and np.array_equal(drawn, z)):
        parts.append(_octets(drawn))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _octets(rows: NDArray[np.generic]) -> _Words:
    """Its bits, eight octets to a word, the last filled up with zeros."""
    octets = np.ascontiguousarray(rows).view(np.uint8)
    missing = -octets.shape[1] % _WORD
    whole = np.pad(octets, ((0, 0), (0, missing))) if missing else octets
    return whole.view(np.uint64)
