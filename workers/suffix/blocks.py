"""What does a method hand to its reducers, and what did the target give at both ends?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.numerics.determinism import NotFinite
from workers.suffix.case import Case
from workers.suffix.rerun import Rerun
from workers.sweep.completeness import Endpoints
from workers.sweep.probe import Tap
from workers.sweep.reducers import Block


class Ends:
    """The target at the inputs and at the baselines, case after case."""

    def __init__(self) -> None:
        self._output: list[Tensor] = []
        self._origin: list[Tensor] = []

    def record(
        self, rerun: Rerun, case: Case, taps: Sequence[Tap], at_baselines: Sequence[Tap]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The values of `taps` at the inputs, and of some at the baselines of `case`, (examples, units...) by key."""
        at_x, at_origin = rerun.record(case.x, taps), rerun.record(case.origin, at_baselines)
        self._output.append(case.target.select(at_x.output, len(case)).to("cpu", torch.float64))
        self._origin.append(case.target.select(at_origin.output, len(case)).to("cpu", torch.float64))
        return at_x.values, at_origin.values

    @property
    def latest(self) -> tuple[Tensor, Tensor]:
        """The target at the inputs and at the baselines of the last case; each (examples,), float64, on the cpu."""
        return self._output[-1], self._origin[-1]

    def joined(self) -> Endpoints:
        """Over all cases."""
        return Endpoints(torch.cat(self._output), torch.cat(self._origin))


def block_of(tap: Tap, case: Case, attribution: Tensor, *, still: bool) -> Block:
    """attribution: (examples, ...), its own to keep. Raises NotFinite.

    still: an example that equals its baseline has no attribution; what is there is rounding.
    """
    if still and len(case.still):
        attribution[case.still] = 0
    flat = attribution.reshape(len(attribution), -1)
    signed = flat.sum(1, dtype=torch.float64)
    absolute = torch.linalg.vector_norm(flat, 1, 1, dtype=torch.float64)
    if not bool(torch.isfinite(absolute).all()):
        raise NotFinite(tap.key)
    return Block(tap.key, case.start, case.stop, attribution, signed, absolute)
