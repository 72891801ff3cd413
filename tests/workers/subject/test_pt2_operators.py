"""Is every operator that may run known and harmless, and is every other one named with what to do instead?"""

import re
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.ao.quantization.fx._decomposed
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from workers.subject.operators import ALLOWED, ATEN, HIGHER_ORDER, QUANTISED, TENSOR_OPERATORS, require_allowed
from workers.subject.refusal import Refusal

FORBIDDEN = {
    "files and the terminal": r"from_file|save|_print|warn",
    "storage": r"set_|set_data|data|_?resize.*|record_stream|_has_compatible.*|is_set_to",
    "foreign memory": r"_?pin_memory|is_pinned|.*data_ptr.*|from_blob|_efficientzerotensor",
    "shapes in place": r"(squeeze|unsqueeze|transpose|t|swapaxes|swapdims|as_strided|rename)_",
    "sparse and nested tensors": r".*(sparse|nested|jagged|coalesce|crow_|ccol_).*|_?indices|_?values",
    "devices and their libraries": r".*(cuda|cudnn|miopen|mkldnn|mps|fbgemm|cufft|cslt|efficient_attention).*",
    "gradients": r".*backward.*|requires_grad_|retain_grad|set_grad_enabled",
    "quantised tensors and packed weights": r"quantized_.*|.*int4pack.*|.*qparams|_make_per_.*|q_.*|int_repr",
    "seeds": r"manual_seed|seed|initial_seed|_sobol.*|_philox.*|.*dropout_state",
    "optimisers": r"_fused_(adam|sgd|adagrad).*|_foreach.*|_amp.*",
    "tests of torch": r"_test.*|_foobar",
}


def resolved(target: str) -> object:
    """What torch would call for a target of `torch.ops`."""
    found: object = torch
    for part in target.split(".")[1:]:
        found = getattr(found, part)
    return found


def named(target: object) -> str:
    """A target of a traced node, as torch.export writes it."""
    if isinstance(target, torch._ops.OpOverload):
        return f"torch.ops.{target.namespace}.{target._schema.name.split('::')[1]}.{target._overloadname}"
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"torch.ops.higher_order.{target.name()}"
    return f"{target.__module__}.{target.__name__}"  # type: ignore[attr-defined]  # a function


def test_every_listed_operator_exists() -> None:
    for target in ALLOWED:
        if target.startswith("torch.ops."):
            operator = resolved(target)
            assert target in HIGHER_ORDER or isinstance(operator, torch._ops.OpOverload), target
        else:
            library, name = target.split(".")
            assert hasattr(
                {"_operator": __import__("operator"), "math": __import__("math"), "torch": torch}[library], name
            )


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_operator_of_a_forbidden_class_is_listed(what: str) -> None:
    names = {target.removeprefix(ATEN).split(".")[0] for target in TENSOR_OPERATORS}
    assert [name for name in sorted(names) if re.fullmatch(FORBIDDEN[what], name)] == []


def test_the_forbidden_classes_are_not_empty_names() -> None:
    known = {schema.name.removeprefix("aten::") for schema in torch._C._jit_get_all_schemas()}
    for what, pattern in FORBIDDEN.items():
        assert any(re.fullmatch(pattern, name) for name in known), what


def test_no_listed_operator_writes_to_a_given_tensor_or_changes_its_shape() -> None:
    for target in TENSOR_OPERATORS - {f"{ATEN}detach_.default"}:  # torch.tensor(...) in a forward is exported with it
        operator = resolved(target)
        assert torch.Tag.out not in operator.tags, target  # type: ignore[attr-defined]  # an OpOverload
        assert torch.Tag.inplace_view not in operator.tags, target  # type: ignore[attr-defined]


def test_of_operators_that_call_a_graph_there_are_two() -> None:
    found = {target for target in ALLOWED if target.startswith("torch.ops.higher_order.")}
    assert (
        found
        == HIGHER_ORDER
        == {
            "torch.ops.higher_order.cond",
            "torch.ops.higher_order.wrap_with_set_grad_enabled",
        }
    )


def test_every_library_but_three_stays_out() -> None:
    libraries = {target.rsplit(".", 2)[0] for target in ALLOWED if target.count(".") > 3}
    assert libraries == {ATEN[:-1], QUANTISED[:-1]}


def test_core_aten_is_listed_but_for_gradients_and_resizing() -> None:
    missing = set()
    for schema in torch._C._jit_get_all_schemas():
        name, overload = schema.name.removeprefix("aten::"), schema.overload_name or "default"
        operator = getattr(getattr(torch.ops.aten, name, None), overload, None) if "aten::" in schema.name else None
        if operator is not None and torch.Tag.core in operator.tags and f"{ATEN}{name}.{overload}" not in ALLOWED:
            missing.add(f"{name}.{overload}")
    assert {name for name in missing if "backward" not in name} == {"atan2.out", "resize_.default"}


@pytest.mark.parametrize(
    ("target", "said", "advice"),
    [
        ("torch.ops.aten.from_file.default", "files", "before the export"),
        ("torch.ops.aten.unsqueeze_.default", "in place", "without the last underscore"),
        ("torch.ops.aten.t_.default", "in place", "without the last underscore"),
        ("torch.ops.aten.set_.source_Storage", "memory lies", "clone"),
        ("torch.ops.aten.resize_.default", "memory lies", "reshape"),
        ("torch.ops.aten.data.default", "memory lies", "clone"),
        ("torch.ops.aten.to_sparse.default", "sparse", "dense"),
        ("torch.ops.aten._nested_tensor_from_mask.default", "nested", "dense"),
        ("torch.ops.aten.cudnn_batch_norm.default", "device", "CPU"),
        ("torch.ops.aten.mkldnn_rnn_layer.default", "device", "CPU"),
        ("torch.ops.quantized.linear.default", "device", "CPU"),
        ("torch.ops.aten.convolution_backward.default", "gradients", "forward"),
        ("torch.ops.higher_order.wrap_with_autocast", "precision", "autocast"),
        ("torch.ops.higher_order.while_loop", "only cond", "torch.where"),
        ("torch.ops.torchvision.nms.default", "'torchvision'", "PyTorch's own"),
        ("torch.ops.aten.foo.default", "not among", "common"),
        ("torch.ops.aten.add.Tensor.__class__", "not among", "common"),
        ("torch.os.system", "no operator", "again"),
        ("os.system", "no operator", "again"),
        ("_operator.attrgetter", "no operator", "again"),
        ("", "no operator", "again"),
    ],
)
def test_a_refused_operator_is_named_with_the_reason_and_advice(target: str, said: str, advice: str) -> None:
    with pytest.raises(Refusal, match=re.escape(said)) as caught:
        require_allowed(target, "models/*.json")
    assert ascii(target) in caught.value.detail
    assert advice in str(caught.value.remedy)


def made_of(function: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    class Function(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x)

    return Function()


IMAGE, SERIES, TABLE = (2, 4, 12, 12), (2, 6, 8), (2, 8)
HABITS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "convolutions": (
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), nn.ConvTranspose2d(4, 4, 3)),
        IMAGE,
    ),
    "pooling": (nn.Sequential(nn.MaxPool2d(2), nn.LPPool2d(2, 2), nn.AdaptiveMaxPool2d(2)), IMAGE),
    "norms": (
        nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.BatchNorm2d(4), nn.LocalResponseNorm(2)),
        IMAGE,
    ),
    "upsampling": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bicubic"), nn.PixelUnshuffle(2)), IMAGE),
    "recurrence": (nn.LSTM(8, 4, 2, bidirectional=True, batch_first=True), SERIES),
    "cells": (nn.LSTMCell(8, 4), TABLE),
    "attention": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), SERIES),
    "spectral norm": (nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), TABLE),
    "sampling a grid": (
        made_of(lambda x: grid_sample(x, affine_grid(torch.eye(2, 3).repeat(2, 1, 1), [2, 4, 5, 5]))),
        IMAGE,
    ),
    "einsum": (made_of(lambda x: torch.einsum("bij,bkj->bik", x, x)), SERIES),
    "scatter and gather": (
        made_of(lambda x: torch.zeros_like(x).scatter_add(1, x.argsort(1), x).gather(1, x.argsort(1))),
        TABLE,
    ),
    "top k": (made_of(lambda x: x.topk(2)[0] + x.sort(1)[0][:, :2]), TABLE),
    "fourier": (made_of(lambda x: torch.fft.irfft(torch.fft.rfft(x) * 2)), TABLE),
    "constants": (made_of(lambda x: x + torch.tensor([1.0] * 8)), TABLE),
    "noise": (made_of(lambda x: x + torch.randn_like(x) * torch.bernoulli(x.sigmoid())), TABLE),
    "int8 weights": (made_of(lambda x: x @ (torch.ones(8, 3, dtype=torch.int8).to(x.dtype) * 0.1)), TABLE),
    "fake quantisation": (made_of(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)), TABLE),
    "choice": (made_of(lambda x: torch.cond(x.sum() > 0, lambda y: y.sin(), lambda y: y.cos(), (x,))), TABLE),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("habit", HABITS)
def test_what_torch_writes_for_common_layers_is_listed(habit: str) -> None:
    network, shape = HABITS[habit]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own workings
        program = torch.export.export(network.eval(), (torch.rand(*shape),), strict=False)
        programs = [program, program.run_decompositions()]
    for each in programs:
        graphs = (getattr(module, "graph", None) for module in each.graph_module.modules())
        nodes = (node for graph in graphs if graph is not None for node in graph.nodes if node.op == "call_function")
        assert {named(node.target) for node in nodes} <= ALLOWED
