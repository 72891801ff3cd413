"""Which one number of the output is explained, for each example?

A target is a reading of what the model gives, independent of others: several can be read from one forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from workers.sweep.refusals import BadTarget
from workers.sweep.tree import tensors

Scale = Literal["logit", "probability", "value", "sum", "error"]


class Beside(NamedTuple):
    """What a model gives, and beside it the input that it is compared with."""

    output: object
    given: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One number per example.

    scale: "logit" reads elements as the model gives them; "probability" reads them after a softmax over `axis`;
           "value" is the only number per example of an output of shape (N,) or (N, 1, ...); "sum" is that of all its
           numbers; "error" is the mean squared difference between the output and what it is compared with.
    index: what is named, with a row per example or one for all; None where nothing is. For an element int64 (N, D),
           D = output axes after the first. With `places` int64 (N, ...), the output's axes without `axis`: which class
           is read at each place, -1 where none; the target is their sum. For an error (N, ...): what the output is
           compared with, where that stays as it is along a path; None where it is the input, which moves.
    output: which tensor is meant when the model gives several, counted depth first.
    axis: where the classes lie, the examples being axis 0.
    """

    scale: Scale
    index: Tensor | None = None
    output: int = 0
    axis: int = 1
    places: bool = False

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

    @classmethod
    def over_places(cls, labels: Tensor, scale: Scale = "logit", axis: int = 1) -> Target:
        """The sum over places of the class that `labels` (N or 1, ...) names there; where it is -1, nothing."""
        return cls(scale, labels.to(torch.int64).cpu(), axis=axis, places=True)

    @classmethod
    def total(cls) -> Target:
        """The sum of all numbers of an example."""
        return cls("sum")

    @classmethod
    def error(cls, fixed: Tensor | None = None) -> Target:
        """The mean squared difference from the input, as the model gives it beside its output (`Beside`), or from
        `fixed` (N, ...)."""
        return cls("error", fixed)

    @property
    def count(self) -> int:
        """For how many examples it is made; 1 where it is the same for all."""
        return 1 if self.index is None else len(self.index)

    @property
    def compares(self) -> bool:
        """Whether the model must give, beside its output, the input to compare that with."""
        return self.scale == "error" and self.index is None

    def read(self, output: object) -> Tensor:
        """The tensor of a (possibly structured) output that holds the target. Raises BadTarget."""
        found = tensors(output.output if isinstance(output, Beside) else output)
        if self.output >= len(found):
            raise BadTarget(f"the model gives {len(found)} tensors; there is no output {self.output}")
        chosen = found[self.output]
        if not chosen.is_floating_point():
            raise BadTarget(f"output {self.output} is of type {chosen.dtype}; a target must be a floating-point number")
        return chosen

    def check(self, shape: Sequence[int], examples: int) -> None:
        """Raises BadTarget unless the target names one number of an output of `shape` for each of `examples`."""
        axes = tuple(shape[1:])
        if self.scale == "value" and prod(axes) != 1:
            raise BadTarget(f"the output has {prod(axes)} numbers per example {axes}; name one: a class or an element")
        if self.scale == "probability" and not 1 <= self.axis <= len(axes):
            raise BadTarget("an output of one number per example has no classes to take a softmax over")
        if self.index is not None and len(self.index) not in (1, examples):
            raise BadTarget(f"there are {len(self.index)} targets for {examples} examples; give one, or one each")
        if self.scale == "error":
            if self.index is not None and prod(self.index.shape[1:]) != prod(axes):
                raise BadTarget(f"the output has axes {axes} and is compared with {tuple(self.index.shape[1:])}")
        elif self.scale in ("logit", "probability"):
            self._check_index(axes)

    def _check_index(self, axes: tuple[int, ...]) -> None:
        places = axes[: self.axis - 1] + axes[self.axis :]
        wanted = places if self.places else (len(axes),)
        if self.index is None or tuple(self.index.shape[1:]) != wanted or (self.places and self.axis > len(axes)):
            given = None if self.index is None else tuple(self.index.shape)
            shown = ", ".join(map(str, ("N or 1", *wanted)))
            raise BadTarget(f"the output has axes {axes} per example; the index has shape {given}, not ({shown})")
        limits = axes[self.axis - 1] if self.places else torch.tensor(axes, dtype=torch.int64)
        if bool((self.index < (-1 if self.places else 0)).any()) or bool((self.index >= limits).any()):
            raise BadTarget(f"a target lies outside the output's axes {axes}; indices start at 0")

    def of(self, start: int, stop: int) -> Target:
        """The target of examples start:stop."""
        return self if self.index is None or len(self.index) == 1 else replace(self, index=self.index[start:stop])

    def take(self, examples: Tensor) -> Target:
        """The target of the examples with these numbers, int64 (rows,), in this order."""
        if self.index is None or len(self.index) == 1:
            return self
        return replace(self, index=self.index[examples.to(self.index.device)])

    def every(self, output: object) -> Tensor:
        """The sum over all rows of every element that is any example's target: it depends on all that a target does."""
        chosen = self.read(output)
        if self.scale in ("value", "sum"):
            return chosen.sum()
        if self.scale == "error":
            return self._errors(chosen, output, 1 if self.index is None else len(self.index)).sum()
        assert self.index is not None
        chosen = self._scaled(chosen)
        if not self.places:
            return chosen.flatten(1)[:, torch.unique(self._flat(chosen))].sum()
        chosen = chosen.movedim(self.axis, 1)
        named = torch.zeros(len(self.index), *chosen.shape[1:], dtype=torch.bool)
        named.scatter_(1, self.index.cpu().clamp(min=0)[:, None], (self.index.cpu() >= 0)[:, None])
        return torch.where(named.any(0).to(chosen.device), chosen, 0).sum()

    def select(self, output: object, rows: int) -> Tensor:
        """The target numbers (rows,) of the first `rows` rows; the examples repeat step after step along the rows."""
        chosen = self.read(output)[:rows]
        if self.scale == "value":
            return chosen.reshape(rows)
        if self.scale == "sum":
            return chosen.reshape(rows, -1).sum(1)
        if self.scale == "error":
            return self._errors(chosen, output, rows)
        assert self.index is not None
        chosen = self._scaled(chosen)
        if self.places:
            return self._at_places(chosen.movedim(self.axis, 1), rows)
        flat = self._flat(chosen)
        if len(flat) == 1:
            return chosen.flatten(1)[:, int(flat)]
        return chosen.flatten(1).gather(1, flat.repeat(rows // len(flat))[:, None]).squeeze(1)

    def _scaled(self, chosen: Tensor) -> Tensor:
        return torch.softmax(chosen, dim=self.axis) if self.scale == "probability" else chosen

    def _flat(self, chosen: Tensor) -> Tensor:
        """Where each target lies in the numbers of one row."""
        index = self.index if self.index is not None else torch.zeros(1, chosen.ndim - 1, dtype=torch.int64)
        strides = [prod(chosen.shape[axis + 1 :]) for axis in range(1, chosen.ndim)]
        return (index.cpu() * torch.tensor(strides, dtype=torch.int64)).sum(1).to(chosen.device)

    def _at_places(self, chosen: Tensor, rows: int) -> Tensor:
        """chosen: (rows, classes, places ...)."""
        assert self.index is not None
        labels = self.index.to(chosen.device)
        labels = labels.repeat(rows // len(labels), *[1] * (labels.ndim - 1))
        picked = chosen.gather(1, labels.clamp(min=0)[:, None]).squeeze(1)
        return torch.where(labels >= 0, picked, 0).reshape(rows, -1).sum(1)

    def _errors(self, chosen: Tensor, output: object, rows: int) -> Tensor:
        if self.index is not None:
            against = self.index.to(chosen.device, chosen.dtype)
            against = against.repeat(rows // len(against), *[1] * (against.ndim - 1))
            chosen = chosen if len(chosen) == rows else chosen[:1]
        elif isinstance(output, Beside):
            against = output.given[: len(chosen)]
        else:
            raise BadTarget("an output is compared with the input, and the model does not give that beside it")
        if prod(against.shape[1:]) != prod(chosen.shape[1:]):
            raise BadTarget(
                f"the output has axes {tuple(chosen.shape[1:])} and is compared with {tuple(against.shape[1:])}"
            )
        return (chosen.flatten(1) - against.flatten(1)).square().mean(1)
