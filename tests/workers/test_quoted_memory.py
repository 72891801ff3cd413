"""Does a whole analysis take the memory it was quoted? In a sandboxed child, forked afresh, as the worker runs it."""

from collections.abc import Iterator

import pytest

from benchmarks import memory
from workers.sandbox.client import Zygote

pytestmark = pytest.mark.stack
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    opened = Zygote()
    opened.start()
    yield opened
    opened.close()


@pytest.mark.parametrize("name", ["cnn", "resnet-shrinking", "transformer", "mlp-wide"])
def test_the_quote_is_within_a_quarter_of_what_a_whole_job_takes(
    name: str, zygote: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "EXAMPLES", 8)  # a chunk holds no more than one or two of these networks' examples
    measured, quoted = memory.taken(zygote, memory.NETWORKS[name])
    assert abs(quoted - measured) <= max(0.25 * measured, 16 * MEBIBYTE)


def test_a_longer_sweep_takes_no_more(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks leave holes in the heap, which grew with every hundred of them."""
    monkeypatch.setattr(memory, "EXAMPLES", 8)
    short, _ = memory.taken(zygote, memory.NETWORKS["transformer"])
    monkeypatch.setattr(memory, "EXAMPLES", 24)
    long, _ = memory.taken(zygote, memory.NETWORKS["transformer"])
    assert long <= 1.15 * short
