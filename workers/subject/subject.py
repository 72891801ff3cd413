"""What is being audited? The loaded network, its examples in raw units, and what its owner declared."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from service.contracts.facts import InputFacts, ModelFacts
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
    """

    name: str
    digest: str
    inputs: Tensor
    labels: Tensor | None
    further: tuple[Tensor, ...] = ()
    texts: tuple[str, ...] | None = None
    content: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network in eval mode with frozen parameters, and examples by role.

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

    def prepared(self, raw: Tensor) -> Tensor:
        """What the network reads: (raw - mean) / std per channel or feature; same shape, same dtype as `raw`."""
        preprocessing = self.facts.input.preprocessing
        mean = along_channels(preprocessing.mean, self.facts.input, raw)
        std = along_channels(preprocessing.std, self.facts.input, raw)
        return (raw - mean) / std
