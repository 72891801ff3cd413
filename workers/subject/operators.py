"""Which operators may a program call? Those named here, each with its overloads, and no other.

The list began as core ATen and what torch.export writes for the layers of torch.nn. Left out is what reads or writes
files, takes memory from elsewhere, changes a tensor's storage or shape in place, reaches a device's library directly,
makes sparse, nested or quantised tensors, or computes gradients inside the network. What draws random numbers is in:
inspection finds such a network out by running it twice.
"""

import re

from workers.subject.refusal import Refusal, quoted

_DEFAULT = """
abs absolute acos acosh addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh arctan arctan2 arctanh
asin asinh atan atan2 atanh baddbmm bitwise_not ceil celu clamp clamp_max clamp_min clip conj_physical cos cosh
cumprod cumsum deg2rad digamma elu erf erfc erfinv exp exp2 expm1 fix floor frac gcd gelu hardsigmoid hardswish
hardtanh heaviside hypot i0 igamma igammac index_add index_copy index_put index_reduce lcm leaky_relu lgamma log log10
log1p log2 logical_and logical_not logical_or logical_xor logit masked_scatter mish mvlgamma nan_to_num neg negative
nextafter rad2deg reciprocal relu relu6 renorm round rsqrt scatter_add selu sgn sigmoid sign silu sin sinc sinh sqrt
square tan tanh threshold tril triu trunc
"""  # each as name.default, and in place as name_.default

_BINARY = """
add bitwise_and bitwise_or bitwise_xor copysign div divide eq fmod ge greater greater_equal gt le lerp less less_equal
lt mul multiply ne not_equal remainder sub subtract true_divide
"""  # each with .Tensor and .Scalar, and both in place

_OTHERS = """
__and__.Tensor|Scalar bitwise_left_shift.Tensor|Tensor_Scalar bitwise_right_shift.Tensor|Tensor_Scalar clamp.Tensor
clamp_.Tensor clamp_max.Tensor clamp_max_.Tensor clamp_min.Tensor clamp_min_.Tensor clip.Tensor clip_.Tensor
div.Tensor_mode|Scalar_mode div_.Tensor_mode|Scalar_mode divide.Tensor_mode|Scalar_mode
float_power.Tensor_Tensor|Tensor_Scalar|Scalar floor_divide.default|Scalar floor_divide_.Tensor|Scalar frexp.Tensor
ldexp.Tensor ldexp_.default __lshift__.Tensor|Scalar __or__.Tensor|Scalar polar.default
pow.Tensor_Tensor|Tensor_Scalar|Scalar pow_.Tensor|Scalar remainder.Scalar_Tensor round.decimals round_.decimals
__rshift__.Tensor|Scalar rsub.Tensor|Scalar square.default xlogy.Tensor|Scalar_Other|Scalar_Self
xlogy_.Tensor|Scalar_Other __xor__.Tensor|Scalar
"""

_VALUES = """
alias.default angle.default bucketize.Tensor|Scalar clone.default complex.default _conj.default conj.default
contiguous.default copy.default copy_.default cumulative_trapezoid.x|dx detach.default detach_.default
fill.Tensor|Scalar fill_.Tensor|Scalar fill_diagonal_.default fmax.default fmin.default glu.default hardshrink.default
imag.default isclose.default isfinite.default isin.Tensor_Tensor|Tensor_Scalar|Scalar_Tensor isinf.default
isnan.default isneginf.default isposinf.default isreal.default lift_fresh_copy.default log_sigmoid.default
log_sigmoid_forward.default logaddexp.default logaddexp2.default masked_fill.Tensor|Scalar masked_fill_.Tensor|Scalar
masked_select.default max.other maximum.default min.other minimum.default _neg_view.default polygamma.default
positive.default prelu.default real.default resolve_conj.default resolve_neg.default searchsorted.Tensor|Scalar
signbit.default softplus.default softshrink.default special_digamma.default special_entr.default special_erf.default
special_erfc.default special_erfcx.default special_erfinv.default special_exp2.default special_expit.default
special_expm1.default special_gammainc.default special_gammaincc.default special_gammaln.default special_i0.default
special_i0e.default special_i1.default special_i1e.default special_log1p.default special_log_ndtr.default
special_log_softmax.default special_logit.default special_logsumexp.default special_ndtr.default special_ndtri.default
special_psi.default special_round.default special_sinc.default special_softmax.default
special_xlog1py.default|other_scalar|self_scalar special_xlogy.default|other_scalar|self_scalar
to.dtype|device|other|dtype_layout _to_copy.default trapezoid.x|dx type_as.default view_as_complex.default
view_as_real.default where.self|ScalarOther|ScalarSelf|Scalar|default zero.default zero_.default
"""

_REDUCTIONS = """
all.default|dim|dims amax.default amin.default aminmax.default any.default|dim|dims argmax.default argmin.default
argsort.default|stable bincount.default corrcoef.default count_nonzero.default|dim_IntList cov.default cummax.default
cummin.default diff.default dist.default equal.default frobenius_norm.dim histc.default item.default kthvalue.default
_local_scalar_dense.default _log_softmax.default log_softmax.int _logcumsumexp.default logcumsumexp.default
logsumexp.default max.default|dim mean.default|dim median.default|dim min.default|dim mode.default msort.default
nanmean.default nanmedian.default|dim nanquantile.default|scalar nansum.default native_norm.default
norm.Scalar|ScalarOpt_dim|ScalarOpt_dim_dtype|ScalarOpt_dtype norm_except_dim.default nuclear_norm.default|dim
prod.default|dim_int quantile.default|scalar _safe_softmax.default _softmax.default softmax.int sort.default|stable
std.default|dim|correction std_mean.default|dim|correction sum.default|dim_IntList sum_to_size.default topk.default
trace.default _unique2.default unique_consecutive.default unique_dim.default var.default|dim|correction
var_mean.default|dim|correction
"""

_SHAPES = """
adjoint.default argwhere.default as_strided.default as_strided_scatter.default atleast_1d.default atleast_2d.default
atleast_3d.default block_diag.default broadcast_tensors.default broadcast_to.default cartesian_prod.default
cat.default channel_shuffle.default chunk.default col2im.default column_stack.default combinations.default
concat.default concatenate.default constant_pad_nd.default diag.default diag_embed.default diagflat.default
diagonal.default diagonal_scatter.default dsplit.int|array dstack.default expand.default expand_as.default
flatten.using_ints flip.default fliplr.default flipud.default gather.default hsplit.int|array hstack.default
im2col.default index.Tensor index_fill.int_Tensor|int_Scalar index_fill_.int_Tensor|int_Scalar index_select.default
mH.default mT.default matrix_H.default meshgrid.default|indexing moveaxis.int|intlist movedim.int|intlist
narrow.default|Tensor native_channel_shuffle.default nonzero.default nonzero_numpy.default numpy_T.default
one_hot.default pad.default _pad_circular.default _pad_enum.default pad_sequence.default permute.default
pixel_shuffle.default pixel_unshuffle.default put.default put_.default ravel.default reflection_pad1d.default
reflection_pad2d.default reflection_pad3d.default repeat.default repeat_interleave.Tensor|self_Tensor|self_int
replication_pad1d.default replication_pad2d.default replication_pad3d.default reshape.default reshape_as.default
roll.default rot90.default row_stack.default scatter.src|value|reduce|value_reduce
scatter_.src|value|reduce|value_reduce scatter_reduce.two scatter_reduce_.two select.int select_scatter.default
slice.Tensor slice_scatter.default split.Tensor|sizes split_with_sizes.default squeeze.default|dim|dims stack.default
swapaxes.default swapdims.default sym_is_contiguous.default sym_numel.default sym_size.int sym_storage_offset.default
sym_stride.int t.default take.default take_along_dim.default tensor_split.sections|indices|tensor_indices_or_sections
tile.default transpose.int unbind.int unflatten.int unfold.default unsafe_chunk.default _unsafe_index.Tensor
_unsafe_index_put.default unsafe_split.Tensor unsafe_split_with_sizes.default _unsafe_view.default unsqueeze.default
view.default|dtype view_as.default vsplit.int|array vstack.default
"""

_MAKING = """
arange.default|start|start_step bartlett_window.default|periodic bernoulli.default|p|Tensor bernoulli_.float|Tensor
blackman_window.default|periodic empty.memory_format empty_like.default empty_permuted.default empty_strided.default
exponential.default exponential_.default eye.default|m full.default full_like.default hamming_window.default|periodic
hann_window.default|periodic kaiser_window.default|periodic|beta linspace.default logspace.default multinomial.default
new_empty.default new_empty_strided.default new_full.default new_ones.default new_zeros.default
normal.Tensor_float|float_Tensor|Tensor_Tensor normal_.default normal_functional.default ones.default
ones_like.default poisson.default rand.default rand_like.default randint.default|low randint_like.default|low_dtype
randn.default randn_like.default randperm.default range.default|step scalar_tensor.default tril_indices.default
triu_indices.default uniform.default uniform_.default vander.default zeros.default zeros_like.default
"""

_PRODUCTS = """
bilinear.default bmm.default cdist.default _cdist_forward.default chain_matmul.default cholesky.default
cholesky_inverse.default cholesky_solve.default cosine_similarity.default cross.default det.default dot.default
einsum.default _fft_c2c.default _fft_c2r.default fft_fft.default fft_fft2.default fft_fftfreq.default fft_fftn.default
fft_fftshift.default fft_hfft.default fft_ifft.default fft_ifft2.default fft_ifftn.default fft_ifftshift.default
fft_ihfft.default fft_irfft.default fft_irfft2.default fft_irfftn.default _fft_r2c.default fft_rfft.default
fft_rfft2.default fft_rfftfreq.default fft_rfftn.default ger.default inner.default inverse.default istft.default
kron.default _linalg_check_errors.default linalg_cholesky.default linalg_cholesky_ex.default linalg_cross.default
_linalg_det.default linalg_det.default linalg_diagonal.default _linalg_eigh.default linalg_eigh.default
linalg_eigvalsh.default linalg_inv.default linalg_inv_ex.default linalg_matmul.default linalg_matrix_exp.default
linalg_matrix_norm.default linalg_matrix_power.default linalg_multi_dot.default linalg_norm.default linalg_qr.default
_linalg_slogdet.default linalg_slogdet.default linalg_solve.default _linalg_solve_ex.default linalg_solve_ex.default
linalg_solve_triangular.default _linalg_svd.default linalg_svd.default linalg_svdvals.default linalg_vecdot.default
linalg_vector_norm.default linear.default logdet.default matmul.default matrix_exp.default matrix_power.default
mm.default mv.default outer.default pairwise_distance.default pdist.default _pdist_forward.default pinverse.default
slogdet.default stft.default|center tensordot.default vdot.default
"""

_LAYERS = """
adaptive_avg_pool1d.default _adaptive_avg_pool2d.default adaptive_avg_pool2d.default _adaptive_avg_pool3d.default
adaptive_avg_pool3d.default adaptive_max_pool1d.default adaptive_max_pool2d.default adaptive_max_pool3d.default
affine_grid_generator.default alpha_dropout.default alpha_dropout_.default _assert_async.msg _assert_scalar.default
_assert_tensor_metadata.default avg_pool1d.default avg_pool2d.default avg_pool3d.default batch_norm.default
_batch_norm_with_update.default _batch_norm_with_update_functional.default binary_cross_entropy.default
binary_cross_entropy_with_logits.default conv1d.default|padding conv2d.default|padding conv3d.default|padding
conv_tbc.default conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input _convolution.default
convolution.default cosine_embedding_loss.default cross_entropy_loss.default ctc_loss.IntList|Tensor dropout.default
dropout_.default embedding.default _embedding_bag.default embedding_bag.default|padding_idx
_embedding_bag_forward_only.default fake_quantize_per_channel_affine.default
fake_quantize_per_channel_affine_cachemask.default fake_quantize_per_tensor_affine.default|tensor_qparams
fake_quantize_per_tensor_affine_cachemask.default feature_alpha_dropout.default feature_alpha_dropout_.default
feature_dropout.default feature_dropout_.default fractional_max_pool2d.default fractional_max_pool3d.default
_fused_rms_norm.default grid_sampler.default grid_sampler_2d.default grid_sampler_3d.default group_norm.default
gru.input|data gru_cell.default hinge_embedding_loss.default huber_loss.default instance_norm.default kl_div.default
l1_loss.default layer_norm.default lstm.input|data lstm_cell.default margin_ranking_loss.default
_masked_softmax.default max_pool1d.default max_pool1d_with_indices.default max_pool2d.default
max_pool2d_with_indices.default max_pool3d.default max_pool3d_with_indices.default max_unpool2d.default
max_unpool3d.default mse_loss.default multi_margin_loss.default
multilabel_margin_loss.default native_batch_norm.default _native_batch_norm_legit.default|no_stats
_native_batch_norm_legit_functional.default _native_batch_norm_legit_no_training.default native_dropout.default
native_group_norm.default native_layer_norm.default nll_loss.default nll_loss2d.default nll_loss2d_forward.default
nll_loss_forward.default nll_loss_nd.default _pack_padded_sequence.default _pad_packed_sequence.default
poisson_nll_loss.default rms_norm.default rnn_relu.input|data rnn_relu_cell.default rnn_tanh.input|data
rnn_tanh_cell.default rrelu.default rrelu_.default rrelu_with_noise.default rrelu_with_noise_.default
rrelu_with_noise_functional.default scaled_dot_product_attention.default _scaled_dot_product_attention_math.default
_scaled_dot_product_flash_attention_for_cpu.default smooth_l1_loss.default soft_margin_loss.default
sym_constrain_range.default sym_constrain_range_for_size.default triplet_margin_loss.default
upsample_bicubic2d.default|vec _upsample_bicubic2d_aa.default|vec upsample_bilinear2d.default|vec
_upsample_bilinear2d_aa.default|vec upsample_linear1d.default|vec upsample_nearest1d.default|vec
upsample_nearest2d.default|vec upsample_nearest3d.default|vec _upsample_nearest_exact1d.default|vec
_upsample_nearest_exact2d.default|vec _upsample_nearest_exact3d.default|vec upsample_trilinear3d.default|vec
_weight_norm.default _weight_norm_interface.default
"""

_QUANTISED = """
dequantize_per_channel.default dequantize_per_channel_group.default dequantize_per_tensor.default|tensor|tensor2
quantize_per_channel.default quantize_per_channel_group.default quantize_per_tensor.default|tensor|tensor2
"""  # of torch.ao.quantization.fx._decomposed: integers and scales in plain tensors, computed in Python

_PYTHON = """
_operator.add _operator.sub _operator.mul _operator.floordiv _operator.truediv _operator.mod _operator.pow
_operator.neg _operator.pos _operator.eq _operator.ne _operator.ge _operator.gt _operator.le _operator.lt
_operator.and_ _operator.or_ _operator.not_ _operator.getitem math.ceil math.floor math.trunc
torch.sym_int torch.sym_float torch.sym_max torch.sym_min torch.sym_not torch.sym_ite torch.sym_sum
torch.ops.higher_order.cond torch.ops.higher_order.wrap_with_set_grad_enabled
"""  # on sizes rather than tensors; and the two that call a graph inside the graph


def _listed(text: str, prefix: str) -> frozenset[str]:
    """`name.a|b` stands for `name.a` and `name.b`."""
    words = (word.partition(".") for word in text.split())
    return frozenset(f"{prefix}{name}.{overload}" for name, _, several in words for overload in several.split("|"))


def _in_place(text: str, overloads: str) -> str:
    return " ".join(f"{name}.{overloads} {name}_.{overloads}" for name in text.split())


ATEN = "torch.ops.aten."
QUANTISED = "torch.ops.quantized_decomposed."
HIGHER_ORDER = frozenset({"torch.ops.higher_order.cond", "torch.ops.higher_order.wrap_with_set_grad_enabled"})
TENSOR_OPERATORS = _listed(
    " ".join(
        (
            _in_place(_DEFAULT, "default"),
            _in_place(_BINARY, "Tensor|Scalar"),
            *(_OTHERS, _VALUES, _REDUCTIONS, _SHAPES, _MAKING, _PRODUCTS, _LAYERS),
        )
    ),
    ATEN,
)
ALLOWED = TENSOR_OPERATORS | _listed(_QUANTISED, QUANTISED) | frozenset(_PYTHON.split()) | HIGHER_ORDER
"""Every target a node may have, as torch.export writes it."""

_VIEWS_IN_PLACE = "squeeze|unsqueeze|transpose|t|swapaxes|swapdims|as_strided"
_OF_A_DEVICE = "cuda|cudnn|miopen|mkldnn|mps|_flash_attention|_efficient|_fused_sdp|fbgemm|quantized_"
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"torch\.ops\.aten\.(from_file|save|_print|warn)\..*",
        "it reaches files or the terminal",
        "Read what it reads before the export, and keep it as a buffer.",
    ),
    (
        rf"torch\.ops\.aten\.({_VIEWS_IN_PLACE})_\..*",
        "it changes a tensor's shape in place",
        "Use the operator without the last underscore, as in y = x.unsqueeze(0), and export again.",
    ),
    (
        r"torch\.ops\.aten\.(set_|_?resize|data\.|set_data|record_stream|_?pin_memory).*",
        "it changes where a tensor's memory lies",
        "Make a new tensor instead (reshape, clone, cat) and export again.",
    ),
    (
        r"torch\.ops\.aten\..*(sparse|nested|jagged|_crow_|_coalesce|coalesce).*",
        "it makes sparse or nested tensors",
        "Use dense tensors (to_dense before the export, padding and a mask) and export again.",
    ),
    (
        rf"torch\.ops\.(quantized|mkldnn|mkldnn_prepacked|onednn|xnnpack)\..*|torch\.ops\.aten\..*({_OF_A_DEVICE}).*",
        "it belongs to one device or its library",
        "Export the model on the CPU, and save the program without run_decompositions.",
    ),
    (
        r"torch\.ops\.aten\..*backward.*",
        "it computes gradients inside the network",
        "Export the network's forward pass alone.",
    ),
    (
        r"torch\.ops\.higher_order\.wrap_with_autocast",
        "it lowers the precision of a part of the graph",
        "Leave torch.autocast out of forward and export again.",
    ),
    (
        r"torch\.ops\.higher_order\..*",
        "of operators that call a graph, only cond and wrap_with_set_grad_enabled are read",
        "Write loops over sizes that the export knows as plain Python loops, and choices as torch.where or torch.cond.",
    ),
)


def require_allowed(target: str, part: str) -> None:
    """Returns if a node may call `target`; else a Refusal that names it, why not, and what to do instead."""
    if target in ALLOWED:
        return
    for pattern, why, remedy in _REASONS:
        if re.fullmatch(pattern, target):
            raise _refusal(target, part, why, remedy)
    library = re.fullmatch(r"torch\.ops\.(\w{1,64})\..*", target, re.ASCII)
    if library and library[1] != "aten":
        why = f"it is of the library {quoted(library[1])}, whose code is not here"
        raise _refusal(target, part, why, "Rewrite that part with PyTorch's own operators and export again.")
    if library:
        raise _refusal(
            target,
            part,
            "it is not among the tensor operators that are read",
            "Rewrite that part with common tensor operators (docs/intake/pt2.md says which) and export again.",
        )
    raise _refusal(target, part, "it is no operator of PyTorch", "Export the model again with torch.export.save.")


def _refusal(target: str, part: str, why: str, remedy: str) -> Refusal:
    return Refusal(
        "operator-not-allowed", f"{part} uses the operator {quoted(target)}, which does not run here: {why}", remedy
    )
