"""Files that attack whoever loads a `.pt2`: every known way by which torch.export.load runs what stands in one.

The rows are those of a survey of torch 2.13; each has three variants or more, since a validator that knows one file is
no validator. What only spends memory or time is here as well: it must end as that inspection's own failure.
"""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.hostile.harness import MARKER, OUTSIDE, PYTHON, RESOURCES, SHELL, Hostile
from tests.hostile.pt2_files import (
    CONSTANTS,
    PROGRAM,
    SENTINEL,
    WEIGHTS,
    Build,
    Members,
    Payload,
    added,
    cnn,
    edited,
    marker_code,
    mlp,
    packed,
    pickles,
    put,
    renamed,
    replaced,
    with_number,
)
from tests.workers.facts import model_facts
from tests.workers.networks import SHAPES, Cnn

Change = Callable[[Any], None]
UNSAFE, OPERATOR, LAYOUT = "unsafe-text", "operator-not-allowed", "unexpected-member"
SPENT = ("does-not-run", "not-loadable", "output-not-finite", *RESOURCES)
"""How an inspection ends whose network cannot be run, or not within its bounds."""


def cases() -> Iterator[Hostile]:
    """By the part of the file that is hostile."""
    for name, build, code in _all():
        yield Hostile(name=f"a .pt2 with {name}", build=build, facts=model_facts((4,)), code=code)
    for name, build, code in _constants():
        yield Hostile(name=f"a .pt2 with {name}", build=build, facts=model_facts(SHAPES[Cnn]), code=code)


def _all() -> Iterator[tuple[str, Build, str | tuple[str, ...] | None]]:
    for part in (
        *(_samples, _weights, _objects, _legacy, _expressions, _names, _guards, _compiled, _operators),
        *(_treespecs, _keywords, _archives, _metadata, _shown, _json, _tensors, _arguments, _other_text),
    ):
        yield from part()


Found = Iterator[tuple[str, Build, str | tuple[str, ...] | None]]


def _added(**members: bytes) -> Build:
    return packed(lambda: {**mlp(), **members})


GRAPH = ("graph_module", "graph")
NODE = (*GRAPH, "nodes", 0)
META = (*NODE, "metadata")
TOP = ("graph_module", "module_call_graph", 0, "signature")
WEIGHT = ("config", "net.0.weight")
CONSTANT = ("config", "offset")


def _added(**members: bytes) -> Build:
    return packed(lambda: {**mlp(), **members})


# 1: sample inputs are unpickled, with code whenever the first try fails


def _samples() -> Found:
    for name, content in pickles().items():
        yield f"{name} as its sample input", _added(**{"m/data/sample_inputs/model.pt": content}), None
    path = {"m/data/sample_inputs/other.pt": pickle.dumps(Payload(exec, f"open({str(OUTSIDE)!r}, 'w')"))}
    yield "a pickle as a second sample input", _added(**path), None
    yield "a pickle in its extra folder", _added(**{"m/extra/x.pkl": pickle.dumps(Payload(exec, PYTHON))}), None


# 2 and 3: tensors that say they are pickles


def _weights() -> Found:
    for value in (True, 1, "true", [True], {"as_bool": True}):
        yield (
            f"a weight whose use_pickle is {value!r}",
            edited(put(value, *WEIGHT, "use_pickle"), WEIGHTS),
            "pickled-tensor",
        )

    def members() -> Members:
        found = edited_members(put(True, *WEIGHT, "use_pickle"), WEIGHTS)
        return {**found, "m/data/weights/weight_0": pickle.dumps(Payload(exec, PYTHON))}

    yield "a pickle in the place of a weight", packed(members), "pickled-tensor"


def edited_members(change: Change, part: str = PROGRAM, given: Callable[[], Members] = mlp) -> Members:
    """The members with one JSON part changed in place."""
    found = given()
    value = json.loads(found[part])
    change(value)
    return {**found, part: json.dumps(value).encode()}


def _constants() -> Found:
    def pickled() -> Members:
        found = edited_members(put(True, *CONSTANT, "use_pickle"), CONSTANTS, cnn)
        return {**found, "m/data/constants/tensor_0": pickle.dumps(Payload(exec, PYTHON))}

    yield "a pickle in the place of a constant", packed(pickled), "pickled-tensor"
    for value in (1, "yes"):
        build = edited(put(value, *CONSTANT, "use_pickle"), CONSTANTS, cnn)
        yield f"a constant whose use_pickle is {value!r}", build, "pickled-tensor"
    for path in ("opaque_obj_0", "custom_obj_0", "custom_obj_../../x"):
        build = edited(put(path, *CONSTANT, "path_name"), CONSTANTS, cnn)
        yield f"a constant kept as {path}", build, "custom-object"
    for path in ("../weights/weight_0", "/etc/passwd", "tensor_0\n", "tensor_" + "9" * 9):
        build = edited(put(path, *CONSTANT, "path_name"), CONSTANTS, cnn)
        yield f"a constant kept at {path[:20]!r}", build, (UNSAFE, "missing-member")


# 4 and 17: objects that are unpickled or handed to a class's own reader


def _objects() -> Found:
    for kind in ("opaque_obj", "custom_obj"):
        for at, (name, content) in enumerate(pickles().items()):
            yield f"{name} as {kind}_{at}", _added(**{f"m/data/constants/{kind}_{at}": content}), "custom-object"
    value = {"name": "obj", "class_fqn": "os.system"}
    for where, change in {
        "an argument": put({"as_custom_obj": value}, *NODE, "inputs", 0, "arg"),
        "an input": added({"as_custom_obj": value}, *GRAPH, "inputs"),
        "a value": put(value, *GRAPH, "custom_obj_values", "obj"),
        "a signature": added(
            {"custom_obj": {"arg": value, "custom_obj_name": "obj"}}, "graph_module", "signature", "input_specs"
        ),
    }.items():
        yield f"a custom object as {where} of its program", edited(change), "custom-object"


# 5 and 6: layouts of older versions, whose weights are pickles


def _legacy() -> Found:
    for name, content in pickles().items():
        yield f"{name} as the weights of torch 2.8", _added(**{"m/data/weights/model.pt": content}), "pickled-weights"
    content = pickle.dumps(Payload(exec, PYTHON))
    yield "a pickle as the constants of torch 2.8", _added(**{"m/data/constants/model.pt": content}), "pickled-weights"
    old = {
        "serialized_exported_program.json": b"{}",
        "serialized_state_dict.pt": content,
        "serialized_constants.pt": content,
        "serialized_example_inputs.pt": content,
        "version": b"8.8",
    }
    other = ("not-a-pt2", "not-a-model")
    yield "the layout of torch 2.7 and pickles in it", packed(lambda: old), other
    yield (
        "the layout of torch 2.7 in a folder",
        packed(lambda: {f"m/{key}": value for key, value in old.items()}),
        other,
    )
    yield "both layouts at once", packed(lambda: {**mlp(), **old}), "bad-layout"
    yield (
        "both layouts in one folder",
        packed(lambda: {**mlp(), **{f"m/{key}": value for key, value in old.items()}}),
        LAYOUT,
    )


# 7: expressions are evaluated


def _expressions() -> Found:
    tower = "Symbol('s77', positive=True, integer=True)"
    for _ in range(6):
        tower = f"Pow({tower}, Integer(64))"
    texts = {
        **{f"code number {at}": code for at, code in enumerate(marker_code())},
        "an attribute": "Symbol('s77').__class__.__mro__",
        "an item": "Integer(1)[0]",
        "a function of Python": "eval('1')",
        "a method of a symbol": "Symbol('s77').subs(1, 2)",
        "a lambda": "(lambda: 1)()",
        "a comprehension": "[x for x in (1,)]",
        "a text that is formatted": f"f'{{open({MARKER!r}, \"w\")}}'",
        "a text in a symbol": f"Symbol({PYTHON!r}, integer=True)",
        "a keyword of another function": "Symbol('s77', **{'integer': True})",
        "a starred argument": "Add(*(1, 2))",
        "an assignment": "(s77 := 1)",
        "a name of Python alone": "__builtins__",
        "a power of powers": "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "a power of a large number": "Pow(Integer(9), Integer(999999999))",
        "a tower of small powers": tower,
        "a power of Python": "9**9**9",
        "a shift": "1 << 999999999",
        "a number of four thousand digits": "9" * 4000,
        "a text of a hundred thousand characters": "Add(" + "1, " * 40_000 + "1)",
        "a thousand parentheses": "(" * 1000 + "1" + ")" * 1000,
        "letters that only look like letters": "Symbol(\N{FULLWIDTH LATIN SMALL LETTER S}77)",
        "a line break": "Integer(1)\n" + PYTHON,
        "a null": "Integer(1)\0",
    }
    for name, text in texts.items():
        value = {"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}
        yield f"{name} as a size", edited(put(value, *GRAPH, "sym_int_values", "s")), UNSAFE
    value = {"as_expr": {"expr_str": marker_code()[0], "hint": None}}
    for member, given in {"sizes": [value] * 2, "strides": [value] * 2, "storage_offset": value}.items():
        yield f"code in the {member} of its input", edited(put(given, *GRAPH, "tensor_values", "x", member)), UNSAFE
        yield f"code in the {member} of a weight", edited(put(given, *WEIGHT, "tensor_meta", member), WEIGHTS), UNSAFE
    for kind in ("sym_bool_values", "sym_float_values"):
        yield f"code in {kind}", edited(put(value, *GRAPH, kind, "s")), UNSAFE


# 8, 9 and 13: names become the source of a function


def _names() -> Found:
    texts = {
        "a default value": f"x={marker_code()[0]}",
        "more parameters": "x, *_z, q=1",
        "an annotation": f"x: {PYTHON}",
        "the end of the function": f"x):\n    {PYTHON}\ndef g(",
        "a keyword": "lambda",
        "a name of Python": "__class__",
        "letters outside ASCII": "x\N{GREEK SMALL LETTER ALPHA}",
        "letters that only look like letters": "\N{FULLWIDTH LATIN SMALL LETTER X}",
        "a comment": "x#",
        "nothing but a space": " ",
        "three hundred characters": "x" * 300,
    }
    for name, text in texts.items():
        for what, old in {"an input": "x", "a weight": "p_net_0_weight", "a value": "linear"}.items():
            yield f"{name} as the name of {what}", renamed(old, text), UNSAFE
    for name in ("a default value", "a keyword", "the end of the function"):
        yield f"{name} among the names of its arguments", edited(put([texts[name]], *TOP, "forward_arg_names")), UNSAFE
    paths = {
        "parameter_name": ("graph_module", "signature", "input_specs", 0, "parameter", "parameter_name"),
        "fqn": ("graph_module", "module_call_graph", 1, "fqn"),
    }
    for member, where in paths.items():
        for at, text in enumerate(("a'); evil(", "a\nb", "a b", 'a"', "a/../b", "\N{SNOWMAN}")):
            yield f"a hostile module path as {member}, number {at}", edited(put(text, *where)), UNSAFE
    ranges = put({PYTHON: {"min_val": 1, "max_val": 2}}, "range_constraints")
    yield "code as the name of a range", edited(ranges), UNSAFE


# 10: guards are executed


def _guards() -> Found:
    for at, code in enumerate(marker_code()):
        yield f"guards that are code, number {at}", edited(put([code], "guards_code")), None
    yield "guards that are no texts", edited(put({"a": [1]}, "guards_code")), None


# 11: compiled code is loaded


def _compiled() -> Found:
    elf = b"\x7fELF\x02\x01\x01" + bytes(100)
    for at, name in enumerate(("model/a.so", "model/wrapper.cpp", "x.so")):
        yield f"compiled code, number {at}", _added(**{f"m/data/aotinductor/{name}": elf}), "compiled-code"
    yield "compiled code among its weights", _added(**{"m/data/weights/a.so": elf}), LAYOUT
    yield "compiled code for another executor", _added(**{"m/data/executorch/a.pte": elf}), LAYOUT


# 12 and 16: operators that read and write files, and names that are looked up


def _operators() -> Found:
    targets = [
        "torch.ops.aten.from_file.default", "torch.ops.aten.from_file.out", "torch.ops.aten.save.default",
        "torch.ops.aten.set_.source_Storage", "torch.ops.aten.set_.source_Tensor_storage_offset",
        "torch.ops.aten.resize_.default", "torch.ops.aten.data.default", "torch.ops.aten._pin_memory.default",
        "torch.ops.aten.record_stream.default", "torch.ops.aten.as_strided_.default", "torch.ops.aten.add.out",
        "torch.ops.aten._sparse_coo_tensor_unsafe.default", "torch.ops.aten._nested_view_from_buffer.default",
        "torch.ops.aten._cudnn_rnn.default", "torch.ops.aten._weight_int4pack_mm.default",
        "torch.ops.prim.device.default", "torch.ops.prims.convert_element_type.default",
        "torch.ops.c10d.broadcast_.default", "torch.ops._c10d_functional.all_reduce.default",
        "torch.ops.inductor._reinterpret_tensor.default", "torch.ops.quantized.linear_unpack.default",
        "torch.ops.profiler._record_function_enter.default", "torch.ops.rngprims.philox_rand.default",
        "torch.ops.streams.record_event.default", "torch.ops.mylib.evil.default", "torch.ops.loaded_libraries.add",
        "torch.ops.load_library", "torch.ops.higher_order.while_loop", "torch.ops.higher_order.triton_kernel_wrapper",
        "torch.ops.higher_order.call_torchbind", "torch.ops.higher_order.executorch_call_delegate",
        "torch.ops.higher_order.hints_wrapper", "torch.os.system", "torch.load", "torch.hub.load",
        "torch.sym_int.__globals__", "torch.ops.aten.add.Tensor.__class__", "torch.ops.aten.__class__.mro",
        "_operator.attrgetter", "_operator.methodcaller", "_operator.call", "_operator.__loader__.load_module",
        "_operator.setitem", "math.__loader__.load_module", "math.factorial", "os.system", "builtins.exec", "eval",
        "torch.ops.aten.add.Tensor\n", " torch.ops.aten.add.Tensor", "TORCH.ops.aten.add.Tensor", "",
    ]  # fmt: skip
    for target in targets:
        yield f"a call of {target!r}", edited(put(target, *NODE, "target")), OPERATOR
    operator = put({"as_operator": "torch.ops.aten.from_file.default"}, *NODE, "inputs", 0, "arg")
    yield "an argument that is an operator on files", edited(operator), OPERATOR
    yield "an operator on files in a branch", edited(_branch), OPERATOR
    yield "operators nested in operators", edited(_nested), ("bad-json", UNSAFE, "not-loadable")


def _branch(program: Any) -> None:
    """The first node becomes a choice of a branch that reads a file."""
    graph = program["graph_module"]["graph"]
    text = {"name": "filename", "arg": {"as_string": MARKER}, "kind": 1}
    node = {**graph["nodes"][0], "target": "torch.ops.aten.from_file.default", "inputs": [text], "metadata": {}}
    inner = {**graph, "nodes": [node], "tensor_values": {}, "inputs": [], "outputs": []}
    branch = {"name": "", "arg": {"as_graph": {"name": "true_graph_0", "graph": inner}}, "kind": 1}
    graph["nodes"][0].update(target="torch.ops.higher_order.cond", inputs=[branch])


def _nested(program: Any) -> None:
    """Sixty choices, each within the branch of the one before."""
    outer = program["graph_module"]["graph"]
    graph: Any = {**outer, "nodes": []}
    for _ in range(60):
        argument = {"name": "", "arg": {"as_graph": {"name": "g", "graph": graph}}, "kind": 1}
        node = {"target": "torch.ops.higher_order.cond", "inputs": [argument], "outputs": [], "metadata": {}}
        graph = {**outer, "nodes": [node]}
    program["graph_module"]["graph"] = graph


# 14 and 15: nestings import modules and name classes


def _treespecs() -> Found:
    leaf = {"type": None, "context": None, "children_spec": []}

    def one(kind: object, context: object, children: list[Any]) -> str:
        return json.dumps([1, {"type": kind, "context": context, "children_spec": children}])

    deep: Any = leaf
    for _ in range(40):
        deep = {"type": "builtins.tuple", "context": "null", "children_spec": [deep]}
    specs = {
        "an enumeration to import": one("builtins.dict", '[{"__enum__": true, "fqn": "os:path", "name": "x"}]', [leaf]),
        "an enumeration by its short form": one("builtins.dict", '[{"__enum__": "antigravity:x"}]', [leaf]),
        "an enumeration in a list": one("builtins.list", '{"__enum__": "os:x"}', [leaf]),
        "a factory of defaults": one("collections.defaultdict", '{"default_factory_module": "os"}', []),
        "a factory with keys": one(
            "collections.defaultdict", '{"default_factory_module": "os", "dict_context": []}', []
        ),
        "a named tuple": one("collections.namedtuple", '{"class": "os.stat_result"}', [leaf]),
        "a class of its own": one("os.system", '"x"', [leaf]),
        "a class that is almost a known one": one("transformers.x.Output\n", "[]", []),
        "a module in a known name": one("transformers.os.system", "[]", []),
        "a slice": one("builtins.slice", "null", [leaf] * 3),
        "a nesting forty deep": json.dumps([1, deep]),
        "another protocol": json.dumps([2, leaf]),
        "no nesting": "null",
        "a hundred thousand brackets": "[" * 100_000,
        "a key that is code": one("builtins.dict", json.dumps([PYTHON]), [leaf]),
        "a key that is a tag": one("builtins.dict", '["<script>"]', [leaf]),
    }
    for name, text in specs.items():
        for spec in ("in_spec", "out_spec"):
            yield f"{name} as its {spec}", edited(put(text, *TOP, spec)), UNSAFE
    fields = put({"os.x": {"field_names": ["a"]}}, "graph_module", "treespec_namedtuple_fields")
    yield "fields of named tuples", edited(fields), "custom-object"


# 18: names of arguments


def _keywords() -> Found:
    for at, name in enumerate(("self, *a", "**{}", "x=1", "__class__", "a b", "\N{SNOWMAN}")):
        yield f"a hostile name of an argument, number {at}", edited(put(name, *NODE, "inputs", 0, "name")), UNSAFE
    unknown = {"name": "evil", "arg": {"as_int": 1}, "kind": 2}
    yield "an argument that the operator has not", edited(added(unknown, *NODE, "inputs")), None


# 19 and 20: archives


def _archives() -> Found:
    for name, method in (("deflate", zipfile.ZIP_DEFLATED), ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        bomb = packed(lambda: {**mlp(), "m/data/weights/weight_9": bytes(1 << 24)}, method)
        yield f"sixteen megabytes of nothing packed by {name}", bomb, "unexpected-compression"
    paths = (
        "../../marker", "/etc/cron.d/x", "m/../../x", "m/./x", "m\\..\\x", "C:/x", "m/a\nb", "m/\x7f", "m/" + "x" * 600,
        "m//x/../y", "~/x",
    )  # fmt: skip
    for name in paths:
        yield f"a member called {name[:20]!r}", _added(**{name: b"x"}), ("unsafe-member", LAYOUT, "bad-layout")
    yield "a link among its members", _linked, "unsafe-member"
    yield "a link that would be dropped", _linked_extra, "unsafe-member"
    yield "the same program twice", _twice, "duplicate-member"
    yield "a member of another length than it says", _lying(size=1 << 40), ("corrupt-archive", "too-large")
    yield "a member of another checksum", _lying(checksum=1), "corrupt-archive"
    yield "a weight that lies elsewhere", _lying(offset=3), "corrupt-archive"
    yield "a weight of a wrong checksum", _lying(checksum=1, member="m/data/weights/weight_0"), "corrupt-archive"
    yield "a weight that begins elsewhere", _lying(offset=0, member="m/data/weights/weight_2"), "corrupt-archive"
    yield "an encrypted program", _lying(flags=1), "encrypted-member"
    yield "two models", _added(**{"m/models/other.json": b"{}"}), "bad-layout"
    yield "two top folders", _added(**{"n/models/model.json": b"{}"}), "bad-layout"
    yield "a program in front of the archive", _prefixed, ("corrupt-archive", "not-a-pt2", "not-a-model")
    yield "an archive in the place of its program", packed(_archive_within), "bad-json"
    yield "big-endian weights", _added(**{"m/byteorder": b"big"}), "byte-order"
    many = {f"m/extra/{at}": b"" for at in range(25_000)}
    yield "twenty-five thousand members", packed(lambda: {**mlp(), **many}), "too-many-members"
    for part in (PROGRAM, WEIGHTS, CONSTANTS, "m/data/weights/weight_1"):
        yield f"no {part[2:]}", packed(lambda part=part: {k: v for k, v in mlp().items() if k != part}), (
            "bad-layout", "missing-member", "not-a-pt2", "not-a-model",
        )  # fmt: skip


def _linked(path: Path) -> None:
    _with_link(path, "m/data/weights/link", "/etc/passwd")


def _linked_extra(path: Path) -> None:
    _with_link(path, "m/extra/link", "/etc/passwd")


def _with_link(path: Path, name: str, to: str) -> None:
    packed(mlp)(path)
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(info, to)


def _twice(path: Path) -> None:
    """zipfile warns of a second member of a name, so the second is written under another and renamed."""
    second = PROGRAM.replace("model.json", "lodel.json")
    packed(lambda: {**mlp(), second: b"{}"})(path)
    path.write_bytes(path.read_bytes().replace(second.encode(), PROGRAM.encode()))


def _prefixed(path: Path) -> None:
    packed(mlp)(path)
    path.write_bytes(f"#!/bin/sh\n{SHELL}\n".encode() + path.read_bytes())


def _archive_within() -> Members:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("m/models/model.json", mlp()[PROGRAM])
    return {**mlp(), PROGRAM: buffer.getvalue()}


def _lying(
    *, size: int | None = None, checksum: int | None = None, offset: int | None = None, flags: int | None = None,
    member: str = PROGRAM,
) -> Build:  # fmt: skip
    """An archive whose directory says of one member what is not so. Sizes are cut to the 32 bits of the record."""

    def build(path: Path) -> None:
        packed(mlp)(path)
        content = bytearray(path.read_bytes())
        at = content.rfind(member.encode()) - 46  # the record in the directory at the end (APPNOTE, 4.3.12)
        assert content[at : at + 4] == b"PK\x01\x02"
        for value, place, form in ((flags, 8, "<H"), (checksum, 16, "<I"), (offset, 42, "<I")):
            if value is not None:
                struct.pack_into(form, content, at + place, value)
        if size is not None:
            struct.pack_into("<II", content, at + 20, size & 0xFFFFFFFE or 0x7FFFFFFF, size & 0xFFFFFFFE or 0x7FFFFFFF)
        path.write_bytes(content)

    return build


# what tells of the author's machine, and what is shown to people


def _metadata() -> Found:
    code = marker_code()[0]
    for key in ("stack_trace", "source_fn_stack", "torch_fn", "from_node", "custom", code):
        yield f"code in the metadata of a node, as {key[:20]}", edited(put(code, *META, key)), None
    yield "code in the metadata of its graph", edited(put({code: code}, "graph_module", "metadata")), None


def _shown() -> Found:
    tags = (
        "<script>alert(1)</script>",
        "<svg/onload=alert(1)>",
        "<img src=x onerror=alert(1)>",
        "' onclick='x",
        "]]><x/>",
    )
    for at, tag in enumerate(tags):
        kind = renamed("torch.nn.modules.linear.Linear", tag.replace(";", "").replace(",", ""), within=True)
        yield f"a tag as the type of a module, number {at}", kind, None
        path = put(f"L__self__,{tag},x", *META, "nn_module_stack")
        yield f"a tag as the name of a module, number {at}", edited(path), "module-name"
        yield f"a tag as the name of an input, number {at}", renamed("x", tag), UNSAFE
        member = {f"m/{tag.replace('/', '')}": b""}
        yield f"a tag as the name of a member, number {at}", _added(**member), LAYOUT
        yield f"a tag as the name of a weight, number {at}", packed(lambda tag=tag: _weight_called(tag)), UNSAFE
        yield f"a tag as the version of torch, number {at}", edited(put(tag, "torch_version")), UNSAFE
    stack = "L__self__,,tests.Mlp;L__self__net,net,x"
    nesting = edited(put(stack, *META, "nn_module_stack"))
    yield "modules whose nesting contradicts itself", nesting, SPENT


def _weight_called(name: str) -> Members:
    found = mlp()
    config = json.loads(found[WEIGHTS])
    return {**found, WEIGHTS: json.dumps(replaced(config, "net.0.weight", name)).encode()}


# JSON


def _json() -> Found:
    def said(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        return lambda raw: raw.replace(old, new, 1)

    contents: dict[str, tuple[Callable[[bytes], bytes], Any]] = {
        "no JSON": (lambda _: b"\x80\x04K\x01.", "bad-json"),
        "numbers that are none": (said(b'"as_int": 6', b'"as_int": NaN'), "bad-json"),
        "a number that overflows": (said(b'"as_float": 0.5', b'"as_float": 1e999'), "bad-json"),
        "a number of ten thousand digits": (said(b'"as_int": 6', b'"as_int": ' + b"9" * 10_000), "bad-json"),
        "a number beyond 64 bits": (said(b'"as_int": 6', b'"as_int": ' + b"9" * 30), "bad-program"),
        "half a surrogate": (said(b'"name": "x"', b'"name": "\\ud800"'), UNSAFE),
        "a program that is a list": (lambda raw: b"[" + raw + b"]", "bad-json"),
        "a program that ends early": (lambda raw: raw[: len(raw) // 2], "bad-json"),
        "two programs": (lambda raw: raw + raw, "bad-json"),
        "another encoding": (lambda raw: raw.decode().encode("utf-16"), "bad-json"),
        "a member of its program twice": (said(b'"guards_code": []', b'"guards_code": [1], "guards_code": []'), None),
    }
    for name, (change, code) in contents.items():
        yield name, packed(lambda change=change: {**mlp(), PROGRAM: change(mlp()[PROGRAM])}), code
    deep: Any = 1
    for _ in range(150):
        deep = {"arg": [deep]}
    yield (
        "arguments three hundred deep",
        edited(lambda p: p["graph_module"]["graph"]["nodes"][0]["inputs"].append(deep)),
        "bad-json",
    )
    yield "unknown members", edited(put(["os", "system"], "__reduce__")), "bad-program"
    for member in ("graph_module", "schema_version", "range_constraints", "opset_version", "verifiers"):
        for value in (None, 3):
            yield (
                f"{value!r} as its {member}",
                edited(put(value, member)),
                ("bad-program", "schema-version"),
            )


# tensors that do not fit their bytes


def _tensors() -> Found:
    def one(**changes: Any) -> Build:
        ((member, value),) = changes.items()
        return edited(put(value, *WEIGHT, "tensor_meta", member), WEIGHTS)

    def ints(*values: int) -> list[dict[str, int]]:
        return [{"as_int": value} for value in values]

    wrong = ("tensor-size", "tensor-type", "bad-program")
    yield "a weight of four terabytes", one(sizes=ints(1 << 20, 1 << 20)), wrong
    yield "a weight of negative size", one(sizes=ints(-6, 4)), wrong
    yield "a weight whose sizes overflow", one(sizes=ints(1 << 33, 1 << 33)), wrong
    yield "a weight whose strides overflow", one(strides=ints(1 << 62, 1 << 62)), wrong
    yield "a weight with a negative stride", one(strides=ints(-4, 1)), wrong
    yield "a weight with an offset beyond its bytes", one(storage_offset={"as_int": 1}), wrong
    yield "a weight with a negative offset", one(storage_offset={"as_int": -1}), wrong
    yield "a weight with an offset of 2**63", one(storage_offset={"as_int": 1 << 63}), wrong
    yield "a weight of fifty axes", one(sizes=ints(*[1] * 50)), wrong
    yield "a weight with fewer strides than axes", one(strides=ints(1)), wrong
    for code in (0, 9, 14, 29, 99, -1, True, 7.0, "7", None):
        yield f"a weight of dtype {code!r}", one(dtype=code), (*wrong, UNSAFE)
        yield f"a weight of layout {code!r}", one(layout=1 if code == 7.0 else code), (*wrong, UNSAFE)
    yield "a weight of another device", one(device={"type": "meta", "index": None}), UNSAFE
    yield "a weight on a device that is code", one(device={"type": PYTHON, "index": 0}), UNSAFE
    yield "a weight on a far device", one(device={"type": "cuda", "index": 10**9}), None
    small = packed(lambda: {**mlp(), "m/data/weights/weight_0": b""})
    yield "an empty weight of a declared size", small, "tensor-size"
    yield "a weight of half an element", packed(lambda: {**mlp(), "m/data/weights/weight_0": bytes(97)}), "tensor-size"
    nan = packed(lambda: {**mlp(), "m/data/weights/weight_0": b"\xff" * 96})
    yield "a weight of NaN", nan, "weights-not-finite"
    value = (*GRAPH, "tensor_values", "linear")
    yield "a value of negative size", edited(put(ints(-2, 6), *value, "sizes")), ("not-loadable", "does-not-run")
    yield "a value that is sparse", edited(put(1, *value, "layout")), "tensor-type"


# arguments that spend memory or time, or reach beyond a tensor


def _arguments() -> Found:
    far = 1 << 40
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "a view far beyond its tensor": lambda x: x.new_zeros(100).as_strided((2,), (1,), SENTINEL),
        "a view of far strides": lambda x: x.new_zeros(100).as_strided((2,), (SENTINEL,), 0),
        "a view larger than its tensor": lambda x: x.new_zeros(100).as_strided((SENTINEL,), (1,), 0),
        "an index far beyond its tensor": lambda x: x.new_zeros(100)[SENTINEL],
        "a slice far beyond its tensor": lambda x: x.new_zeros(100).narrow(0, SENTINEL, 2),
        "a full of any size": lambda x: torch.full((SENTINEL,), 1.0),
        "an empty of any size": lambda x: torch.empty(SENTINEL).fill_(1.0),
        "an empty of any strides": lambda x: torch.empty_strided((2,), (SENTINEL,)).fill_(1.0),
        "a range of any length": lambda x: torch.arange(SENTINEL),
        "a repeat of any number": lambda x: x.repeat(1, SENTINEL),
        "a diagonal of any size": lambda x: torch.eye(SENTINEL),
        "a padding of any width": lambda x: torch.nn.functional.pad(x, (0, SENTINEL)),
        "an enlargement to any size": lambda x: torch.nn.functional.interpolate(x[:, None], size=SENTINEL),
        "classes without number": lambda x: torch.nn.functional.one_hot(x.new_zeros(2).long(), SENTINEL),
        "a window of any length": lambda x: torch.hann_window(SENTINEL),
        "pooling to any size": lambda x: torch.nn.functional.adaptive_avg_pool1d(x[:, None], SENTINEL),
        "a Fourier transform of any length": lambda x: torch.fft.rfft(x, SENTINEL).abs(),
        "a matrix power of any degree": lambda x: torch.linalg.matrix_power(x.new_ones(3, 3) / 3, SENTINEL),
        "repetitions without number": lambda x: x.repeat_interleave(SENTINEL, 1),
        "steps without number": lambda x: torch.linspace(0, 1, SENTINEL),
        "indices of a triangle": lambda x: torch.tril_indices(SENTINEL, SENTINEL),
        "a roll by any number": lambda x: x.roll(SENTINEL, 1),
        "the largest of any number": lambda x: torch.zeros(100).topk(SENTINEL)[0],
        "windows of any size": lambda x: torch.zeros(100).unfold(0, SENTINEL, 1),
    }  # fmt: skip
    for name, function in functions.items():
        for how, number in (("far", far), ("negative", -far)):
            code = None if name == "a roll by any number" else SPENT
            yield f"{name}: {how}", with_number(function, number), code


def _other_text() -> Found:
    for at, text in enumerate(("'; import os", "a\nb", "$(id)", "a`b`", "\N{SNOWMAN}", "x" * 300)):
        argument: dict[str, Any] = {"name": "mode", "arg": {"as_string": text}, "kind": 2}
        yield f"a hostile text argument, number {at}", edited(added(argument, *NODE, "inputs")), UNSAFE
    for text in ("meta", "xla", "lazy", "cpu:0; x", "privateuseone", "CUDA"):
        argument = {"name": "device", "arg": {"as_device": {"type": text, "index": None}}, "kind": 2}
        yield f"the device {text!r}", edited(added(argument, *NODE, "inputs")), UNSAFE
    yield "a verifier to import", edited(put(["os; evil"], "verifiers")), UNSAFE
    yield "a verifier that is none", edited(put(["EVIL"], "verifiers")), "not-loadable"
    yield "a schema of the future", edited(put({"major": 99, "minor": 0}, "schema_version")), "schema-version"
    yield "a schema that is code", edited(put({"major": PYTHON, "minor": 0}, "schema_version")), "schema-version"
    yield "an opset that is code", edited(put({PYTHON: 1}, "opset_version")), UNSAFE
