"""What are the attention weights of every layer in this forward pass, and what if they were others?

Weights are caught where they are multiplied with values, so they are the very numbers that the network uses, after
masks and dropout. Calls that never form them (scaled_dot_product_attention) are done here step by step, and the
network goes on with that. Modules, exported graphs and transformers' own functions are seen alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workers.attention.operators import Attend, Factor, bare_name, factors, opened, replaced, with_factor
from workers.attention.refusals import AttentionRefused
from workers.attention.sources import Operands, Sources
from workers.numerics.determinism import require_finite
from workers.sweep.watch import layer_name

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_COARSE = 2e-2  # half precisions


@dataclass(frozen=True, slots=True, eq=False)
class Caught:
    """One attention of one forward pass.

    layer: the module that ran; empty for the network's own forward. call: which attention of that module it is.
    weights: (..., queries, keys), as they are multiplied with values; each row sums to 1, or to 0 where a query may
    attend to nothing. made_from: what queries and keys were made from. bit: its own place in such a set.
    """

    layer: str
    call: int
    weights: Tensor
    made_from: Operands
    bit: int


OnAttention = Callable[[Caught], Tensor]
"""Given each attention as it happens; the network goes on with the weights it returns."""


def captured(model: nn.Module, inputs: tuple[Tensor, ...], on_attention: OnAttention) -> Any:
    """model(*inputs), with `on_attention` called for every attention in the order in which they happen.

    Raises AttentionRefused where the softmax over products of queries and keys is no longer one when it is used, and
    NotFinite.
    """
    capture = _Capture(inputs, on_attention)
    with _named(model, capture.running), capture:
        return model(*inputs)


@contextmanager
def _named(model: nn.Module, running: list[str]) -> Iterator[None]:
    """Inside, the last of `running` is the layer that is being computed."""

    def before(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def after(*_: object) -> None:
        running.pop()

    handles = [
        handle
        for name, module in model.named_modules()
        if name
        for handle in (
            module.register_forward_pre_hook(before(layer_name(name))),
            module.register_forward_hook(after),
        )
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Capture(TorchFunctionMode):
    """Sees every call of torch in one forward pass."""

    def __init__(self, inputs: tuple[Tensor, ...], on_attention: OnAttention) -> None:
        super().__init__()
        self.running = [""]
        self._on_attention = on_attention
        self._sources = Sources(inputs)
        self._calls: dict[str, int] = {}
        self._caught = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        inner = opened(func)
        if inner is not None:
            with self:
                return inner(*args, **given)
        name = bare_name(func)
        attend = Attend.read(name, args, given)
        if attend is not None:
            return self._attend(attend, func(*args, **given))
        for factor, other in self._weighted(name, args, given):
            caught = self._catch(_rows_last(factor), self._sources.operands(factor.tensor), factor.tensor)
            if caught is None:
                break
            weights = self._on_attention(caught).movedim(-1, factor.axis)
            args, given = with_factor(name, args, given, factor, weights)
            result = func(*args, **given)
            self._sources.mark(result, self._sources.of(factor.tensor, other.tensor) | caught.bit)
            return result
        result = func(*args, **given)
        self._sources.follow(name, args, given, result)
        return result

    def _attend(self, attend: Attend, result: Any) -> Any:
        """A call that does it all, in steps."""
        known = self._sources
        operands = Operands(known.of(attend.query), known.of(attend.key))
        caught = self._catch(attend.weights(), operands, attend.query)
        assert caught is not None  # its weights are a softmax of our own
        mixed = attend.mixed(self._on_attention(caught))
        known.mark(mixed, known.of(attend.query, attend.key, attend.value, attend.mask) | caught.bit)
        return replaced(result, mixed)

    def _weighted(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Factor, Factor]]:
        """The factor that holds weights of a softmax, and the other one; empty where neither does, or both do."""
        both = factors(name, args, kwargs)
        held = [factor for factor in both if self._sources.is_weights(factor.tensor)]
        return [(held[0], both[1] if held[0] is both[0] else both[0])] if len(held) == 1 else []

    def _catch(self, weights: Tensor, made_from: Operands | None, tensor: Tensor) -> Caught | None:
        """None where these are the weights of something else: no scores of queries and keys, or summed elsewhere."""
        layer = self.running[-1]
        if made_from is None:
            return None
        require_finite(weights.detach(), layer)
        if not _sums_to_one(weights):
            if tensor.shape[-1] != tensor.shape[-2]:
                return None
            raise AttentionRefused(
                f"the attention in '{layer}' is changed after its softmax: its weights no longer sum to one over the"
                " keys, as rollout takes them to"
            )
        call = self._calls.get(layer, 0)
        self._calls[layer] = call + 1
        bit = 1 << (self._sources.inputs + self._caught)
        self._caught += 1
        return Caught(layer, call, weights, made_from, bit)


def _rows_last(factor: Factor) -> Tensor:
    """(..., queries, keys): the axis over which the product sums, at the end."""
    return factor.tensor.movedim(factor.axis, -1)


def _sums_to_one(weights: Tensor) -> bool:
    sums = weights.detach().sum(-1)
    tolerance = _TOLERANCE.get(weights.dtype, _COARSE)
    return bool((((sums - 1).abs() <= tolerance) | (sums == 0)).all())
