"""Does a whole analysis take the memory it was quoted? In a sandboxed child, forked afresh, as the worker runs it."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from benchmarks import memory
from workers.sandbox.client import Zygote

pytestmark = pytest.mark.stack
MEBIBYTE = 1 << 20
FEW, MANY = 4, 24
"""Examples. A chunk holds no more than one or two of these networks'."""
Taken = Callable[[str, int], tuple[int, int]]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    opened = Zygote()
    opened.start()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def taken(zygote: Zygote) -> Iterator[Taken]:
    """(measured, quoted) bytes of a network over so many examples."""
    with pytest.MonkeyPatch.context() as patch:

        @cache
        def of(name: str, examples: int) -> tuple[int, int]:
            patch.setattr(memory, "EXAMPLES", examples)
            return memory.taken(zygote, memory.NETWORKS[name])

        yield of


@pytest.mark.parametrize("name", ["cnn", "resnet-shrinking", "transformer", "mlp-wide"])
def test_the_quote_is_within_a_quarter_of_what_a_whole_job_takes(name: str, taken: Taken) -> None:
    measured, quoted = taken(name, FEW)
    assert abs(quoted - measured) <= max(0.25 * measured, 16 * MEBIBYTE)


def test_a_longer_sweep_takes_no_more(taken: Taken) -> None:
    """Its chunks leave holes in the heap, which grew with every hundred of them."""
    short, _ = taken("transformer", FEW)
    long, _ = taken("transformer", MANY)
    assert long <= 1.15 * short
