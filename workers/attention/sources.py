"""From what was each tensor of a forward pass made: from which inputs, which attentions, which product?

Whether an attention's queries and keys are the same tokens is told by what they were made from: in self-attention from
the same inputs and the same earlier attentions, in cross-attention not. Sets are written as the bits of a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from workers.attention.operators import MIXING, PRODUCT, SOFTMAX, factors


@dataclass(frozen=True, slots=True)
class Operands:
    """What queries and keys were made from, as bits: first the inputs, then the attentions in the order they ran."""

    queries: int
    keys: int


class Sources:
    """Follows every tensor of one forward pass; it keeps none of them alive."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self._made_from: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._scores: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._weights: WeakIdKeyDictionary = WeakIdKeyDictionary()
        for place, tensor in enumerate(inputs):
            self._made_from[tensor] = 1 << place
        self.inputs = len(inputs)

    def of(self, *tensors: Tensor | None) -> int:
        """Everything that these tensors were made from."""
        made = 0
        for tensor in tensors:
            made |= 0 if tensor is None else _held(self._made_from, tensor) or 0
        return made

    def mark(self, tensor: Tensor, bits: int) -> None:
        """`tensor` was made from `bits`, whatever was known of it before."""
        self._made_from[tensor] = bits

    def is_weights(self, tensor: Tensor) -> bool:
        """Whether it came out of a softmax and was only moved, masked or scaled since."""
        return tensor in self._weights

    def operands(self, weights: Tensor) -> Operands | None:
        """The product under the softmax that `weights` came out of; None where it was over something else."""
        found: Operands | None = _held(self._weights, weights)
        return found

    def follow(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """The call `name` gave `result`."""
        given = list(_tensors((args, tuple(kwargs.values()))))
        changed = [args[0]] if name == "__setitem__" else list(_tensors(result))
        if not changed:
            return
        bits = self.of(*given)
        for tensor in changed:
            if bits:
                self._made_from[tensor] = self.of(tensor) | bits
            self._hand_on(name, args, kwargs, given, tensor)

    def _hand_on(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: Sequence[Tensor], made: Tensor
    ) -> None:
        """A product of queries and keys stays scores while it is moved and masked; a softmax makes them weights.

        What is as many numbers afterwards was moved, masked or scaled.
        """
        if name in SOFTMAX:
            self._weights[made] = _held(self._scores, given[0])
        elif name in PRODUCT:
            left_right = factors(name, args, kwargs)
            if len(left_right) == 2:
                left, right = (self.of(factor.tensor) for factor in left_right)
                self._scores[made] = Operands(left, right)
        elif name not in MIXING:
            for kept in (self._scores, self._weights):
                for tensor in given:
                    if tensor in kept and tensor.numel() == made.numel():
                        kept[made] = kept[tensor]
                        break


def _held(held: WeakIdKeyDictionary, tensor: Tensor) -> Any:
    return held[tensor] if tensor in held else None  # noqa: SIM401  # its `get` has no types


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for each in tree:
            yield from _tensors(each)
