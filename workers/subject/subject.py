"""What is being audited? The loaded network, its examples in raw units, and what its owner declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from service.contracts.facts import Column, InputFacts, ModelFacts
from service.contracts.job import StagedAnalysis
from service.contracts.manifest import ModelManifest
from workers.subject.network import Tokenizer


def along_channels(values: tuple[float, ...], facts: InputFacts, like: Tensor) -> Tensor:
    """One number, or one per channel or feature, shaped to broadcast over a batch laid out as `facts` says."""
    numbers = torch.tensor(values, dtype=like.dtype, device=like.device)
    if len(values) == 1:
        return numbers.reshape(())
    shape = [1] * (len(facts.shape) + 1)
    shape[facts.channel_axis + 1] = len(values)
    return numbers.reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """A dataset in a role.

    inputs: raw units, shape (N, ...); labels: int64 of shape (N,), or None where there are none.
    further: the inputs after the first, raw, (N, ...) each. texts: the N texts that the inputs are the tokens of.
    content: a digest of each example's raw content, uint8 of shape (N, 16): equal examples, equal rows.
    columns: the features of a table in the order of its inputs, as they were declared; none where none were.
    """

    name: str
    digest: str
    inputs: Tensor
    labels: Tensor | None
    further: tuple[Tensor, ...] = ()
    texts: tuple[str, ...] | None = None
    content: Tensor | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An analysis that was made before, in a role: what it was, and the arrays that it kept per example."""

    staged: StagedAnalysis
    arrays: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network in eval mode with frozen parameters, and examples by role.

    outputs: what its output tensors are called, where it gives several; `outputs.Whole` gives them all.
    pad: the id that stands for no token, where it is known.
    black_box: it has no layers and no gradients. type_based: why methods that go by module type cannot be asked of it.
    """

    model: nn.Module
    facts: ModelFacts
    manifest: ModelManifest
    digest: str
    examples: Mapping[str, Examples]
    device: torch.device
    black_box: bool = False
    type_based: str | None = None
    tokenizer: Tokenizer | None = None
    outputs: tuple[str, ...] = ()
    pad: int | None = None
    earlier: Mapping[str, "Earlier"] = field(default_factory=dict)

    @property
    def declared(self) -> tuple[InputFacts, ...]:
        """The facts of each input, in the order of the forward; those of a text stand for all its tokens' inputs."""
        return (self.facts.input, *(further.input for further in self.facts.further_inputs))

    def prepared(self, raw: Tensor, position: int = 0) -> Tensor:
        """What the network reads as its input number `position`: (raw - mean) / std per channel or feature.

        Same shape, same dtype as `raw`; ids are read as they are.
        """
        if not raw.is_floating_point():
            return raw
        facts = self.declared[position]
        mean, std = (along_channels(v, facts, raw) for v in (facts.preprocessing.mean, facts.preprocessing.std))
        return (raw - mean) / std

    def arguments(
        self, examples: Examples, start: int = 0, stop: int | None = None, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, ...]:
        """What the network is called with for examples start:stop, floating-point inputs in `dtype` where one is given.

        One tensor per input, examples along axis 0.
        """
        raw = (tensor[start:stop] for tensor in (examples.inputs, *examples.further))
        return tuple(
            self.prepared(tensor.to(dtype or tensor.dtype) if tensor.is_floating_point() else tensor, position)
            for position, tensor in enumerate(raw)
        )
