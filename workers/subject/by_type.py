"""Would methods that go by the type of a module give right numbers on this network?

DeepLift, guided backpropagation and deconvolution change what a module of torch.nn passes back; LRP redistributes at
modules alone. They never see an operation that is no module, keep one value for a module that runs twice, and treat
a non-linearity without a rule as if it were linear: each of these is a wrong number without an error. So the graphs
are followed from the input, and whatever of this touches a value that varies with it is named.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, Literal

from torch import Tensor, fx, nn

from workers.subject.calls import nodes, operation
from workers.subject.refusal import quoted
from workers.sweep.watch import layer_name

Method = Literal["deeplift", "lrp"]
"""deeplift stands for all that change gradients at non-linearities; lrp asks for more, see `reasons`."""

_POOLED: tuple[type[nn.Module], ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
RULED: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, *_POOLED,
)  # fmt: skip
"""Non-linear modules for which captum's DeepLift has a rule that adds up; that of nn.Softmax does not."""

_SAME: tuple[type[nn.Module], ...] = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity,
    nn.Flatten,
)  # fmt: skip
"""Modules that may give the very tensor they were given, in evaluation mode."""

_LINEAR: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout, nn.Flatten, nn.Unflatten, nn.Identity, nn.Embedding, nn.Upsample, nn.PixelShuffle,
    nn.PixelUnshuffle, nn.ChannelShuffle, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ReflectionPad1d,
    nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d,
    nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
)  # fmt: skip
"""Affine in what they are given, in evaluation mode."""

_RELEVANCE: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
    nn.ReLU, nn.Tanh, nn.Dropout,
)  # fmt: skip
"""Modules through which captum's LRP hands relevance on; it refuses all others."""

_MOVED = frozenset((
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "permute", "transpose", "t", "movedim",
    "squeeze", "unsqueeze", "expand", "select", "slice", "narrow", "split", "split_with_sizes", "chunk",
    "unbind", "clone", "alias", "detach", "contiguous", "lift_fresh_copy", "to", "_to_copy", "roll", "flip",
    "repeat", "gather", "index", "index_select", "diagonal", "pad", "constant_pad_nd", "dropout",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "as_strided", "getitem", "unfold", "tile",
    "repeat_interleave",
))  # fmt: skip
"""Operators that only move or copy numbers."""

_ADDED = frozenset((
    "add", "sub", "rsub", "neg", "sum", "mean", "cumsum", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "select_scatter", "slice_scatter",
))  # fmt: skip
"""Operators that are linear in all their values together."""

_MULTIPLIED = frozenset((
    "mul", "matmul", "mm", "bmm", "addmm", "baddbmm", "mv", "dot", "linear", "conv1d", "conv2d", "conv3d",
    "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "einsum", "outer", "embedding",
    "addcmul",
))  # fmt: skip
"""Operators that are linear in each value if the others do not vary."""

_ALIGNED = frozenset(("cat", "stack", "view_as", "expand_as", "gated"))
"""Operators that move numbers, whose further values vary along or give only a shape."""

_PASSED = frozenset(("to", "contiguous", "flatten", "dropout", "feature_dropout", "alpha_dropout"))
"""Operators that may give the very tensor they were given."""

_SIZES = ("sym_", "new_", "zeros_like", "ones_like", "full_like", "_assert")
"""Operators that read no number of what they are given, only its size and type."""

_DECIDED = frozenset(("div", "batch_norm", "_native_batch_norm_legit_no_training", "masked_fill"))
"""Operators that are linear in their first value if the others do not vary."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What stands in the way: an operation in a layer ('' is the network itself), and what is wrong with it."""

    layer: str
    operation: str
    wrong: str

    def __str__(self) -> str:
        where = f"in layer {quoted(self.layer)}" if self.layer else "in the network's own forward"
        return f"{self.operation} {where} {self.wrong}"


_NO_MODULE = "is a functional operation and no module of its own"
_UNSHARED = "is a functional operation, through which relevance is not shared"
_NO_RULE = "has no rule in these methods"
_REUSED = "runs more than once as one module"
_JOINED = "writes into a tensor that others read, or that another non-linearity gave"
_OVERLAP = "has windows that overlap, for which its rule does not add up"


class _Is(IntFlag):
    """What is known of a value: that it varies with the input, that a ruled module gave it, that others read it too."""

    FIXED = 0
    VARYING = 1
    GIVEN = 2
    SHARED = 4


def why_not(model: nn.Module, method: Method = "deeplift") -> str | None:
    """Why methods that go by module type are not applicable to an unflattened and rehydrated network, or None."""
    found = reasons(model, method)
    if not found:
        return None
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return f"{'; '.join(str(each) for each in found[:3])}{more}"


def by_layer(model: nn.Module, method: Method = "deeplift") -> dict[str, str]:
    """The first reason of each layer that has one, by layer name."""
    told: dict[str, str] = {}
    for reason in reasons(model, method):
        told.setdefault(reason.layer, f"{reason.operation} {reason.wrong}")
    return told


def reasons(model: nn.Module, method: Method = "deeplift") -> tuple[Reason, ...]:
    """Everything that would make the method wrong here, in the order of the forward pass, each once.

    deeplift: a non-linear operation that is no module, a non-linear module without a rule or run more than once.
    lrp: also every sum, product or convolution that is no module, since relevance passes these unshared.
    """
    walk = _Walk(method)
    walk.module(model, "", None)
    found = [*walk.found, *(Reason(layer, kind, _JOINED) for _, _, layer, kind in walk.joined)]
    return tuple(dict.fromkeys(found))


def joined(model: nn.Module) -> tuple[tuple[nn.Module, fx.Node], ...]:
    """Calls of a ruled module with a tensor that another gave or that others read too, each with its graph's module.

    captum puts the rule's gradient in place of the tensor's own: it drops what comes back from the other readers, and
    hands the module that gave the tensor the gradient from before.
    """
    walk = _Walk("deeplift")
    walk.module(model, "", None)
    return tuple((holder, node) for holder, node, _, _ in walk.joined)


@dataclass(slots=True)
class _Walk:
    """Follows which values vary with the input, through the graphs, in the order in which they run."""

    method: Method
    found: list[Reason] = field(default_factory=list)
    joined: list[tuple[nn.Module, fx.Node, str, str]] = field(default_factory=list)
    ran: Counter[int] = field(default_factory=Counter)

    def module(self, module: nn.Module, name: str, given: Sequence[_Is] | None) -> _Is:
        """What the values that `module` gives are, if those it is given are `given` (all vary if None)."""
        graph = getattr(module, "graph", None)
        if given is not None and not any(given):
            return _Is.FIXED
        if not isinstance(graph, fx.Graph):
            return self._leaf(module, name, given[0] if given else _Is.VARYING)
        inputs = iter(given if given is not None else [_Is.VARYING] * len(graph.nodes))
        values: dict[fx.Node, _Is] = {}
        for node in graph.nodes:
            if node.op == "placeholder":
                values[node] = next(inputs)
            elif node.op == "output":
                made = [values[each] for each in node.all_input_nodes]
                return made[0] if isinstance(node.args[0], fx.Node) else max(made, default=_Is.FIXED) & _Is.VARYING
            else:
                values[node] = self._node(node, values, module, name)
        return _Is.VARYING

    def _node(self, node: fx.Node, values: dict[fx.Node, _Is], module: nn.Module, name: str) -> _Is:
        if node.op == "call_module":
            target = str(node.target)
            called = module.get_submodule(target)
            given = [_read(each, values) for each in node.args]
            path = f"{name}.{target}" if name else target
            if type(called) in RULED and given[0] & _Is.VARYING and given[0] & (_Is.GIVEN | _Is.SHARED):
                self.joined.append((module, node, layer_name(path), type(called).__name__))
            return self.module(called, path, given)
        moving = [each for each in node.all_input_nodes if values[each]]
        if node.op != "call_function" or not moving or operation(node).startswith(_SIZES):
            return _Is.FIXED
        if _differentiable(node):
            self._operation(node, moving, layer_name(name))
        return _read(moving[0], values) if operation(node) in _PASSED else _Is.VARYING

    def _operation(self, node: fx.Node, moving: Sequence[fx.Node], layer: str) -> None:
        called = operation(node)
        shown = "torch.cond" if called == "selected" else called
        if not _linear(called, node, moving):
            self.found.append(Reason(layer, shown, _NO_MODULE))
        elif self.method == "lrp" and called not in _MOVED | _ALIGNED:
            self.found.append(Reason(layer, shown, _UNSHARED))

    def _leaf(self, module: nn.Module, name: str, given: _Is) -> _Is:
        kind, layer = type(module), layer_name(name)
        known = (*RULED, *_LINEAR) if self.method == "deeplift" else _RELEVANCE
        self.ran[id(module)] += 1
        if kind not in known:
            self.found.append(Reason(layer, kind.__name__, _NO_RULE))
        elif kind in _POOLED and _overlaps(module):
            self.found.append(Reason(layer, kind.__name__, _OVERLAP))
        if self.ran[id(module)] == 2 and kind in RULED:
            self.found.append(Reason(layer, kind.__name__, _REUSED))
        if kind in RULED:
            return _Is.VARYING | _Is.GIVEN
        return given if kind in _SAME else _Is.VARYING


def _read(value: Any, values: Mapping[fx.Node, _Is]) -> _Is:
    """What a call is given; what does not vary is nothing to it."""
    if not isinstance(value, fx.Node) or not values[value]:
        return _Is.FIXED
    return values[value] | _Is.SHARED if len(value.users) > 1 else values[value]


def _overlaps(pool: nn.Module) -> bool:
    kernel, stride, dilation = (_whole(getattr(pool, name)) for name in ("kernel_size", "stride", "dilation"))
    return any(size > step for size, step in zip(kernel, stride, strict=True)) or any(apart != 1 for apart in dilation)


def _whole(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (int(value),)


def _differentiable(node: fx.Node) -> bool:
    """Whether a gradient can pass: not through comparisons, positions and sizes."""
    value = node.meta.get("val")
    values: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    return value is None or any(isinstance(each, Tensor) and each.is_floating_point() for each in values)


def _linear(called: str, node: fx.Node, moving: Sequence[fx.Node]) -> bool:
    """Whether the operation is linear (or affine) in all varying values together."""
    if called in _ADDED or called in _ALIGNED:
        return True
    if called in _MULTIPLIED:
        return sum(nodes(node.args).count(each) for each in moving) == 1
    if called == "where":
        return node.args[0] not in moving
    if called in _MOVED or called in _DECIDED:
        return not any(each in moving for each in nodes(node.args[1:]))
    return False
