"""How does what something takes grow with its input? The same on every machine, which seconds are not."""

import time
from collections.abc import Callable

LINEAR = 30
"""A tenfold input that takes longer than this many times as long is not read once: what is linear takes ten times as
long or less, what is quadratic a hundred times."""


def processor_seconds(do: Callable[[], object]) -> float:
    """What a call takes of this process's processor time: the lesser of two calls."""
    took = []
    for _ in range(2):
        begun = time.process_time()
        do()
        took.append(time.process_time() - begun)
    return min(took)
