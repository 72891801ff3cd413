"""May both branches of a condition be computed, though only one is taken?

Only if the one that is not taken can be seen by nothing but its own layers: its operators must be known, give a number
for every number, draw nothing at random and write into nothing that lives outside; and both branches must give tensors
of the same shapes and types.
"""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from workers.subject.calls import arguments, operation

_TOTAL = frozenset((
    "linear", "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "batch_norm", "_native_batch_norm_legit_no_training", "instance_norm", "layer_norm", "native_layer_norm",
    "group_norm", "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_bicubic2d", "upsample_trilinear3d", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "pad",
    "constant_pad_nd", "rms_norm", "lstm", "gru", "rnn_tanh", "rnn_relu", "scaled_dot_product_attention",
    "relu", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "threshold",
    "gelu", "sigmoid", "tanh", "softplus", "softshrink", "hardshrink", "log_sigmoid", "glu", "prelu", "softmax",
    "_softmax", "log_softmax", "_log_softmax", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
    "rrelu", "view", "reshape", "_unsafe_view", "flatten", "unflatten", "permute", "transpose", "t", "movedim",
    "squeeze", "unsqueeze", "expand", "expand_as", "select", "slice", "narrow", "split", "split_with_sizes", "chunk",
    "unbind", "cat", "stack", "clone", "alias", "detach", "contiguous", "to", "_to_copy", "flip", "repeat",
    "add", "sub", "rsub", "neg", "mul", "div", "sum", "mean", "cumsum", "var", "std", "matmul", "mm", "bmm", "addmm",
    "baddbmm", "mv", "dot", "einsum", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "pow", "square", "reciprocal",
    "abs", "sign", "sin", "cos", "erf", "floor", "ceil", "round", "clamp", "clamp_min", "clamp_max", "maximum",
    "minimum", "max", "min", "amax", "amin", "argmax", "argmin", "norm", "linalg_vector_norm", "where", "masked_fill",
    "gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not", "zeros", "ones", "full",
    "zeros_like", "ones_like", "full_like", "scalar_tensor", "arange", "sym_size", "lift_fresh_copy",
))  # fmt: skip
_COND = torch.ops.higher_order.cond
_VIEWS = frozenset((
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "movedim", "squeeze", "unsqueeze", "expand",
    "expand_as", "select", "slice", "narrow", "split", "split_with_sizes", "chunk", "unbind", "alias", "detach",
    "contiguous", "to", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
))  # fmt: skip
"""Operators that may give the memory they were given."""


def unsound(condition: Any, branches: Sequence[fx.Graph]) -> str | None:
    """Why the two graphs cannot both be computed with the same result, or None where they can."""
    value = condition.meta.get("val") if isinstance(condition, fx.Node) else None
    if not isinstance(value, Tensor) or value.dtype != torch.bool or value.numel() != 1:
        return "its condition is not one true or false of a tensor"
    ends = [_outputs(graph) for graph in branches]
    if ends[0] is None or ends[0] != ends[1]:
        return "its branches give tensors of different shapes or types"
    return next((why for graph in branches for node in graph.nodes if (why := _unsound_node(node))), None)


def _outputs(graph: fx.Graph) -> list[tuple[str, str]] | None:
    given = next(iter(reversed(graph.nodes))).args[0]
    values = [each.meta.get("val") if isinstance(each, fx.Node) else None for each in _sequence(given)]
    if not all(isinstance(value, Tensor) for value in values):
        return None
    return [(str(tuple(value.shape)), str(value.dtype)) for value in values if isinstance(value, Tensor)]


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _unsound_node(node: fx.Node) -> str | None:
    if node.op in ("placeholder", "output"):
        return None
    name = operation(node)
    if node.op == "get_attr" and all(user.target is _COND for user in node.users):
        return None
    if node.op != "call_function":
        return f"a branch holds {node.op}"
    if node.target is _COND or node.target is operator.getitem or getattr(node.target, "__module__", "") == "_operator":
        return None
    if not isinstance(node.target, torch._ops.OpOverload) or name not in _TOTAL:
        return f"{name} in a branch may fail, or act on more than its result, where the branch is not taken"
    if _random(node):
        return f"{name} in a branch draws random numbers"
    if node.target._schema.is_mutable and not _writes_its_own(node):
        return f"{name} in a branch writes into a tensor that is also read elsewhere"
    return None


def _random(node: fx.Node) -> bool:
    """Whether it draws numbers: operators of dropout do not, once they are in evaluation mode."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    given = arguments(node)
    flags = [given[name] for name in ("train", "training", "dropout_p") if name in given]
    return not flags or any(flags)


def _writes_its_own(node: fx.Node) -> bool:
    """Whether an in-place operator writes only into what another operator of the branch has just made for it."""
    target = node.args[0]
    return (
        isinstance(target, fx.Node)
        and target.op == "call_function"
        and list(target.users) == [node]
        and target.target is not operator.getitem
        and operation(target) not in _VIEWS
    )
