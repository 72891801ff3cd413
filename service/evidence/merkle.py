"""Is this event in that log, and is that log the beginning of this one? A Merkle tree proves it (RFC 9162, 2.1).

Hashes are 32 raw bytes; leaves are hashed already, SHA-256(0x00 || entry); nodes are SHA-256(0x01 || left || right).
"""

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256(b"").digest()
Frontier = list[tuple[int, bytes]]
"""Complete subtrees of a tree, the largest first: how many leaves each has, and its root."""


def node(left: bytes, right: bytes) -> bytes:
    """The hash of a node with these children."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash (2.1.1)."""
    return root_of(appended([], leaves))


def appended(frontier: Frontier, leaves: Sequence[bytes]) -> Frontier:
    """The frontier with more leaves: equal subtrees merge, so each leaf costs O(1) on average."""
    found = list(frontier)
    for leaf in leaves:
        found.append((1, leaf))
        while len(found) > 1 and found[-2][0] == found[-1][0]:
            (size, left), (_, right) = found[-2:]
            found[-2:] = [(2 * size, node(left, right))]
    return found


def root_of(frontier: Frontier) -> bytes:
    """The root of the tree whose complete subtrees these are."""
    if not frontier:
        return EMPTY
    found = frontier[-1][1]
    for _, left in reversed(frontier[:-1]):
        found = node(left, found)
    return found


class Tree:
    """A tree whose inner nodes are hashed once, for many proofs: about one hash per leaf, then O(log n) each."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node(*below[place : place + 2]) for place in range(0, len(below) - 1, 2)])

    def root(self, size: int | None = None) -> bytes:
        """The root of the tree, or of its first `size` leaves."""
        size = self.size if size is None else size
        return self._of(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path of a leaf (2.1.3.1), from its sibling up, among the first `size`. Raises IndexError."""
        below, above = 0, self.size if size is None else size
        if not 0 <= index < above <= self.size:
            raise IndexError(f"there is no leaf {index} among {above} of {self.size}")
        path: list[bytes] = []
        while above - below > 1:
            middle = below + _split(above - below)
            if index < middle:
                path.append(self._of(middle, above))
                above = middle
            else:
                path.append(self._of(below, middle))
                below = middle
        return path[::-1]

    def consistency(self, earlier: int, later: int | None = None) -> list[bytes]:
        """That the first `earlier` leaves are the beginning of the first `later` (2.1.4.1). Raises IndexError."""
        later = self.size if later is None else later
        if not 0 < earlier <= later <= self.size:
            raise IndexError(f"a tree of {self.size} leaves has no beginnings of {earlier} and {later}")
        return self._subproof(earlier, 0, later, whole=True)

    def _of(self, below: int, above: int) -> bytes:
        """The root over leaves `below` to `above`, where `below` is where a subtree begins."""
        size = above - below
        if size & (size - 1) == 0:
            return self._levels[size.bit_length() - 1][below // size]
        middle = below + _split(size)
        return node(self._of(below, middle), self._of(middle, above))

    def _subproof(self, earlier: int, below: int, above: int, *, whole: bool) -> list[bytes]:
        if earlier == above - below:
            return [] if whole else [self._of(below, above)]
        middle = below + _split(above - below)
        if below + earlier <= middle:
            return [*self._subproof(earlier, below, middle, whole=whole), self._of(middle, above)]
        return [*self._subproof(earlier - (middle - below), middle, above, whole=False), self._of(below, middle)]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], head: bytes) -> bool:
    """Whether a leaf stands at `index` of the tree of `size` leaves with this root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node(sibling, found)
            while not place & 1 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == head


def consistent(earlier: int, later: int, before: bytes, after: bytes, path: Sequence[bytes]) -> bool:
    """Whether the root `after` of `later` leaves goes on from the root `before` of `earlier` leaves (2.1.4.2)."""
    if not 0 < earlier <= later:
        return False
    if earlier == later:
        return not path and before == after
    steps = list(path)
    if earlier & (earlier - 1) == 0:
        steps.insert(0, before)
    if not steps:
        return False
    place, last = earlier - 1, later - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node(sibling, old), node(sibling, new)
            while not place & 1 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            new = node(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == before and new == after


def _split(size: int) -> int:
    """The largest power of two below `size` (> 1)."""
    return int(1 << ((size - 1).bit_length() - 1))
