"""What does a method hand to its reducers, and what did the target give at both ends?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.numerics.determinism import NotFinite
from workers.suffix.case import Case
from workers.suffix.rerun import Rerun
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks
from workers.sweep.probe import Tap
from workers.sweep.reducers import Block
from workers.sweep.summed import summed


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """The target at the inputs and at the baselines of one case; each (examples,), float64, on the cpu."""

    output: Tensor
    origin: Tensor


def record(
    rerun: Rerun, case: Case, taps: Sequence[Tap], at_baselines: Sequence[Tap]
) -> tuple[Ends, dict[str, Tensor], dict[str, Tensor]]:
    """The ends, the values of `taps` at the inputs, and of some at the baselines, (examples, units...) by key."""
    at_x, at_origin = rerun.record(case.x, taps), rerun.record(case.origin, at_baselines)
    output, origin = (case.target.select(each.output, len(case)).to("cpu", torch.float64) for each in (at_x, at_origin))
    return Ends(output, origin), at_x.values, at_origin.values


def joined(ends: Sequence[Ends], chunks: Chunks) -> Endpoints:
    """Over all cases; and where `chunks` had to be halved."""
    output, origin = torch.cat([each.output for each in ends]), torch.cat([each.origin for each in ends])
    return Endpoints(output, origin, tuple(chunks.shrunk))


def block_of(tap: Tap, case: Case, attribution: Tensor, *, still: bool) -> Block:
    """attribution: (examples, ...), its own to keep. Raises NotFinite.

    still: an example that equals its baseline has no attribution; what is there is rounding.
    """
    if still and len(case.still):
        attribution[case.still] = 0
    signed, absolute = summed(attribution)
    if not bool(torch.isfinite(absolute).all()):
        raise NotFinite(tap.key)
    return Block(tap.key, case.start, case.stop, attribution, signed, absolute)
