"""Do the proofs prove, and nothing else? Against the definitions of RFC 9162 written out naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.evidence.merkle import EMPTY, Tree, appended, consistent, included, node, root, root_of


def leaf(number: int) -> bytes:
    return hashlib.sha256(b"\0" + bytes([number % 251, number // 251])).digest()


def naive(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, to the letter."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def test_the_roots_of_the_empty_log_and_of_one_empty_entry_are_those_of_the_rfc() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    one = hashlib.sha256(b"\0").digest()
    assert root([one]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("size", [*range(34), 127, 128, 129])
def test_the_root_is_the_definitions_however_it_is_grown(size: int) -> None:
    leaves = [leaf(number) for number in range(size)]
    assert root(leaves) == naive(leaves) == Tree(leaves).root()
    frontier = appended(appended([], leaves[: size // 3]), leaves[size // 3 :])
    assert root_of(frontier) == naive(leaves)
    assert len(frontier) == size.bit_count()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13, 33])
def test_every_leaf_has_a_proof_that_holds_for_it_alone(size: int) -> None:
    leaves = [leaf(number) for number in range(size)]
    tree = Tree(leaves)
    for index in range(size):
        path = tree.inclusion(index)
        assert included(leaves[index], index, size, path, tree.root())
        assert not included(leaf(999), index, size, path, tree.root())
        assert not included(leaves[index], (index + 1) % size, size, path, tree.root()) or size == 1
        assert not included(leaves[index], index, size, [*path, leaf(0)], tree.root())
        assert not path or not included(leaves[index], index, size, path[:-1], tree.root())


@given(st.integers(1, 70), st.data())
def test_a_later_log_is_shown_to_go_on_from_an_earlier_one(later: int, data: st.DataObject) -> None:
    earlier = data.draw(st.integers(1, later))
    leaves = [leaf(number) for number in range(later)]
    tree = Tree(leaves)
    path = tree.consistency(earlier)
    before, after = naive(leaves[:earlier]), naive(leaves)
    assert tree.root(earlier) == before
    assert consistent(earlier, later, before, after, path)
    if earlier < later:
        assert not consistent(earlier, later, leaf(999), after, path)
        assert not consistent(earlier, later, before, leaf(999), path)
        rewritten = [leaf(999), *leaves[1:]]
        assert not consistent(earlier, later, before, naive(rewritten), Tree(rewritten).consistency(earlier))


def test_proofs_within_an_earlier_size_of_the_log() -> None:
    leaves = [leaf(number) for number in range(21)]
    tree = Tree(leaves)
    for size in (1, 2, 11, 16, 20):
        assert included(leaves[size - 1], size - 1, size, tree.inclusion(size - 1, size), naive(leaves[:size]))
    assert consistent(5, 11, naive(leaves[:5]), naive(leaves[:11]), tree.consistency(5, 11))


@pytest.mark.parametrize("asked", [(-1, None), (3, None), (2, 2), (0, 4)])
def test_what_is_not_there_has_no_proof(asked: tuple[int, int | None]) -> None:
    tree = Tree([leaf(0), leaf(1), leaf(2)])
    with pytest.raises(IndexError):
        tree.inclusion(*asked)
    with pytest.raises(IndexError):
        tree.consistency(0)
    assert not included(leaf(0), 5, 3, [], tree.root())
    assert not consistent(0, 3, EMPTY, tree.root(), [])
    assert node(leaf(0), leaf(1)) != node(leaf(1), leaf(0))
