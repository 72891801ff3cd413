"""Seeds come from the content; switches are put back; what is not a number is caught."""

from hashlib import sha256

import pytest
import torch

from workers.numerics.determinism import NotFinite, deterministic, require_finite, seed_for
from workers.numerics.memory import give_back_freed_pages, keep_freed_pages


def test_a_seed_is_a_fixed_function_of_digest_and_index():
    assert seed_for("abc", 0) == int.from_bytes(sha256(b"abc:0").digest()[:8], "big") >> 1
    assert len({seed_for(digest, i) for digest in ("abc", "abd") for i in range(100)}) == 200
    assert all(0 <= seed_for("abc", i) < 2**63 for i in range(100))


def test_switches_are_put_back_also_after_an_exception():
    def state():
        return (
            torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32,
        )  # fmt: skip

    before = state()
    inside = []

    def fail() -> None:
        with deterministic(threads=1):
            inside.append(state()[:2])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [(1, True)]
    assert state() == before


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_named_by_its_layer(bad):
    with pytest.raises(NotFinite, match=r"'features\.3'") as caught:
        require_finite(torch.tensor([1.0, bad]), "features.3")
    assert caught.value.layer == "features.3"
    require_finite(torch.tensor([1.0, 2.0]), "features.3")


def test_freed_pages_are_kept_where_the_c_library_is_glibc():
    assert keep_freed_pages() in (True, False)
    assert give_back_freed_pages() in (True, False)
