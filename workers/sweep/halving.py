"""How does work in chunks go on where the device has no memory for one of them?

A block of examples is worked out whole before anything of it is given away. Where memory runs out on the way, what was
made of the block is let go, its chunks are halved, and it is begun again: each block has, bit for bit, the numbers of a
plan with chunks of its own size.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from math import ceil
from typing import TypeVar

import torch

from workers.numerics.memory import KeptPages, give_back_freed_pages
from workers.sweep.completeness import Shrunk
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe
from workers.sweep.refusals import SweepRefused

OnChunk = Callable[[float], None]
"""Called with the fraction done after every chunk; an exception from it ends the sweep."""

T = TypeVar("T")


def one_chunk(_points: int) -> int:
    """Of a block whose points are never parted."""
    return 1


class Chunks:
    """points, examples: what a chunk holds now. shrunk: where that was departed from.

    fixed: the one number of rows that the network takes, None if any; such chunks cannot be halved.
    in_block: from the points of a chunk to how many chunks a block takes. on_chunk: told the fraction done.
    """

    def __init__(
        self, points: int, examples: int, *, fixed: int | None,
        in_block: Callable[[int], int] = one_chunk, on_chunk: OnChunk | None = None,
    ) -> None:  # fmt: skip
        self.points, self.examples = points, examples
        self.shrunk: list[Shrunk] = []
        self._fixed, self._in_block, self._on_chunk = fixed, in_block, on_chunk
        self._done, self._left = 0, 0
        self._pages: KeptPages | None = None

    @classmethod
    def of(
        cls, plan: Plan, probe: Probe, in_block: Callable[[int], int] = one_chunk, on_chunk: OnChunk | None = None
    ) -> Chunks:
        """As they are planned."""
        return cls(plan.points, plan.examples, fixed=probe.rows, in_block=in_block, on_chunk=on_chunk)

    def over(self, count: int, work: Callable[[int, int], T]) -> Iterator[T]:
        """What `work` makes of the examples start:stop, block after block; it is called again where memory ran out.

        `work` gives nothing away itself, and calls `finished` after every chunk. Raises SweepRefused where no row fits.
        """
        self._left, start = self._of(count), 0
        if self._left > 1:
            give_back_freed_pages()  # what ran before had chunks of other sizes, whose holes fit none of these
            self._pages = KeptPages()
        while start < count:
            stop = min(start + self.examples, count)
            try:
                made = work(start, stop)
            except torch.OutOfMemoryError as error:
                failed = error.with_traceback(None)  # its frames hold what was made of the block
            else:
                yield made
                del made
                start = stop
                continue
            self._halve(start, failed)
            self._left = self._of(count - start)

    def finished(self) -> None:
        """One chunk is done, and has freed what it made. Raises what `on_chunk` raises."""
        self._done, self._left = self._done + 1, self._left - 1
        if self._pages is not None:
            self._pages.after_chunk()
        if self._on_chunk is not None:
            self._on_chunk(self._done / (self._done + self._left))

    def _of(self, examples: int) -> int:
        return ceil(examples / self.examples) * self._in_block(self.points)

    def _halve(self, start: int, error: torch.OutOfMemoryError) -> None:
        gc.collect()  # a graph and the hooks on its tensors hold each other
        torch.cuda.empty_cache()
        if self._fixed is not None or self.points * self.examples == 1:
            raise SweepRefused(
                f"the device has no memory for {self._fixed or 1} row(s) of this model{_free()}; ask for fewer layers,"
                f" for shorter or smaller inputs, or for a device with more memory ({error})"
            ) from error
        if self.examples > 1:
            self.examples = ceil(self.examples / 2)
        else:
            self.points = ceil(self.points / 2)
        self.shrunk.append(Shrunk(start, self.points, self.examples))


def _free() -> str:
    """What the device had left when everything of the block had been let go; nothing where no device tells."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch leaves it so
        return ""
    free, whole = torch.cuda.mem_get_info()
    return f", although {free / 2**20:.1f} MiB of its {whole / 2**20:.1f} MiB were free"
