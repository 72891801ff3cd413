"""Which module of torch.nn is one operator with these arguments?

The answer comes from the operator and its arguments alone: the type that a file names is its author's text. A module
is built without weights, on the meta device, and given the very tensors that the operator reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class NoModule(Exception):
    """No module of torch.nn makes this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A call of one operator on one value that a layer is given.

    name: aten's, without its overload. inplace: it writes into the value it is given.
    settings: arguments that are no tensors, by the schema's names, defaults filled in. owned: tensors of the layer.
    shape: of the value; a size that the file leaves open is no int.
    """

    name: str
    inplace: bool
    settings: Mapping[str, Any]
    owned: Mapping[str, Tensor]
    shape: tuple[Any, ...]

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """A setting as `count` integers; one stands for all."""
        value = self.settings[name]
        found = tuple(value) if isinstance(value, list | tuple) else (value,)
        found = found * count if len(found) == 1 else found
        if len(found) != count or not all(type(each) is int for each in found):
            raise NoModule
        return found

    def channels(self) -> int:
        """The size of axis 1, as the weights or else the value have it."""
        sizes = [len(tensor) for tensor in self.owned.values()] or list(self.shape[1:2])
        if not sizes or type(sizes[0]) is not int:
            raise NoModule
        return sizes[0]

    def off(self, *flags: str) -> None:
        """Raises NoModule unless each of these settings is off: a module in evaluation mode would not set it."""
        if any(self.settings[flag] for flag in flags):
            raise NoModule


def module_of(operator: Operator) -> nn.Module:
    """The module in evaluation mode whose forward is this call. Raises NoModule."""
    build = _BUILD.get(operator.name)
    if build is None:
        raise NoModule
    with torch.device("meta"):
        module = build(operator)
    _give(module, operator.owned)
    return module.eval()


def _give(module: nn.Module, owned: Mapping[str, Tensor]) -> None:
    """Puts the tensors where the module has its own; they must be of the same number, names and shapes."""
    state = {**module._parameters, **module._buffers}
    wanted = {name: tensor for name, tensor in state.items() if tensor is not None and name != "num_batches_tracked"}
    if wanted.keys() != owned.keys() or any(tensor.shape != owned[name].shape for name, tensor in wanted.items()):
        raise NoModule
    for name, tensor in owned.items():
        module._parameters.pop(name, None)
        module._buffers.pop(name, None)
        if isinstance(tensor, nn.Parameter):
            module._parameters[name] = tensor
        else:
            module.register_buffer(name, tensor, persistent=False)


# --- layers with weights


def _linear(op: Operator) -> nn.Module:
    out, into = _sizes(op, 2)
    return nn.Linear(into, out, bias="bias" in op.owned)


_CONVOLUTIONS: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: tuple[Any, ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _sizes(op: Operator, axes: int | None = None) -> tuple[int, ...]:
    weight = op.owned.get("weight")
    if weight is None or (axes is not None and weight.ndim != axes):
        raise NoModule
    return tuple(weight.shape)


def _convolution(op: Operator) -> nn.Module:
    if op.settings.get("transposed"):
        return _transposed(op)
    out, into, *kernel = _sizes(op)
    dims, groups = _dims(kernel), op.settings["groups"]
    padding = op.settings["padding"]
    made: nn.Module = _CONVOLUTIONS[dims - 1](
        into * groups, out, tuple(kernel), op.integers("stride", dims),
        padding if isinstance(padding, str) else op.integers("padding", dims), op.integers("dilation", dims), groups,
        bias="bias" in op.owned,
    )  # fmt: skip
    return made


def _transposed(op: Operator) -> nn.Module:
    into, out, *kernel = _sizes(op)
    dims, groups = _dims(kernel), op.settings["groups"]
    made: nn.Module = _TRANSPOSED[dims - 1](
        into, out * groups, tuple(kernel), op.integers("stride", dims), op.integers("padding", dims),
        op.integers("output_padding", dims), groups, bias="bias" in op.owned, dilation=op.integers("dilation", dims),
    )  # fmt: skip
    return made


def _dims(kernel: list[int]) -> int:
    if not 1 <= len(kernel) <= 3:
        raise NoModule
    return len(kernel)


def _batch_norm(op: Operator) -> nn.Module:
    if op.settings.get("training"):
        raise NoModule
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    if len(op.shape) not in kinds or "running_mean" not in op.owned:
        raise NoModule
    settings = op.settings
    return kinds[len(op.shape)](op.channels(), settings["eps"], settings["momentum"], affine="weight" in op.owned)


def _instance_norm(op: Operator) -> nn.Module:
    kinds = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
    tracked = "running_mean" in op.owned
    if len(op.shape) not in kinds or tracked == op.settings["use_input_stats"]:
        raise NoModule
    made: nn.Module = kinds[len(op.shape)](
        op.channels(), op.settings["eps"], op.settings["momentum"], "weight" in op.owned, tracked
    )
    return made


def _layer_norm(op: Operator) -> nn.Module:
    shape = op.integers("normalized_shape", len(op.settings["normalized_shape"]))
    return nn.LayerNorm(list(shape), op.settings["eps"], "weight" in op.owned, "bias" in op.owned)


def _rms_norm(op: Operator) -> nn.Module:
    shape = op.integers("normalized_shape", len(op.settings["normalized_shape"]))
    return nn.RMSNorm(list(shape), op.settings["eps"], "weight" in op.owned)


def _group_norm(op: Operator) -> nn.Module:
    return nn.GroupNorm(op.settings["num_groups"], op.channels(), op.settings["eps"], "weight" in op.owned)


def _embedding(op: Operator) -> nn.Module:
    count, width = _sizes(op, 2)
    padding = op.settings["padding_idx"]
    return nn.Embedding(
        count, width, None if padding < 0 else padding, scale_grad_by_freq=op.settings["scale_grad_by_freq"],
        sparse=op.settings["sparse"],
    )  # fmt: skip


# --- pooling, places and shapes


def _max_pool(dims: int) -> Callable[[Operator], nn.Module]:
    kinds: tuple[Any, ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)

    def build(op: Operator) -> nn.Module:
        kernel, stride = _window(op, dims)
        made: nn.Module = kinds[dims - 1](
            kernel, stride, op.integers("padding", dims), op.integers("dilation", dims),
            ceil_mode=op.settings["ceil_mode"],
        )  # fmt: skip
        return made

    return build


def _avg_pool(dims: int) -> Callable[[Operator], nn.Module]:
    kinds: tuple[Any, ...] = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)

    def build(op: Operator) -> nn.Module:
        kernel, stride = _window(op, dims)
        padding, ceil, padded = (
            op.integers("padding", dims),
            op.settings["ceil_mode"],
            op.settings["count_include_pad"],
        )
        divisor = () if dims == 1 else (op.settings["divisor_override"],)
        made: nn.Module = kinds[dims - 1](kernel, stride, padding, ceil, padded, *divisor)
        return made

    return build


def _window(op: Operator, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    kernel = op.integers("kernel_size", dims)
    return kernel, op.integers("stride", dims) if op.settings["stride"] else kernel


def _adaptive(kind: Any, dims: int) -> Callable[[Operator], nn.Module]:
    def build(op: Operator) -> nn.Module:
        size = op.integers("output_size", dims)
        made: nn.Module = kind(size[0] if dims == 1 else size)
        return made

    return build


def _flatten(op: Operator) -> nn.Module:
    return nn.Flatten(*op.integers("start_dim", 1), *op.integers("end_dim", 1))


def _unflatten(op: Operator) -> nn.Module:
    return nn.Unflatten(op.integers("dim", 1)[0], op.integers("sizes", len(op.settings["sizes"])))


def _pad(op: Operator) -> nn.Module:
    """Pairs of widths, last axis first."""
    widths = op.settings["pad"]
    padding, dims = op.integers("pad", len(widths)), len(widths) // 2
    mode = op.settings.get("mode", "constant")
    kinds: dict[str, tuple[Any, ...]] = {
        "constant": (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
        "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
        "replicate": (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
        "circular": (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
    }
    if len(widths) % 2 or not 1 <= dims <= 3 or mode not in kinds:
        raise NoModule
    value = op.settings.get("value")
    constant = (0.0 if value is None else float(value),) if mode == "constant" else ()
    made: nn.Module = kinds[mode][dims - 1](padding, *constant)
    return made


def _upsample(mode: str, dims: int) -> Callable[[Operator], nn.Module]:
    def build(op: Operator) -> nn.Module:
        factors = op.settings.get("scale_factors")
        size = None if op.settings.get("output_size") is None else op.integers("output_size", dims)
        if (factors is None) == (size is None) or "scale_factors" not in op.settings:
            raise NoModule
        factor = None if factors is None else tuple(float(each) for each in factors)
        return nn.Upsample(size, factor, mode, op.settings.get("align_corners"))

    return build


# --- non-linearities, and what does nothing in evaluation mode


def _plain(kind: Any, **settings: str) -> Callable[[Operator], nn.Module]:
    """A module that takes each of `settings` from the operator's setting of that name, and nothing else."""

    def build(op: Operator) -> nn.Module:
        if op.inplace:
            raise NoModule  # torch.nn has no in-place form of it
        made: nn.Module = kind(**{argument: op.settings[name] for argument, name in settings.items()})
        return made

    return build


def _written(kind: Any, **settings: str) -> Callable[[Operator], nn.Module]:
    """The same for a module that also has an in-place form."""

    def build(op: Operator) -> nn.Module:
        made: nn.Module = kind(
            **{argument: op.settings[name] for argument, name in settings.items()}, inplace=op.inplace
        )
        return made

    return build


def _hardtanh(op: Operator) -> nn.Module:
    low, high = op.settings["min_val"], op.settings["max_val"]
    return nn.ReLU6(op.inplace) if (low, high) == (0, 6) else nn.Hardtanh(low, high, inplace=op.inplace)


def _elu(op: Operator) -> nn.Module:
    if op.settings["scale"] != 1 or op.settings["input_scale"] != 1:
        raise NoModule
    return nn.ELU(op.settings["alpha"], op.inplace)


def _softmax(kind: Any) -> Callable[[Operator], nn.Module]:
    def build(op: Operator) -> nn.Module:
        if op.settings.get("dtype") is not None or op.settings.get("half_to_float"):
            raise NoModule
        made: nn.Module = kind(dim=op.settings["dim"])
        return made

    return build


def _prelu(op: Operator) -> nn.Module:
    return nn.PReLU(op.channels())


def _rrelu(op: Operator) -> nn.Module:
    op.off("training")
    return nn.RReLU(op.settings["lower"], op.settings["upper"], op.inplace)


def _dropout(kind: Any) -> Callable[[Operator], nn.Module]:
    def build(op: Operator) -> nn.Module:
        op.off("train")
        made: nn.Module = kind(op.settings["p"], op.inplace)
        return made

    return build


def _feature_dropout(op: Operator) -> nn.Module:
    kinds = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}
    if len(op.shape) not in kinds:
        raise NoModule
    return _dropout(kinds[len(op.shape)])(op)


_BUILD: dict[str, Callable[[Operator], nn.Module]] = {
    "linear": _linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _layer_norm),
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "embedding": _embedding,
    **{f"max_pool{dims}d": _max_pool(dims) for dims in (1, 2, 3)},
    **{f"max_pool{dims}d_with_indices": _max_pool(dims) for dims in (2, 3)},
    **{f"avg_pool{dims}d": _avg_pool(dims) for dims in (1, 2, 3)},
    "adaptive_avg_pool1d": _adaptive(nn.AdaptiveAvgPool1d, 1),
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive(nn.AdaptiveAvgPool2d, 2)),
    **dict.fromkeys(("adaptive_avg_pool3d", "_adaptive_avg_pool3d"), _adaptive(nn.AdaptiveAvgPool3d, 3)),
    "adaptive_max_pool1d": _adaptive(nn.AdaptiveMaxPool1d, 1),
    "adaptive_max_pool2d": _adaptive(nn.AdaptiveMaxPool2d, 2),
    "adaptive_max_pool3d": _adaptive(nn.AdaptiveMaxPool3d, 3),
    "flatten": _flatten,
    "unflatten": _unflatten,
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **{f"upsample_nearest{dims}d": _upsample("nearest", dims) for dims in (1, 2, 3)},
    **{f"_upsample_nearest_exact{dims}d": _upsample("nearest-exact", dims) for dims in (1, 2, 3)},
    "upsample_linear1d": _upsample("linear", 1),
    "upsample_bilinear2d": _upsample("bilinear", 2),
    "upsample_bicubic2d": _upsample("bicubic", 2),
    "upsample_trilinear3d": _upsample("trilinear", 3),
    "pixel_shuffle": _plain(nn.PixelShuffle, upscale_factor="upscale_factor"),
    "pixel_unshuffle": _plain(nn.PixelUnshuffle, downscale_factor="downscale_factor"),
    "channel_shuffle": _plain(nn.ChannelShuffle, groups="groups"),
    "relu": _written(nn.ReLU),
    "leaky_relu": _written(nn.LeakyReLU, negative_slope="negative_slope"),
    "elu": _elu,
    "celu": _written(nn.CELU, alpha="alpha"),
    "selu": _written(nn.SELU),
    "silu": _written(nn.SiLU),
    "mish": _written(nn.Mish),
    "hardswish": _written(nn.Hardswish),
    "hardsigmoid": _written(nn.Hardsigmoid),
    "hardtanh": _hardtanh,
    "threshold": _written(nn.Threshold, threshold="threshold", value="value"),
    "gelu": _plain(nn.GELU, approximate="approximate"),
    "sigmoid": _plain(nn.Sigmoid),
    "tanh": _plain(nn.Tanh),
    "softplus": _plain(nn.Softplus, beta="beta", threshold="threshold"),
    "softshrink": _plain(nn.Softshrink, lambd="lambd"),
    "hardshrink": _plain(nn.Hardshrink, lambd="lambd"),
    "log_sigmoid": _plain(nn.LogSigmoid),
    "glu": _plain(nn.GLU, dim="dim"),
    "prelu": _prelu,
    "rrelu": _rrelu,
    **dict.fromkeys(("softmax", "_softmax"), _softmax(nn.Softmax)),
    **dict.fromkeys(("log_softmax", "_log_softmax"), _softmax(nn.LogSoftmax)),
    "dropout": _dropout(nn.Dropout),
    "feature_dropout": _feature_dropout,
    "alpha_dropout": _dropout(nn.AlphaDropout),
    "feature_alpha_dropout": _dropout(nn.FeatureAlphaDropout),
}

LAYERS = frozenset(_BUILD)
"""Operators that may be a module of torch.nn of their own."""
