"""Which rule does each operation have?

The tables are the whole of it. An operation in none of them has no rule, and what lies before it gets no number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from workers.rescale import normalised, secants, selections
from workers.rescale.calls import Call
from workers.rescale.secants import Given, Pair

Multiply = Callable[[Pair, Given, Given], Given]
"""(the operation at both ends, the gradients of its operands by its own derivative, the multipliers of its results) ->
the multipliers of its operands."""

Asks = Callable[[Call], bool]


def _never(_call: Call) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Rule:
    """linear: calls whose own derivative is the rule. without: calls of the operation for which there is none."""

    multiply: Multiply
    linear: Asks = _never
    without: Asks = _never


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _one(call: Call) -> bool:
    return len(call.varying) == 1


def _several(call: Call) -> bool:
    return len(call.varying) > 1


def _complex(call: Call) -> bool:
    return call.imaginary


_ELEMENTWISE = _names("""
    abs acos acosh asin asinh atan atanh ceil celu clamp clamp_max clamp_min cos cosh digamma elu erf erfc erfinv exp
    exp2 expm1 floor frac gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu lgamma log log10 log1p log2
    log_sigmoid_forward logit mish nan_to_num pow _prelu_kernel reciprocal relu round rrelu_with_noise rsqrt sgn sigmoid
    sign silu sin sinc sinh softplus softshrink sqrt tan tanh threshold trunc
""")

_SECOND_DEGREE = _names(
    "mul mm bmm addmm addmv addbmm baddbmm mv dot vdot ger addr addcmul lerp linalg_cross convolution"
)

_LINEAR = _names("""
    _adaptive_avg_pool2d _adaptive_avg_pool3d _conj _fft_c2c _fft_c2r _fft_r2c _neg_view _reshape_alias _to_copy
    _unsafe_view adaptive_avg_pool1d add alias as_strided avg_pool1d avg_pool2d avg_pool3d cat channel_shuffle clone
    col2im constant_pad_nd copy cumsum diag_embed diagonal embedding expand expand_as fill flip gather im2col index
    index_add index_copy index_put index_select lift_fresh masked_fill masked_scatter masked_select mean movedim
    native_channel_shuffle neg new_zeros permute pixel_shuffle pixel_unshuffle positive real reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d
    reshape resolve_conj resolve_neg roll rot90 rsub scatter scatter_add select select_scatter slice slice_scatter
    split split_with_sizes squeeze stack sub sum t take trace transpose tril triu unbind unfold unsafe_chunk
    unsafe_split unsafe_split_with_sizes unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d view view_as_complex view_as_real
    where zero
""")


def _divides_by_constant(call: Call) -> bool:
    return len(call.leaves) < 2 or call.varying == (0,)


def _rounds(call: Call) -> bool:
    return call.operation._overloadname.endswith("_mode") or _complex(call)


def _adds_no_quotient(call: Call) -> bool:
    return 2 not in call.varying


def _fixed_statistics(call: Call) -> bool:
    return not call.argument("training")


def _another_norm(call: Call) -> bool:
    return call.argument("ord") not in (1, 2) or _complex(call)


def _unlike_one(call: Call) -> bool:
    return _several(call) or _complex(call)


def _through_points(call: Call) -> bool:
    return call.varying != (0,)


def _not_second_degree(call: Call) -> bool:
    return call.name == "_trilinear" and len(call.varying) > 2


_RULES: dict[str, Rule] = {
    **{name: Rule(secants.rescaled, without=_unlike_one) for name in _ELEMENTWISE},
    **{name: Rule(secants.midpoint, _one) for name in _SECOND_DEGREE},
    "_trilinear": Rule(secants.midpoint, _one, _not_second_degree),
    "var": Rule(secants.midpoint, without=_complex),
    "var_mean": Rule(secants.midpoint, without=_complex),
    "mse_loss": Rule(secants.midpoint),
    "std": Rule(secants.deviation, without=_complex),
    "linalg_vector_norm": Rule(secants.length, without=_another_norm),
    "div": Rule(secants.quotient, _divides_by_constant, _rounds),
    "addcdiv": Rule(secants.added_quotient, _adds_no_quotient),
    "glu": Rule(secants.gated),
    "_softmax": Rule(normalised.softmax),
    "_safe_softmax": Rule(normalised.softmax),
    "_log_softmax": Rule(normalised.log_softmax),
    "logsumexp": Rule(normalised.log_sum_exp),
    "native_layer_norm": Rule(normalised.layer_norm, without=_several),
    "native_group_norm": Rule(normalised.group_norm, without=_several),
    "_fused_rms_norm": Rule(normalised.root_mean_square_norm, without=_several),
    "native_batch_norm": Rule(normalised.batch_norm, _fixed_statistics, _several),
    "max_pool2d_with_indices": Rule(selections.pooled),
    "max_pool3d_with_indices": Rule(selections.pooled),
    "adaptive_max_pool2d": Rule(selections.pooled),
    "adaptive_max_pool3d": Rule(selections.pooled),
    "max": Rule(selections.extreme, without=_several),
    "min": Rule(selections.extreme, without=_several),
    "amax": Rule(selections.extreme),
    "amin": Rule(selections.extreme),
    "maximum": Rule(selections.larger),
    "minimum": Rule(selections.larger),
    "grid_sampler_2d": Rule(secants.midpoint, _one, _through_points),
    "grid_sampler_3d": Rule(secants.midpoint, _one, _through_points),
}


def rule(call: Call) -> Rule | None:
    """The rule by which this call's multipliers differ from its derivative; None where it has none, or needs none."""
    found = _RULES.get(call.name)
    return None if found is None or found.linear(call) or found.without(call) else found


def needs_values(call: Call) -> bool:
    """Whether the rule of this call reads its operands and results."""
    return rule(call) is not None


def lacking(call: Call) -> str:
    """The words for a call that has no rule; empty where it has one, or is linear."""
    found = _RULES.get(call.name)
    if found is None:
        return "" if call.name in _LINEAR else f"no rule is stated for {call.label}"
    if found.without(call) and not found.linear(call):
        return f"no rule is stated for {call.label} of these operands"
    return ""


def is_inverse(call: Call) -> bool:
    """Whether it gives one over something: a reciprocal, a negative power, a constant divided by what varies."""
    if call.name == "pow":
        exponent = call.leaves[1]
        return isinstance(exponent, int | float) and exponent < 0
    return call.name in ("rsqrt", "reciprocal") or (call.name == "div" and call.varying == (1,))


def is_linear(name: str) -> bool:
    """Whether an operation of this name, as a graph's node has it, is linear whatever it is given."""
    return name in _NODE_NAMES


@cache
def node_name(name: str) -> str:
    """The name of an operation as a node of autograd's graph spells it: _log_softmax, LogSoftmax -> logsoftmax."""
    return _SPELT.get(name, name).replace("_", "").lower()


_SPELT = {"log_sigmoid_forward": "log_sigmoid"}
_NODE_NAMES = frozenset(node_name(name) for name in _LINEAR)
