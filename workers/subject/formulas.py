"""How many floating-point operations is one call of an operator?

The convention, which docs/intake/inspection.md repeats: a multiplication and an addition are two operations, so a dot
product of k numbers is 2k, its bias included. An elementwise operator is one operation for each number it gives,
whatever its function (ReLU as much as exp). Sums, means and maxima are one for each number they read; a softmax is
five (maximum, difference, exp, sum, quotient). Moving, choosing and comparing numbers is none, nor is arithmetic on
integers. Recurrent layers are counted gate by gate, so that a layer is the sum of its cells.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Formula = Callable[[Sequence[Any], Any], int]
"""(positional arguments, result) -> operations."""

UNTAGGED = frozenset({"hardswish", "_prelu_kernel", "hardsigmoid", "log_sigmoid_forward", "softshrink", "rsub"})
"""Elementwise operators that torch does not tag as such."""

SOFTMAX, VARIANCE, NORMALISED = 5, 4, 5
"""Operations for each number: a softmax; a variance (sum, difference, square, sum); a normalisation without weights."""

_MOVES = (
    "_copy_from _reshape_alias _reshape_copy _to_copy _unsafe_index _unsafe_view alias alias_copy arange "
    "argsort as_strided as_strided_copy atleast_1d bernoulli block_diag cat channel_shuffle clone col2im "
    "complex constant_pad_nd contiguous copy detach detach_copy diag_embed diagonal diagonal_copy embedding "
    "empty empty_like empty_permuted empty_strided expand expand_copy eye fill flip full full_like gather "
    "im2col index index_copy index_put index_select lift lift_fresh lift_fresh_copy linspace masked_fill "
    "masked_scatter masked_select multinomial narrow_copy new_empty new_empty_strided new_full new_ones "
    "new_zeros nonzero normal ones ones_like permute permute_copy pixel_shuffle pixel_unshuffle rand "
    "rand_like randint randint_like randn randn_like randperm reflection_pad1d reflection_pad2d "
    "reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d "
    "resolve_conj resolve_neg roll rot90 scalar_tensor scatter select_copy select_scatter slice_copy "
    "slice_scatter sort split_copy split_with_sizes_copy squeeze_copy stack t_copy take tensor_split topk "
    "transpose_copy tril triu unbind_copy unfold unfold_copy uniform unsafe_chunk unsafe_split "
    "unsafe_split_with_sizes unsqueeze_copy upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d view_as_complex "
    "view_as_real view_copy where zero zeros zeros_like median mode kthvalue max_unpool2d max_unpool3d "
    "exponential random"
)
MOVES = frozenset(_MOVES.split())
"""Operators that move, make or choose numbers without arithmetic on floating-point ones."""


def formula(operator: OpOverload) -> Formula | None:
    """How the operator is counted; None where nothing is known of it."""
    name = operator_name(operator)
    known = FORMULAS.get(name)
    if known is not None:
        return known
    if name in MOVES or operator.is_view:
        return _none
    return _each_given if torch.Tag.pointwise in operator.tags or name in UNTAGGED else None


def operator_name(operator: OpOverload) -> str:
    """`add` for aten.add.Tensor and for aten.add_.Tensor."""
    return str(operator._overloadpacket.__name__).removesuffix("_")


def floating(result: Any) -> Tensor | None:
    """The first tensor of a result, if it holds floating-point or complex numbers."""
    first = result[0] if isinstance(result, tuple | list) and result else result
    if isinstance(first, Tensor) and (first.is_floating_point() or first.is_complex()):
        return first
    return None


def _none(_given: Sequence[Any], _result: Any) -> int:
    return 0


def _size(result: Any) -> int:
    found = floating(result)
    return 0 if found is None else found.numel()


def _each_given(_given: Sequence[Any], result: Any) -> int:
    return _size(result)


def _each_read(times: int) -> Formula:
    return lambda given, result: times * given[0].numel() if _size(result) else 0


def _mean(given: Sequence[Any], result: Any) -> int:
    return int(given[0].numel()) + _size(result)


def _product(left: int) -> Formula:
    """A matrix product whose left factor is argument `left`; an addend before it is the bias."""
    return lambda given, result: 2 * _size(result) * int(given[left].shape[-1])


def _dot(given: Sequence[Any], _result: Any) -> int:
    return 2 * int(given[0].numel())


def _linear(given: Sequence[Any], result: Any) -> int:
    return 2 * _size(result) * int(given[1].shape[-1])


def _convolution(given: Sequence[Any], result: Any) -> int:
    source, weight, transposed = given[0], given[1], bool(given[6])
    per_place = weight.numel() // weight.shape[0]
    return 2 * (source.numel() if transposed else _size(result)) * int(per_place)


def _attention(given: Sequence[Any], result: Any) -> int:
    """Softmax(Q K' / sqrt(E) + mask) V: two products, and for each score its scaling, its mask and its softmax."""
    query, key = given[0], given[1]
    scores = query.numel() // query.shape[-1] * int(key.shape[-2])
    masked = len(given) > 3 and given[3] is not None
    return int(scores * (2 * query.shape[-1] + 1 + masked + SOFTMAX) + 2 * _size(result) * key.shape[-2])


def _batch_norm(given: Sequence[Any], result: Any) -> int:
    """Batch norm with running statistics subtracts and scales; with those of the batch it computes them first."""
    training = bool(given[5])
    return _size(result) * ((NORMALISED if training else 2) + _weights(given[1:3]))


def _batch_norm_without_training(given: Sequence[Any], result: Any) -> int:
    return _size(result) * (2 + _weights(given[1:3]))


def _layer_norm(given: Sequence[Any], result: Any) -> int:
    return _size(result) * (NORMALISED + _weights(given[2:4]))


def _group_norm(given: Sequence[Any], result: Any) -> int:
    return _size(result) * (NORMALISED + _weights(given[1:3]))


def _weights(given: Sequence[Any]) -> int:
    return sum(tensor is not None for tensor in given)


def _window(given: Sequence[Any], result: Any) -> int:
    sides: tuple[int, ...] = tuple(given[1])
    axes = given[0].ndim - 2 if given[0].ndim > 3 or len(sides) > 1 else 1
    return _size(result) * prod(sides if len(sides) > 1 else sides * axes)


def _between(neighbours: int) -> Formula:
    """Interpolation: one product for each neighbour, and their sum."""
    return lambda _, result: (2 * neighbours - 1) * _size(result)


def _recurrence(step: Callable[[int, int, int, int], int], data: bool) -> Formula:
    """A recurrent layer: `step(inputs, hidden, state, projected)` for every row, time step, layer and direction.

    data: packed rows, which come with the sizes of their batches; otherwise (N, T, I) or (T, N, I) with the state next.
    """

    def operations(given: Sequence[Any], _result: Any) -> int:
        source = given[0]
        weights, layers, both = (given[3], given[5], given[8]) if data else (given[2], given[4], given[7])
        each = len(weights) // (layers * (2 if both else 1))
        rows = int(source.numel() // source.shape[-1])
        biased = bool(given[4] if data else given[3])
        total = 0
        for at in range(0, len(weights), each):
            inputs, state = int(weights[at].shape[1]), int(weights[at + 1].shape[1])
            projection = weights[at + each - 1] if each > (4 if biased else 2) else None
            hidden = state if projection is None else int(projection.shape[1])
            total += step(inputs, hidden, state, 0 if projection is None else int(projection.shape[0]))
        return rows * total

    return operations


def lstm_step(inputs: int, hidden: int, state: int, projected: int) -> int:
    """Four gates of two products and their sum, three sigmoids and a tanh; c = f c + i g; h = o tanh(c), projected."""
    gates = 4 * hidden * (2 * inputs + 2 * state + 1) + 4 * hidden
    return gates + 3 * hidden + 2 * hidden + 2 * projected * hidden


def gru_step(inputs: int, hidden: int, state: int, _projected: int) -> int:
    """r and z: two products, sum, sigmoid; n: two products, r times one, sum, tanh; h = (h - n) z + n."""
    return 3 * hidden * (2 * inputs + 2 * state) + 2 * (2 * hidden) + 3 * hidden + 3 * hidden


def rnn_step(inputs: int, hidden: int, state: int, _projected: int) -> int:
    """Two products, their sum, tanh or ReLU."""
    return hidden * (2 * inputs + 2 * state) + 2 * hidden


FORMULAS: Mapping[str, Formula] = {
    **dict.fromkeys(("mm", "bmm", "mv"), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv"), _product(1)),
    **dict.fromkeys(("dot", "vdot"), _dot),
    "linear": _linear,
    "convolution": _convolution,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("batch_norm", "native_batch_norm", "_native_batch_norm_legit"), _batch_norm),
    "_native_batch_norm_legit_no_training": _batch_norm_without_training,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _each_read(SOFTMAX)),
    **dict.fromkeys(("sum", "nansum", "prod", "amax", "amin", "max", "min", "aminmax"), _each_read(1)),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "adaptive_max_pool2d"), _each_read(1)),
    **dict.fromkeys(("adaptive_max_pool3d", "trace"), _each_read(1)),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), _each_read(VARIANCE)),
    **dict.fromkeys(("linalg_vector_norm", "norm", "glu"), _each_read(2)),
    "logsumexp": _each_read(4),
    **dict.fromkeys(("mean", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool2d"), _mean),
    **dict.fromkeys(
        ("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "max_pool2d", "max_pool3d"),
        _window,
    ),
    "upsample_linear1d": _between(2),
    **dict.fromkeys(("upsample_bilinear2d", "_upsample_bilinear2d_aa"), _between(4)),
    "upsample_trilinear3d": _between(8),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa"), _between(16)),
    **dict.fromkeys(
        ("index_add", "scatter_add", "scatter_reduce", "index_reduce"),
        lambda given, result: given[3].numel() if _size(result) else 0,
    ),
}  # fmt: skip

PACKED_OR_NOT: Mapping[str, Mapping[str, Formula]] = {
    name: {"input": _recurrence(step, data=False), "data": _recurrence(step, data=True)}
    for name, step in {"lstm": lstm_step, "gru": gru_step, "rnn_tanh": rnn_step, "rnn_relu": rnn_step}.items()
}
"""Recurrent layers by operator and overload: their arguments stand elsewhere when the rows are packed."""
