"""What does a network say of one example alone, given in raw units?

The way from raw units to the network's input is written down here once more, in numpy, from the declared facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.subject.subject import Subject

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """A network and the examples around which adversarials were made. role: whose examples they are. position: the
    input that was attacked; the others stay as they are."""

    subject: Subject
    role: str = "evaluation"
    position: int = 0

    @property
    def facts(self) -> InputFacts:
        """Of the attacked input."""
        return self.subject.declared[self.position]

    def originals(self, index: Array) -> Array:
        """The examples with these numbers, (n, ...), raw."""
        return np.asarray(self._inputs[self.position].numpy()[index])

    def bounds(self) -> tuple[Array, Array]:
        """(lowest, highest) legal raw values, shaped to broadcast over (n, ...), float64."""
        bounds = self.facts.bounds
        return along_channels(bounds.low, self.facts), along_channels(bounds.high, self.facts)

    def output(self, made: Array, index: int) -> Array:
        """What the network gives for one input in place of that of example `index`, without the batch axis, float64.

        made: (...), raw. Raises ValueError where the network gives no floating-point tensor.
        """
        inputs = [each[index : index + 1].numpy() for each in self._inputs]
        inputs[self.position] = made[None].astype(inputs[self.position].dtype)
        given = [
            torch.from_numpy(np.ascontiguousarray(prepared(raw, facts))).to(self.subject.device)
            for raw, facts in zip(inputs, self._declared, strict=True)
        ]
        if (size := self.subject.manifest.batch) is not None:  # the network takes that many rows and no others
            given = [each.expand(size, *each.shape[1:]).contiguous() for each in given]
        with torch.no_grad():
            output = self.subject.model(*given)
        if isinstance(output, tuple | list):
            output = next((each for each in output if isinstance(each, Tensor)), None)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise ValueError(f"the network gives {type(output).__name__}, of which no prediction can be read")
        return np.asarray(output[0].detach().double().cpu().numpy())

    @property
    def _inputs(self) -> tuple[Tensor, ...]:
        examples = self.subject.examples[self.role]
        return (examples.inputs, *examples.further)

    @property
    def _declared(self) -> tuple[InputFacts, ...]:
        declared = self.subject.declared
        return (*declared, *(declared[0],) * (len(self._inputs) - len(declared)))


def prepared(raw: Array, facts: InputFacts) -> Array:
    """(raw - mean) / std in the dtype of `raw`, (n, ...); ids as they are."""
    if raw.dtype.kind != "f":
        return raw
    mean, std = (
        along_channels(numbers, facts).astype(raw.dtype)
        for numbers in (facts.preprocessing.mean, facts.preprocessing.std)
    )
    return np.asarray((raw - mean) / std)


def along_channels(numbers: tuple[float, ...], facts: InputFacts) -> Array:
    """One number, or one per channel or feature, float64, shaped to broadcast over (n, ...)."""
    values = np.asarray(numbers, dtype=np.float64)
    if len(values) == 1:
        return values.reshape(())
    shape = [1] * (1 + len(facts.shape))
    shape[1 + facts.channel_axis] = len(values)
    return values.reshape(shape)


def predicted(output: Array, kind: str, axis: int = 0) -> Array:
    """The class of one output, int64: the largest along `axis`; of a single number whether it is above its middle.

    output: without the batch axis. kind: as the facts declare it; the middle is 0.5 of probabilities, 0 of others.
    """
    if output.size == 1:
        return np.asarray(output.reshape(()) > (0.5 if kind == "probabilities" else 0.0)).astype(np.int64)
    return np.asarray(output.argmax(axis))
