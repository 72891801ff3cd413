"""Which one number of the output is explained, for each example?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from workers.sweep.refusals import BadTarget
from workers.sweep.tree import tensors

Scale = Literal["logit", "probability", "value"]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One element of the output per example.

    scale: "logit" reads the element as the model gives it; "probability" reads it after a softmax over axis 1;
           "value" is the only number per example of an output of shape (N,) or (N, 1, ...).
    index: int64, (N, D) with a row per example or (1, D) for all; D = output axes after the first. None for "value".
    output: which tensor is meant when the model gives several, counted depth first.
    """

    scale: Scale
    index: Tensor | None = None
    output: int = 0

    @classmethod
    def classes(cls, labels: int | Sequence[int] | Tensor, scale: Scale = "logit") -> Target:
        """The class `labels` of an (N, C) output: one label for all examples, or one per example."""
        return cls(scale, torch.as_tensor(labels, dtype=torch.int64).reshape(-1, 1))

    @classmethod
    def value(cls) -> Target:
        """The output of a regression, (N,) or (N, 1)."""
        return cls("value")

    @classmethod
    def element(cls, *position: int) -> Target:
        """One element of an output with more axes: `position` has an index for each axis after the batch."""
        return cls("logit", torch.tensor([position], dtype=torch.int64))

    def read(self, output: object) -> Tensor:
        """The tensor of a (possibly structured) output that holds the target. Raises BadTarget."""
        found = tensors(output)
        if self.output >= len(found):
            raise BadTarget(f"the model gives {len(found)} tensors; there is no output {self.output}")
        chosen = found[self.output]
        if not chosen.is_floating_point():
            raise BadTarget(f"output {self.output} is of type {chosen.dtype}; a target must be a floating-point number")
        return chosen

    def check(self, shape: Sequence[int], examples: int) -> None:
        """Raises BadTarget unless the target names one element of an output of `shape` for each of `examples`."""
        axes = tuple(shape[1:])
        if self.scale == "value":
            if prod(axes) != 1:
                raise BadTarget(
                    f"the output has {prod(axes)} numbers per example {axes}; name one: a class or an element"
                )
            return
        if self.index is None or self.index.ndim != 2 or self.index.shape[1] != len(axes):
            given = None if self.index is None else tuple(self.index.shape)
            raise BadTarget(
                f"the output has axes {axes} per example; the index has shape {given}, not (N or 1, {len(axes)})"
            )
        if self.index.shape[0] not in (1, examples):
            raise BadTarget(f"there are {self.index.shape[0]} targets for {examples} examples; give one, or one each")
        limits = torch.tensor(axes, dtype=torch.int64)
        if bool((self.index < 0).any()) or bool((self.index >= limits).any()):
            raise BadTarget(f"a target lies outside the output's axes {axes}; indices start at 0")
        if self.scale == "probability" and not axes:
            raise BadTarget("an output of one number per example has no classes to take a softmax over")

    def of(self, start: int, stop: int) -> Target:
        """The target of examples start:stop."""
        if self.index is None or self.index.shape[0] == 1:
            return self
        return Target(self.scale, self.index[start:stop], self.output)

    def every(self, output: object) -> Tensor:
        """The sum over all rows of every element that is any example's target: it depends on all that a target does."""
        chosen = self.read(output)
        if self.scale == "value" or self.index is None:
            return chosen.sum()
        if self.scale == "probability":
            chosen = torch.softmax(chosen, dim=1)
        return chosen.flatten(1)[:, torch.unique(self._flat(chosen))].sum()

    def _flat(self, chosen: Tensor) -> Tensor:
        """Where each target lies in the numbers of one row."""
        index = self.index if self.index is not None else torch.zeros(1, chosen.ndim - 1, dtype=torch.int64)
        strides = [prod(chosen.shape[axis + 1 :]) for axis in range(1, chosen.ndim)]
        return (index.cpu() * torch.tensor(strides, dtype=torch.int64)).sum(1).to(chosen.device)

    def select(self, output: object, rows: int) -> Tensor:
        """The target numbers (rows,) of the first `rows` rows; the examples repeat step after step along the rows."""
        chosen = self.read(output)[:rows]
        if self.scale == "value" or self.index is None:
            return chosen.reshape(rows)
        if self.scale == "probability":
            chosen = torch.softmax(chosen, dim=1)
        flat = self._flat(chosen)
        if len(flat) == 1:
            return chosen.flatten(1)[:, int(flat)]
        return chosen.flatten(1).gather(1, flat.repeat(rows // len(flat))[:, None]).squeeze(1)
