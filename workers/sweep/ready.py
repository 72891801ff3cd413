"""What does every way of attributing need: a network, inputs and baselines as it reads them, a target, and its taps?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workers.sweep.plan import Plan, plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.target import Target


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prepared:
    """A network and examples, made ready.

    x, origin: inputs and baselines as the network reads them, one tensor per input; a baseline has one row for all
               examples, or one for each. Inputs of integers (ids, masks) have no baseline and are held as they are.
    outputs: what the network gives for x, (examples, ...), the tensor that the target reads. labels: (examples,).
    first: the place of the first of these examples among all, by which it draws its random numbers.
    others: inputs, like x, from which baselines are drawn; x itself where there are none.
    jump: the share of the target's change that is made as soon as the path begins (`workers.sweep.jump`).
    """

    model: nn.Module
    x: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    target: Target
    outputs: Tensor
    probe: Probe
    labels: Tensor | None = None
    first: int = 0
    others: tuple[Tensor, ...] = ()
    jump: float = 0.0

    def __len__(self) -> int:
        """How many examples."""
        return len(self.outputs)

    @property
    def device(self) -> torch.device:
        return self.outputs.device

    @property
    def inputs(self) -> tuple[str, ...]:
        """The keys of the taps that stand for the network's floating-point inputs."""
        return tuple(self.probe.inputs)

    @property
    def layers(self) -> tuple[Tap, ...]:
        """All other taps: those of the network's own layers."""
        return tuple(tap for tap in self.probe.taps if tap.key not in self.probe.inputs)

    def examples(self, start: int, stop: int | None = None) -> Prepared:
        """The examples start:stop only; with one number the first so many."""
        first, last = (0, start) if stop is None else (start, stop)
        last = min(last, len(self))
        return replace(
            self,
            x=tuple(each[first:last] for each in self.x),
            origin=tuple(each if len(each) == 1 else each[first:last] for each in self.origin),
            target=self.target.of(first, last),
            outputs=self.outputs[first:last],
            labels=None if self.labels is None else self.labels[first:last],
            first=self.first + first,
            others=self.others or self.x,
        )

    def plan(
        self,
        evaluations: int,
        memory_bytes: int,
        threads: int,
        layers: tuple[str, ...] | None = None,
        together: int = 1,
    ) -> Plan:
        """Chunks for these examples; all layers, and no inputs, where none are named. Raises SweepRefused."""
        dtype = next(each.dtype for each in self.x if each.is_floating_point())
        return plan(
            self.probe, examples=len(self), evaluations=evaluations, memory_bytes=memory_bytes, threads=threads,
            layers=layers or tuple(tap.key for tap in self.layers), device=str(self.device),
            dtype=str(dtype).removeprefix("torch."), together=together,
        )  # fmt: skip
