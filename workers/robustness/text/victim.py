"""What is asked of a network that reads texts, and how often?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workers.attack.victim import Asked
from workers.robustness.text.reading import Answer, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """Of one embedding: by: (rows, T, D), the gradient of each row's margin; table: (V, D), what it looks up."""

    by: Tensor
    table: Tensor


@dataclass(slots=True, eq=False, kw_only=True)
class Victim:
    """A network with its count. read: from rows and the example they are of to answers. slopes: the gradients of rows,
    None where there are none. rows: most that go through it in one call."""

    read: Callable[[Rows, int], Answer]
    slopes: Callable[[Rows, int], tuple[Slope, ...]] | None = None
    rows: int = 64
    asked: Asked = field(default_factory=Asked)

    def whose(self) -> Asked:
        """Start a new count and give it."""
        self.asked = Asked()
        return self.asked

    def answers(self, rows: Rows, index: int) -> Answer:
        """In blocks of `rows`; of at least one row."""
        count = len(rows[0])
        parts = [
            self.read(tuple(each[start : start + self.rows] for each in rows), index)
            for start in range(0, count, self.rows)
        ]
        self.asked.forwards += count
        margin, decided, broken = (torch.cat(each) for each in zip(*parts, strict=True))
        return Answer(margin, decided, broken)

    def gradients(self, rows: Rows, index: int) -> tuple[Slope, ...]:
        """See Slope; in blocks of `rows`. Raises ValueError where there are none."""
        if self.slopes is None:
            raise ValueError("this network gives no gradients")
        count = len(rows[0])
        parts = [
            self.slopes(tuple(each[start : start + self.rows] for each in rows), index)
            for start in range(0, count, self.rows)
        ]
        self.asked.forwards += count
        self.asked.gradients += count
        return tuple(Slope(torch.cat([each.by for each in same]), same[0].table) for same in zip(*parts, strict=True))


def stacked(rows: Sequence[Rows]) -> Rows:
    """Rows one below the other."""
    return tuple(torch.cat(each) for each in zip(*rows, strict=True))
