"""Does every sound `.pt2` come in with its numbers unchanged, and does everything else stay out?"""

import contextlib
import copy
import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lamina.export import export
from tests.workers.networks import SHAPES, Cnn, Mlp, Residual, TwoOutputs, made
from workers.subject.digest import digest_of_file
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal

Members = dict[str, bytes]


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.marker}",))


def raw_export(network: nn.Module, shape: tuple[int, ...], path: Path, *, dynamic: bool = True, batch: int = 2) -> None:
    """What a customer's own torch.export.save writes, metadata, samples and all."""
    shapes: Any = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the weight lists of its own LSTM
        program = torch.export.export(network, (torch.randn(batch, *shape),), dynamic_shapes=shapes)
    torch.export.save(program, path)


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(members: Members, path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "m.pt2"
    raw_export(made(Cnn).eval(), SHAPES[Cnn], path)
    return path


@pytest.fixture
def members(exported) -> Members:
    return members_of(exported)


@pytest.fixture
def refused(tmp_path) -> Callable[[Members], Refusal]:
    """What is said of an archive of these members; and that it left no marker behind."""

    def refuse(members: Members) -> Refusal:
        with pytest.raises(Refusal) as caught:
            rewrite(packed(members, tmp_path / "bad.pt2"), tmp_path / "out.pt2")
        assert not list(tmp_path.glob("marker*"))
        assert caught.value.remedy
        return caught.value

    return refuse


def edited(members: Members, change: Callable[[Any], None], part: str = "m/models/m.json") -> Members:
    """The members with one JSON part changed in place."""
    found = members[part]
    value = json.loads(found)
    change(value)
    return {**members, part: json.dumps(value).encode()}


def model_part(members: Members) -> str:
    return next(name for name in members if "/models/" in name)


def config_part(members: Members, kind: str = "weights") -> str:
    return next(name for name in members if name.endswith(f"_{kind}_config.json"))


# --- what comes in


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_outputs_are_those_of_the_network_and_every_layer_keeps_its_name(kind, tmp_path):
    network = made(kind).eval()
    raw_export(network, SHAPES[kind], tmp_path / "m.pt2")
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    loaded = load(tmp_path / "c.pt2")
    for rows in (1, 2, 5):
        x = torch.randn(rows, *SHAPES[kind])
        torch.testing.assert_close(loaded.model(x), network(x), rtol=0, atol=1e-6)
    assert {name for name, _ in network.named_modules()} <= {name for name, _ in loaded.model.named_modules()}
    assert loaded.batch is None
    assert not any(tensor.requires_grad for tensor in loaded.model.parameters())


@pytest.mark.parametrize("kind", [Mlp, Cnn])
def test_an_export_in_training_mode_gives_the_numbers_of_evaluation_mode_with_a_note(kind, tmp_path):
    network = made(kind).train()
    raw_export(copy.deepcopy(network), SHAPES[kind], tmp_path / "m.pt2")
    notes = rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2").notes
    loaded = load(tmp_path / "c.pt2").model
    x = torch.randn(6, *SHAPES[kind])
    torch.testing.assert_close(loaded(x), network.eval()(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(loaded(x), loaded(x), rtol=0, atol=0)
    assert "exported in training mode: 1 x dropout set to evaluation mode" in notes


def test_a_network_exported_in_training_mode_is_not_changed_by_running_it(tmp_path):
    raw_export(made(Cnn).train(), SHAPES[Cnn], tmp_path / "m.pt2")
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    loaded = load(tmp_path / "c.pt2").model
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    loaded(torch.randn(3, *SHAPES[Cnn]))
    assert all(torch.equal(value, before[name]) for name, value in loaded.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_a_training_export_that_was_decomposed_is_refused(tmp_path):
    program = torch.export.export(made(Cnn).train(), (torch.randn(2, 1, 8, 8),)).run_decompositions()
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(Refusal, match="training mode") as caught:
        rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    assert "model.eval()" in str(caught.value.remedy)


def test_the_same_bytes_give_the_same_canonical_bytes(exported, tmp_path):
    first, second = (rewrite(exported, tmp_path / f"{name}.pt2") for name in "ab")
    assert first.digest == second.digest == digest_of_file(tmp_path / "a.pt2")


def test_samples_paths_names_and_order_of_the_source_do_not_change_the_canonical_digest(members, exported, tmp_path):
    expected = rewrite(exported, tmp_path / "a.pt2").digest
    other = {name.replace("m/", "elsewhere/", 1): value for name, value in reversed(members.items())}
    other["elsewhere/data/sample_inputs/m.pt"] = b"something else"
    other["elsewhere/extra/readme.txt"] = b"hello"
    assert rewrite(packed(other, tmp_path / "o.pt2"), tmp_path / "b.pt2").digest == expected


def test_a_rewritten_file_is_its_own_canonical_form(exported, tmp_path):
    first = rewrite(exported, tmp_path / "a.pt2")
    assert rewrite(tmp_path / "a.pt2", tmp_path / "b.pt2").digest == first.digest


def test_source_lines_and_paths_do_not_reach_the_canonical_file(exported, tmp_path):
    assert b"networks.py" in exported.read_bytes()
    rewrite(exported, tmp_path / "c.pt2")
    content = (tmp_path / "c.pt2").read_bytes()
    assert b"networks.py" not in content
    assert b"stack_trace" not in content
    assert json.loads(members_of(tmp_path / "c.pt2")["model/models/model.json"])["guards_code"] == []


def test_sample_inputs_with_a_payload_are_never_opened_and_dropped(members, tmp_path):
    sample = next(name for name in members if "sample_inputs" in name)
    members[sample] = pickle.dumps(Payload(tmp_path / "marker"))
    notes = rewrite(packed(members, tmp_path / "m.pt2"), tmp_path / "c.pt2").notes
    load(tmp_path / "c.pt2")
    assert not (tmp_path / "marker").exists()
    assert "not read and not kept: data/sample_inputs" in notes
    assert members_of(tmp_path / "c.pt2")["model/data/sample_inputs/model.pt"] == b""


def test_a_static_export_says_its_batch(tmp_path):
    raw_export(made(Mlp).eval(), (4,), tmp_path / "m.pt2", dynamic=False, batch=3)
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    loaded = load(tmp_path / "c.pt2")
    assert loaded.batch == 3
    assert loaded.model(torch.randn(3, 4)).shape == (3, 3)


def test_of_several_outputs_the_first_floating_one_is_returned(tmp_path):
    network = made(TwoOutputs)
    raw_export(network, (4,), tmp_path / "m.pt2")
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    loaded = load(tmp_path / "c.pt2")
    x = torch.randn(2, 4)
    assert loaded.chosen == 1
    torch.testing.assert_close(loaded.model(x), network(x)["logits"], rtol=0, atol=0)


class Int8(nn.Module):
    """Weights of eight bits, turned into numbers in the graph: channel by channel, as PT2E quantisation writes it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.arange(-6, 6, dtype=torch.int8).view(3, 4))
        self.register_buffer("scale", torch.tensor([0.5, 0.25, 0.125]))
        self.register_buffer("zero", torch.tensor([0, 1, 2]))

    def forward(self, x):
        dequantised = torch.ops.quantized_decomposed.dequantize_per_channel(
            self.weight, self.scale, self.zero, 0, -128, 127, torch.int8
        )
        return nn.functional.linear(x, dequantised)


@pytest.mark.slow
def test_int8_weights_turned_into_numbers_in_the_graph_come_in(tmp_path):
    loaded = came_in(Int8(), (torch.zeros(2, 4),), tmp_path)
    expected = (Int8().weight.float() - torch.tensor([[0.0], [1], [2]])) * torch.tensor([[0.5], [0.25], [0.125]])
    assert torch.equal(loaded.model(torch.eye(4)[:2]), expected.T[:2])


def test_a_file_of_our_own_exporter_comes_in(tmp_path):
    network = made(Residual)
    export(network, torch.randn(2, 4), tmp_path / "m.pt2", float64=True)
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    x = torch.randn(4, 4, dtype=torch.float64)
    torch.testing.assert_close(load(tmp_path / "c.pt2").model(x), network.double()(x), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_weights_stream_through_in_chunks(tmp_path):
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4096, 8192)  # 128 MiB

        def forward(self, x):
            return self.body(x)

    raw_export(Wide(), (4096,), tmp_path / "m.pt2")
    import tracemalloc

    tracemalloc.start()
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 << 20


# --- damaged and hostile archives


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, exported, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "t.pt2").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Refusal, match="not a whole zip") as caught:
        rewrite(tmp_path / "t.pt2", tmp_path / "c.pt2")
    assert caught.value.code == "corrupt-archive"


def test_a_flipped_byte_of_a_weight_is_noticed(exported, tmp_path):
    content = bytearray(exported.read_bytes())
    with zipfile.ZipFile(exported) as file:
        at = next(info.header_offset for info in file.infolist() if info.filename.endswith("weight_4"))
    content[at + 200] ^= 0xFF
    (tmp_path / "f.pt2").write_bytes(content)
    with pytest.raises(Refusal, match="weight_4"):
        rewrite(tmp_path / "f.pt2", tmp_path / "c.pt2")


def test_three_hundred_damaged_copies_are_refused_or_come_in_and_none_crashes(exported, tmp_path):
    content = exported.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for at in torch.randint(len(content), (300,), generator=generator).tolist():
        damaged = bytearray(content)
        damaged[at] ^= 1 + at % 255
        (tmp_path / "d.pt2").write_bytes(damaged)
        with contextlib.suppress(Refusal):
            rewrite(tmp_path / "d.pt2", tmp_path / "c.pt2")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "m/../../x", "m/./x", "m/a\\b", "m/c:d", "m/\x07bell", "m/" + "x" * 600]
)
def test_member_names_that_are_no_plain_paths_are_refused(name, members, refused):
    assert refused({**members, name: b"x"}).code == "unsafe-member"


def test_a_member_that_occurs_twice_is_refused(members, tmp_path):
    packed(members, tmp_path / "d.pt2")
    with zipfile.ZipFile(tmp_path / "d.pt2", "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(model_part(members), b"{}")
    with pytest.raises(Refusal) as caught:
        rewrite(tmp_path / "d.pt2", tmp_path / "c.pt2")
    assert caught.value.code == "duplicate-member"


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("data/constants/opaque_obj_0", "custom-object"),
        ("data/constants/custom_obj_0", "custom-object"),
        ("data/aotinductor/model/evil.so", "compiled-code"),
        ("data/weights/m.pt", "pickled-weights"),
        ("data/constants/m.pt", "pickled-weights"),
        ("<img src=x onerror=alert(1)>", "unexpected-member"),
        ("data/executorch/x", "unexpected-member"),
    ],
)
def test_any_member_that_a_network_does_not_need_is_refused(inner, code, members, refused, tmp_path):
    assert refused({**members, f"m/{inner}": pickle.dumps(Payload(tmp_path / "marker"))}).code == code


def test_a_second_root_folder_or_model_is_refused(members, refused):
    assert refused({**members, "other/x": b""}).code == "bad-layout"
    assert refused({**members, "m/models/second.json": b"{}"}).code == "bad-layout"


def test_a_deflated_archive_is_refused_whatever_it_would_grow_to(members, tmp_path):
    packed({**members, "m/data/weights/weight_99": bytes(1 << 22)}, tmp_path / "b.pt2", zipfile.ZIP_DEFLATED)
    with pytest.raises(Refusal) as caught:
        rewrite(tmp_path / "b.pt2", tmp_path / "c.pt2")
    assert caught.value.code == "unexpected-compression"


def test_an_encrypted_member_is_refused(members, tmp_path):
    path = packed(members, tmp_path / "e.pt2")
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(Refusal) as caught:
        rewrite(path, tmp_path / "c.pt2")
    assert caught.value.code == "encrypted-member"


def test_more_members_than_any_network_has_are_refused_before_the_directory_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as file:
        file.writestr("m/models/m.json", b"{}")
    content = bytearray((tmp_path / "m.pt2").read_bytes())
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<I", 1 << 30)
    (tmp_path / "m.pt2").write_bytes(content)
    with pytest.raises(Refusal) as caught:
        rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    assert caught.value.code == "too-many-members"


# --- hostile programs


def config_edit(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    part = config_part(members)
    return edited(members, lambda value: change(next(iter(value["config"].values()))), part)


def test_a_pickled_weight_is_refused_and_its_payload_does_not_run(members, refused, tmp_path):
    hostile = config_edit(members, lambda entry: entry.update(use_pickle=True))
    hostile[next(name for name in members if name.endswith("weight_0"))] = pickle.dumps(Payload(tmp_path / "marker"))
    refusal = refused(hostile)
    assert refusal.code == "pickled-tensor"
    assert "use_pickle" in refusal.detail


@pytest.mark.parametrize("path", ["opaque_obj_0", "custom_obj_0"])
def test_a_constant_that_is_an_object_is_refused(path, members, refused):
    assert refused(config_edit(members, lambda entry: entry.update(path_name=path))).code == "custom-object"


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry["tensor_meta"].update(sizes=[{"as_int": 1 << 38}], strides=[{"as_int": 1}]),
        lambda entry: entry["tensor_meta"].update(storage_offset={"as_int": 1 << 20}),
        lambda entry: entry["tensor_meta"].update(strides=[{"as_int": -1}] * 4),
        lambda entry: entry["tensor_meta"].update(sizes=[{"as_int": True}] * 4),
        lambda entry: entry["tensor_meta"].update(sizes=[{"as_expr": {"expr_str": "x", "hint": None}}] * 4),
        lambda entry: entry["tensor_meta"].update(sizes=[]),
        lambda entry: entry["tensor_meta"].update(dtype=99),
        lambda entry: entry["tensor_meta"].update(layout=1),
        lambda entry: entry["tensor_meta"].pop("sizes"),
        lambda entry: entry.update(tensor_meta=None),
        lambda entry: entry.update(path_name="weight_404"),
        lambda entry: entry.update(path_name="../../x"),
        lambda entry: entry.update(more=1),
        lambda entry: entry.pop("is_param"),
    ],
)
def test_a_tensor_that_does_not_fit_its_bytes_is_refused(change, members, refused):
    assert refused(config_edit(members, change)).reason().detail


def test_an_empty_payload_of_a_declared_terabyte_is_refused(members, refused):
    hostile = config_edit(members, lambda entry: entry["tensor_meta"].update(sizes=[{"as_int": 1 << 12}] * 4))
    hostile[next(name for name in members if name.endswith("weight_0"))] = b""
    assert refused(hostile).code == "tensor-size"


LEAF = {"type": None, "context": None, "children_spec": []}
ENUM_KEY = json.dumps([1, {"type": "builtins.dict", "context": '[{"__enum__": "os:x"}]', "children_spec": [LEAF]}])
CODE = "__import__('os').system('touch marker')"


def first_node(program: dict[str, Any]) -> dict[str, Any]:
    return program["graph_module"]["graph"]["nodes"][0]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["graph_module"]["graph"]["sym_int_values"].update(
            a={"as_expr": {"expr_str": CODE, "hint": {"as_int": 2}}}
        ),
        lambda p: p["graph_module"]["graph"]["sym_int_values"].update(
            a={"as_expr": {"expr_str": "Pow(Integer(9), Pow(Integer(9), Integer(999)))", "hint": None}}
        ),
        lambda p: p["graph_module"]["graph"]["inputs"][-1]["as_tensor"].update(name=f"x={CODE}"),
        lambda p: p["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name="p, *_z, q=1"),
        lambda p: p["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name="__class__"),
        lambda p: p["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name="lambda\n"),
        lambda p: p["graph_module"]["module_call_graph"][0]["signature"].update(forward_arg_names=[f"x={CODE}"]),
        lambda p: p["graph_module"]["module_call_graph"][0]["signature"].update(
            out_spec='[1, {"type": "collections.defaultdict", "context": "[]", "children_spec": []}]'
        ),
        lambda p: p["graph_module"]["module_call_graph"][0]["signature"].update(out_spec=ENUM_KEY),
        lambda p: p["graph_module"]["module_call_graph"][1].update(fqn="a'); evil("),
        lambda p: first_node(p).update(target="torch.ops.aten.from_file.default"),
        lambda p: first_node(p).update(target="torch.os.system"),
        lambda p: first_node(p).update(target="os.system"),
        lambda p: first_node(p).update(target="torch.ops.prim.device.default"),
        lambda p: first_node(p).update(target="torch.ops.aten.set_.source_Storage"),
        lambda p: first_node(p)["metadata"].update(nn_module_stack="L__self__,a');evil(,x"),
        lambda p: first_node(p)["inputs"][0].update(arg={"as_custom_obj": {"name": "a", "class_fqn": "b"}}),
        lambda p: first_node(p)["inputs"][0].update(arg={"as_string": "'; import os"}),
        lambda p: first_node(p)["inputs"][0].update(arg={"as_device": {"type": "meta", "index": None}}),
        lambda p: first_node(p)["inputs"][0].update(arg={"as_int": 1 << 70}),
        lambda p: p["graph_module"]["graph"]["custom_obj_values"].update(a={"name": "a", "class_fqn": "b"}),
        lambda p: p["graph_module"].update(treespec_namedtuple_fields={"os.x": {"field_names": ["a"]}}),
        lambda p: p.update(verifiers=["os; evil"]),
        lambda p: p.update(surprise={"a": "b"}),
        lambda p: p.update(schema_version={"major": 9, "minor": 0}),
        lambda p: p.update(schema_version="8"),
        lambda p: p.update(graph_module=[]),
        lambda p: p["graph_module"]["graph"].update(nodes=[3]),
        lambda p: p["graph_module"]["graph"]["tensor_values"].update({"x'; evil": {}}),
    ],
)
def test_text_that_torch_would_evaluate_or_import_is_refused(change, members, refused):
    assert refused(edited(members, change, model_part(members))).reason().detail


def test_guards_are_emptied_and_do_not_run(members, tmp_path):
    hostile = edited(members, lambda p: p.update(guards_code=[f"open('{tmp_path}/marker','w')"]), model_part(members))
    rewrite(packed(hostile, tmp_path / "g.pt2"), tmp_path / "c.pt2")
    load(tmp_path / "c.pt2").model(torch.randn(2, 1, 8, 8))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
    ],
)
def test_json_that_is_no_program_is_refused(content, members, refused):
    assert refused({**members, model_part(members): content}).code in ("bad-json", "schema-version")


def test_json_nested_deeper_than_any_program_is_refused(members, refused):
    def nest(program: dict[str, Any]) -> None:
        value: Any = 1
        for _ in range(200):
            value = [value]
        first_node(program)["inputs"][0]["arg"] = {"as_ints": value}

    assert "nested deeper" in refused(edited(members, nest, model_part(members))).detail


def test_json_larger_than_any_program_is_refused(members, refused, monkeypatch):
    monkeypatch.setattr("workers.subject.pt2.MAX_JSON", 1000)
    assert refused(members).code == "too-large"


# --- what loads but cannot be audited


def came_in(network: nn.Module, example: tuple[Any, ...], tmp_path: Path, **options: Any) -> Any:
    torch.export.save(torch.export.export(network, example, **options), tmp_path / "m.pt2")
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    return load(tmp_path / "c.pt2")


def test_weights_that_are_nan_are_refused_by_name(tmp_path):
    network = made(Mlp).eval()
    network.net[0].weight.data[0, 0] = float("nan")
    with pytest.raises(Refusal, match=r"net\.0\.weight"):
        came_in(network, (torch.randn(2, 4),), tmp_path)


def test_a_buffer_of_minus_infinity_such_as_a_mask_comes_in(tmp_path):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
            self.body = nn.Linear(4, 2)

        def forward(self, x):
            return torch.softmax(self.body(x) + self.mask, 1)

    assert came_in(Masked(), (torch.randn(2, 4),), tmp_path).model(torch.randn(2, 4))[0].tolist() == [1.0, 0.0]


def test_a_model_without_a_floating_output_is_refused(tmp_path):
    class Hard(nn.Module):
        def forward(self, x):
            return x.argmax(1)

    with pytest.raises(Refusal, match="no floating-point"):
        came_in(Hard(), (torch.randn(2, 4),), tmp_path)


def test_what_torch_says_of_a_program_it_cannot_read_is_passed_on(members, tmp_path):
    hostile = edited(members, lambda p: p["graph_module"]["signature"].update(output_specs=[]), model_part(members))
    rewrite(packed(hostile, tmp_path / "n.pt2"), tmp_path / "c.pt2")
    with pytest.raises(Refusal, match=r"cannot be read by torch") as caught:
        load(tmp_path / "c.pt2")
    assert caught.value.code == "not-loadable"


def test_no_module_runs_node_by_node_and_hooks_still_fire(exported, tmp_path):
    rewrite(exported, tmp_path / "c.pt2")
    model = load(tmp_path / "c.pt2").model
    seen: list[str] = []
    for name, module in model.named_modules():
        assert not vars(module).get("_run_with_interpreter", False)
        if name:
            module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.append(name))
    model(torch.randn(2, 1, 8, 8))
    assert seen == ["conv", "norm", "act", "drop", "pool", "head"]
