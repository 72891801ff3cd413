"""Files that attack whoever loads a `.pt2`: every known way by which torch.export.load runs what stands in one.

The rows are those of a survey of torch 2.13; each has three variants or more, since a validator that knows one file is
no validator. What attacks by size, by depth or by what is shown stands in `cases_pt2_content.py`.
"""

import json
import pickle
from collections.abc import Iterator
from typing import Any

from tests.hostile.harness import MARKER, OUTSIDE, PYTHON, Hostile
from tests.hostile.pt2_files import (
    CONSTANT,
    CONSTANTS,
    GRAPH,
    LAYOUT,
    NODE,
    OPERATOR,
    TOP,
    UNSAFE,
    WEIGHT,
    WEIGHTS,
    Found,
    Members,
    Payload,
    added,
    added_members,
    cnn,
    edited,
    edited_members,
    marker_code,
    mlp,
    packed,
    pickles,
    put,
    renamed,
)
from tests.workers.facts import model_facts
from tests.workers.networks import SHAPES, Cnn


def cases() -> Iterator[Hostile]:
    """By the part of the file that is hostile."""
    parts = (
        *(_samples, _weights, _objects, _legacy, _expressions, _names, _guards, _compiled, _operators),
        *(_treespecs, _keywords),
    )
    for part in parts:
        for name, build, code in part():
            yield Hostile(name=f"a .pt2 with {name}", build=build, facts=model_facts((4,)), code=code)
    for name, build, code in _constants():
        yield Hostile(name=f"a .pt2 with {name}", build=build, facts=model_facts(SHAPES[Cnn]), code=code)


# 1: sample inputs are unpickled, with code whenever the first try fails


def _samples() -> Found:
    for name, content in pickles().items():
        yield f"{name} as its sample input", added_members(**{"m/data/sample_inputs/model.pt": content}), None
    path = {"m/data/sample_inputs/other.pt": pickle.dumps(Payload(exec, f"open({str(OUTSIDE)!r}, 'w')"))}
    yield "a pickle as a second sample input", added_members(**path), None
    yield "a pickle in its extra folder", added_members(**{"m/extra/x.pkl": pickle.dumps(Payload(exec, PYTHON))}), None


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
            yield f"{name} as {kind}_{at}", added_members(**{f"m/data/constants/{kind}_{at}": content}), "custom-object"
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
        yield (
            f"{name} as the weights of torch 2.8",
            added_members(**{"m/data/weights/model.pt": content}),
            "pickled-weights",
        )
    content = pickle.dumps(Payload(exec, PYTHON))
    yield (
        "a pickle as the constants of torch 2.8",
        added_members(**{"m/data/constants/model.pt": content}),
        "pickled-weights",
    )
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
        yield f"compiled code, number {at}", added_members(**{f"m/data/aotinductor/{name}": elf}), "compiled-code"
    yield "compiled code among its weights", added_members(**{"m/data/weights/a.so": elf}), LAYOUT
    yield "compiled code for another executor", added_members(**{"m/data/executorch/a.pte": elf}), LAYOUT


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
