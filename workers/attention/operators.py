"""Which calls of torch are parts of an attention, and which of their arguments are what?

An attention is a softmax over products of queries and keys, multiplied with values: three calls, or one that does it
all (Vaswani et al., arXiv:1706.03762, equation 1). Modules, functions and the operators of exported graphs go by the
same bare names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SOFTMAX = frozenset(("softmax", "_softmax", "_safe_softmax", "special_softmax"))
PRODUCT = frozenset(("matmul", "bmm", "baddbmm", "einsum"))
"""Calls that multiply matrices of which there is one for each example and head."""

MIXING = frozenset(("linear", "mm", "addmm", "conv1d", "conv2d", "conv3d", "convolution", "layer_norm", "rms_norm"))
"""Calls after which numbers are no longer scores or weights, whatever their shape."""

_ATTENDS: dict[str, tuple[str, ...]] = {
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    "_scaled_dot_product_attention_math": ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    "_scaled_dot_product_flash_attention_for_cpu": ("query", "key", "value", "dropout_p", "is_causal"),
}
"""The positional arguments of the calls that do it all; the others have names."""

Change = Callable[[Tensor], Tensor]


def bare_name(function: Any) -> str:
    """`matmul` for torch.matmul, Tensor.matmul and aten.matmul.default alike."""
    return str(getattr(function, "__name__", "")).partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend:
    """One call that does it all. mask: boolean (True: attend) or added to the scores."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    causal: bool
    scale: float

    @classmethod
    def read(cls, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Attend | None:
        """The call `name` with these arguments; None where it is no attention."""
        if name not in _ATTENDS:
            return None
        given = {**dict(zip(_ATTENDS[name], args, strict=False)), **kwargs}
        query, key, value = given["query"], given["key"], given["value"]
        scale = given.get("scale")
        return cls(
            query=query, key=key, value=value, mask=given.get("attn_mask"), causal=bool(given.get("is_causal", False)),
            scale=query.shape[-1] ** -0.5 if scale is None else scale,
        )  # fmt: skip

    def weights(self) -> Tensor:
        """(..., heads, queries, keys): softmax(scale q kᵀ + mask); a query that may attend to nothing has zeros."""
        scores = (self.query * self.scale) @ self._shared(self.key).transpose(-1, -2)
        if self.causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        if self.mask is not None and self.mask.dtype == torch.bool:
            scores = scores.masked_fill(~self.mask, float("-inf"))
        elif self.mask is not None:
            scores = scores + self.mask
        nothing = scores.isneginf().all(-1, keepdim=True)  # the softmax of such a row, and its gradient, are NaN
        return torch.softmax(scores.masked_fill(nothing, 0.0), -1).masked_fill(nothing, 0.0)

    def mixed(self, weights: Tensor) -> Tensor:
        """What the attention gives with these weights."""
        return weights @ self._shared(self.value)

    def _shared(self, tensor: Tensor) -> Tensor:
        """Keys and values of several heads of queries, repeated for each of them (grouped-query attention)."""
        heads, own = self.query.shape[-3:-2], tensor.shape[-3:-2]
        return tensor if heads == own else tensor.repeat_interleave(heads[0] // own[0], -3)


def replaced(result: Any, mixed: Tensor) -> Any:
    """The result of such a call, with `mixed` for what the attention gives."""
    return (mixed, *result[1:]) if isinstance(result, tuple) else mixed


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a product, and the axis of it over which the product sums."""

    place: int | str
    tensor: Tensor
    axis: int


def factors(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Factor, ...]:
    """The two factors of a product of matrices; none where the call is another, or its factors have under 3 axes."""
    if name == "einsum":
        return _of_einsum(args)
    if name not in PRODUCT:
        return ()
    first = 1 if name == "baddbmm" else 0
    names = ("batch1", "batch2") if name == "baddbmm" else ("mat2" if name == "bmm" else "other",) * 2
    places: list[int | str] = [at if at < len(args) else name for at, name in enumerate(names, first)]
    left, right = (args[place] if isinstance(place, int) else kwargs.get(place) for place in places)
    if not isinstance(left, Tensor) or not isinstance(right, Tensor) or min(left.ndim, right.ndim) < 3:
        return ()
    return (Factor(places[0], left, -1), Factor(places[1], right, -2))


def _of_einsum(args: tuple[Any, ...]) -> tuple[Factor, ...]:
    if not args or not isinstance(args[0], str) or "." in args[0] or "->" not in args[0]:
        return ()
    operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    inputs, _, output = args[0].replace(" ", "").partition("->")
    letters = inputs.split(",")
    if len(letters) != 2 or len(operands) != 2 or not all(isinstance(each, Tensor) for each in operands):
        return ()
    summed = (set(letters[0]) & set(letters[1])) - set(output)
    if len(summed) != 1 or min(map(len, letters)) < 3:
        return ()
    (letter,) = summed
    return tuple(Factor(at, operands[at], letters[at].index(letter)) for at in range(2))


def with_factor(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], factor: Factor, tensor: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a product with `tensor` in the place of `factor`."""
    if isinstance(factor.place, str):
        return args, {**kwargs, factor.place: tensor}
    if name == "einsum" and isinstance(args[1], list | tuple):  # as the operator takes them, not the function
        return (args[0], [tensor if at == factor.place else each for at, each in enumerate(args[1])]), dict(kwargs)
    place = factor.place + (name == "einsum")
    return tuple(tensor if at == place else each for at, each in enumerate(args)), dict(kwargs)


_FORWARD = functional.multi_head_attention_forward
_WITHOUT_CHECK = FunctionType(
    _FORWARD.__code__, {**_FORWARD.__globals__, "has_torch_function": lambda _: False}, _FORWARD.__name__,
    _FORWARD.__defaults__, _FORWARD.__closure__,
)  # fmt: skip
_WITHOUT_CHECK.__kwdefaults__ = _FORWARD.__kwdefaults__


def opened(function: Any) -> Callable[..., Any] | None:
    """A function of torch.nn.functional that holds a whole attention, such that a mode sees the calls inside.

    Its own first line hands it to the mode as one call, again and again; what is given here is the same code without
    that line's check. None for every other function.
    """
    return _WITHOUT_CHECK if function is _FORWARD else None
