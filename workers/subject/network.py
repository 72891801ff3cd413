"""What has every format become once it is loaded? Modules with names, what they take, and what they give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn
from torch.export import ExportedProgram

ONLY_OUTPUTS = "a black box shows only its outputs; send a .pt2 for layers and gradients (see docs/exporting.md)"
"""What an analysis that needs layers or gradients answers for a network without them."""


class Tokenizer(Protocol):
    """What turns texts into the integer inputs of a network."""

    @property
    def name(self) -> str:
        """What a manifest calls it."""

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, ...]:
        """The network's inputs for `texts`, in the order of its forward, each (N, length) of int64, padded."""

    def pieces(self, text: str, length: int) -> tuple[tuple[str, int, int], ...]:
        """Each token of `text` with the place in it that it stands for (start, end; equal for added tokens)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What the canonical form holds: its digest, who wrote it from what, and what was changed or dropped, in words."""

    digest: str
    rewriter: str
    torch_version: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A network in eval mode, frozen, that maps its input tensors to one tensor; its layers keep their names.

    inputs: what each input was exported with, in the order of the forward: dtype and shape count, data need not be
            there, and a size that the file leaves open is no int. outputs: all tensors it gives; `chosen` is the one
            it returns. batch: the only batch size it takes, or None if any.
    black_box: only outputs can be seen; there are no layers and no gradients.
    program: the exported program behind it, for what its graph tells, where there is one.
    names: what its outputs are called where it gives them by name or by place; as many as `outputs`, or none.
    pad: the id that stands for no token, where it is known.
    rehydrated: how many layers became modules of torch.nn again; None where they always were.
    type_based: why methods that go by module type (DeepLift, LRP, guided backpropagation) would give wrong numbers
            here; None where they can be trusted.
    """

    model: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    chosen: int
    batch: int | None
    black_box: bool = False
    program: ExportedProgram | None = None
    tokenizer: Tokenizer | None = None
    rehydrated: int | None = None
    type_based: str | None = None
    names: tuple[str, ...] = ()
    pad: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def input(self) -> Tensor:
        """The first input."""
        return self.inputs[0]
