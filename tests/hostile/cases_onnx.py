"""ONNX files that attack: by other files, by size, by shape, by depth, by names, and by numbers that lie."""

import itertools
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from tests.hostile.harness import MARKER, OUTSIDE, PYTHON, SECRET, Hostile
from tests.workers.facts import model_facts
from tests.workers.subject.networks_onnx import BIAS, WEIGHT, affine, forest, model, stored, value

FACTS = model_facts((3,), classes=2)
REGRESSION = FACTS.model_copy(
    update={"task": "regression", "output": FACTS.output.model_copy(update={"kind": "values", "classes": ()})}
)
RESOURCES = ("does-not-run", "not-loadable", "memory", "child-memory", "child-cpu-time")
"""A network that asks for too much is refused when it is tried, or ends at a bound of the sandbox."""


class Payload:
    """What a pickle of it would do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, (PYTHON,))


def cases() -> Iterator[Hostile]:
    """All of them."""
    for name, make, code in (*_elsewhere(), *_numbers(), *_graphs(), *_too_much(), *_files(), *_harmless()):
        yield Hostile(name=f"an ONNX file {name}", build=_writing(make), facts=FACTS, code=code)
    for name, lists in _forests():
        build = _writing(lambda lists=lists: _trees(**lists))
        yield Hostile(name=f"an ONNX forest {name}", build=build, facts=REGRESSION, code="bad-trees")


Case = tuple[str, Callable[[], ModelProto | bytes], str | tuple[str, ...] | None]


def _writing(make: Callable[[], ModelProto | bytes]) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        made = make()
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())

    return build


# --- other files


def _elsewhere() -> Iterator[Case]:
    places = {
        "whose weights are a secret above it": "../../../../../../../../" + str(SECRET).lstrip("/"),
        "whose weights are a secret by its whole path": str(SECRET),
        "whose weights are the environment": "/proc/self/environ",
        "whose weights are its own bytes": "source",
        "whose weights are a device": "/dev/zero",
        "whose weights are at an address": "http://127.0.0.1/weights",
    }
    for name, place in places.items():
        yield name, lambda place=place: _with_weight(_external(place)), "external-data"
    yield "whose weights are elsewhere, nobody says where", lambda: _with_weight(_external(None)), "external-data"
    yield (
        "that names a file and says it does not",
        lambda: _with_weight(_external(str(SECRET), TensorProto.DEFAULT)),
        "external-data",
    )
    yield "with a constant in another file", _external_constant, "external-data"
    yield "with a branch whose numbers are in another file", _external_branch, "external-data"
    yield (
        "that writes its context to a file",
        lambda: _one("EPContext", domain="com.microsoft", ep_cache_context=str(OUTSIDE)),
        "unknown-operator",
    )
    yield "that decodes an image", lambda: _one("ImageDecoder"), "unknown-operator"
    yield (
        "that asks an address for its answer",
        lambda: _one("AzureTritonInvoker", domain="com.microsoft.extensions", model_uri="http://127.0.0.1/"),
        "unknown-operator",
    )
    yield "that runs Python", lambda: _one("PyOp", domain="ai.onnx.contrib", code=PYTHON), "unknown-operator"


def _external(place: str | None, location: int = TensorProto.EXTERNAL) -> TensorProto:
    tensor = TensorProto(name="w", dims=[3, 2], data_type=TensorProto.FLOAT, data_location=location)
    for key, text in (("location", place), ("offset", "0"), ("length", "24")) if place else ():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(text)
    return tensor


def _external_constant() -> ModelProto:
    nodes = [helper.make_node("Constant", [], ["w"], value=_external(str(SECRET)))]
    return model([*nodes, helper.make_node("MatMul", ["x", "w"], ["y"])])


def _external_branch() -> ModelProto:
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"])], "branch", [], [value("z", None)], [_external(str(SECRET))]
    )
    return _branching(branch)


# --- numbers


def _numbers() -> Iterator[Case]:
    float_, int64 = TensorProto.FLOAT, TensorProto.INT64
    lies = {
        "whose weights are shorter than their shape": ({"raw_data": b"\0" * 20}, "tensor-size"),
        "whose weights are longer than their shape": ({"raw_data": b"\0" * 400}, "tensor-size"),
        "whose weights are not there": ({}, "tensor-size"),
        "whose weights are there twice": ({"raw_data": b"\0" * 24, "float_data": [0.0] * 6}, "tensor-size"),
        "whose weights are in the place of others": ({"int64_data": [0] * 6}, "tensor-size"),
        "whose weights are too few numbers": ({"float_data": [0.0] * 5}, "tensor-size"),
        "whose weights have a negative side": ({"dims": [-3, 2], "raw_data": b""}, "tensor-shape"),
        "whose weights have two negative sides": ({"dims": [-3, -2], "raw_data": b"\0" * 24}, "tensor-shape"),
        "whose weights claim 2^62 rows": ({"dims": [1 << 62, 2]}, "tensor-shape"),
        "whose weights multiply to nothing": ({"dims": [1 << 31, 1 << 31, 4], "raw_data": b""}, "tensor-shape"),
        "whose weights claim a terabyte": ({"dims": [1 << 20, 1 << 20], "raw_data": b""}, "tensor-size"),
        "whose weights have a thousand axes": ({"dims": [1] * 1000, "raw_data": b"\0" * 4}, "tensor-shape"),
        "whose weights are in pieces": ({"segment": TensorProto.Segment(begin=0, end=1 << 40)}, "unexpected-field"),
        "whose weights are of a type that is none": ({"data_type": 77, "raw_data": b"\0" * 24}, "tensor-type"),
        "whose weights are complex": ({"data_type": TensorProto.COMPLEX64, "raw_data": b"\0" * 48}, "tensor-type"),
        "whose bytes hold numbers beyond a byte": (
            {"data_type": TensorProto.UINT8, "int32_data": [0, 0, 0, 0, 0, 256]}, "tensor-size"),
        "whose truths are 255": ({"data_type": TensorProto.BOOL, "raw_data": b"\xff" * 6}, "tensor-values"),
        "with NaN among its weights": ({"float_data": [0.0] * 5 + [float("nan")]}, "weights-not-finite"),
        "with a text of a megabyte": (
            {"dims": [1], "data_type": TensorProto.STRING, "string_data": [b"x" * (1 << 20)]},
            "too-large"),
        "with fewer texts than their shape": (
            {"dims": [1 << 20], "data_type": TensorProto.STRING, "string_data": [b"x"]}, "tensor-size"),
    }  # fmt: skip
    for name, (fields, code) in lies.items():
        tensor = {"dims": [3, 2], "data_type": float_} | fields
        yield name, lambda tensor=tensor: _with_weight(TensorProto(name="w", **tensor)), code
    yield "with a sparse tensor that claims a terabyte", _sparse, "unexpected-field"
    yield "with a sparse constant", _sparse_constant, "unexpected-field"
    yield "that reads beyond its table", lambda: _gather(1 << 40, int64), RESOURCES
    yield "that reads before its table", lambda: _gather(-(1 << 40), int64), RESOURCES


def _sparse() -> ModelProto:
    proto = affine()
    sparse = proto.graph.sparse_initializer.add()
    sparse.values.CopyFrom(stored("s", np.float32([1.0])))
    sparse.indices.CopyFrom(stored("i", np.int64([1 << 38])))
    sparse.dims.extend([1 << 20, 1 << 20])
    return proto


def _sparse_constant() -> ModelProto:
    node = helper.make_node("Constant", [], ["w"])
    attribute = node.attribute.add(name="sparse_value", type=11)
    attribute.sparse_tensor.dims.append(1 << 40)
    return model([node, helper.make_node("MatMul", ["x", "w"], ["y"])])


def _gather(index: int, kind: int) -> ModelProto:
    nodes = [helper.make_node("Gather", ["x", "at"], ["y"], axis=1)]
    return model(nodes, tensors=[helper.make_tensor("at", kind, [2], [0, index])])


# --- graphs


def _graphs() -> Iterator[Case]:
    node = helper.make_node
    weight = [stored("w", WEIGHT)]
    yield (
        "whose nodes wait for each other",
        lambda: model([node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"])], outputs=[value("b", ["N", 3])]),
        "unknown-value",
    )
    yield "with a node that waits for itself", lambda: model([node("Add", ["x", "y"], ["y"])]), "unknown-value"
    yield (
        "that computes one value twice",
        lambda: model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]),
        "duplicate-name",
    )
    yield (
        "that computes its own input",
        lambda: model([node("Relu", ["x"], ["x"])], outputs=[value("x", ["N", 3])]),
        "duplicate-name",
    )
    yield (
        "with two tensors of one name",
        lambda: model([node("MatMul", ["x", "w"], ["y"])], tensors=weight * 2),
        "duplicate-name",
    )
    yield (
        "whose branch hides a value around it",
        lambda: _branching(helper.make_graph([node("Neg", ["x"], ["positive"])], "b", [], [value("positive", None)])),
        "duplicate-name",
    )
    yield "whose output nobody computes", lambda: model([node("Relu", ["x"], ["z"])]), "unknown-value"
    yield "with branches in branches, thirty deep", lambda: _deep(30), "too-deep"
    yield "with branches in branches, two hundred deep", _deeper, ("corrupt-onnx", "too-deep")
    yield "with a function that calls itself", lambda: _calling({"F": ["F"]}), "too-deep"
    yield "with two functions that call each other", lambda: _calling({"F": ["G"], "G": ["F"]}), "too-deep"
    yield (
        "with functions that double fifty times",
        lambda: _calling({f"F{at}": [f"F{at + 1}"] * 2 for at in range(30)} | {"F30": []}, "F0"),
        "too-large",
    )
    yield (
        "with a chain of a thousand functions",
        lambda: _calling({f"F{at}": [f"F{at + 1}"] for at in range(900)} | {"F900": []}, "F0"),
        "too-deep",
    )
    yield (
        "with a function in the place of an operator",
        lambda: _calling({"Relu": []}, "Relu", domain=""),
        "duplicate-name",
    )
    yield "with a function of a hostile name", lambda: _calling({"<script>": []}, "<script>"), "bad-text"
    yield "with an attribute that is another than it says", lambda: _attribute(type=2, s=b"x"), "bad-attribute"
    yield "with an attribute of no type", lambda: _attribute(type=0, i=1), "bad-attribute"
    yield (
        "with an attribute from a function that is none",
        lambda: _attribute(type=2, ref_attr_name="secret"),
        "bad-attribute",
    )
    yield "with an attribute of a hostile name", lambda: _attribute(name="<b onload=x>", type=2, i=1), "bad-text"
    yield "with one attribute twice", _twice, "duplicate-name"
    yield "with instructions for training", _training, "unexpected-field"
    yield "whose input is a dictionary", _dictionary, ("unexpected-field", "input-dtype")
    yield (
        "whose input is a text",
        lambda: model([node("Identity", ["x"], ["y"])], [value("x", ["N", 3], TensorProto.STRING)]),
        "input-dtype",
    )
    yield (
        "whose input is 2^62 wide",
        lambda: model([node("Relu", ["x"], ["y"])], [value("x", ["N", 1 << 62])]),
        "tensor-shape",
    )
    yield (
        "whose input is minus one wide",
        lambda: model([node("Relu", ["x"], ["y"])], [value("x", ["N", -1])]),
        "tensor-shape",
    )
    yield "that throws dice", lambda: model([node("RandomNormal", [], ["y"], shape=[2, 2])]), "random-operator"


def _one(operator: str, domain: str = "", **attributes: Any) -> ModelProto:
    further = ((domain, 1),) if domain else ()
    return model([helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)], further=further)


def _with_weight(weight: TensorProto) -> ModelProto:
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], tensors=[weight])


def _branching(branch: Any) -> ModelProto:
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "top"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch, else_branch=branch),
    ]
    return model(nodes)


def _deep(levels: int) -> ModelProto:
    inner = helper.make_graph([helper.make_node("Neg", ["x"], ["z0"])], "g", [], [value("z0", None)])
    for at in range(1, levels):
        node = helper.make_node("If", ["positive"], [f"z{at}"])
        for name in ("then_branch", "else_branch")[: 1 if at > 6 else 2]:
            attribute = node.attribute.add(name=name, type=5)
            attribute.g.CopyFrom(inner)
        inner = helper.make_graph([node], "g", [], [value(f"z{at}", None)])
    return _branching(inner)


def _deeper() -> bytes:
    """Deeper than protobuf itself reads, so written byte by byte: graph, node, attribute, graph, ..."""
    graph = b""
    for _ in range(200):
        graph = _field(1, _field(4, b"If") + _field(5, _field(6, graph)))
    return b"\x08\x08" + _field(7, graph + affine().graph.SerializeToString()) + _field(8, b"\x10\x11")


def _calling(calls: dict[str, list[str]], first: str = "F", domain: str = "mine") -> ModelProto:
    proto = _one(first, domain)
    for name, called in calls.items():
        body, last = [], "a"
        for at, other in enumerate(called):
            body.append(helper.make_node(other, [last], [f"b{at}"], domain=domain))
            last = f"b{at}"
        body.append(helper.make_node("Neg", [last], ["out"]))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
        proto.functions.append(helper.make_function(domain, name, ["a"], ["out"], body, opsets))
    return proto


def _attribute(**fields: Any) -> ModelProto:
    proto = affine()
    proto.graph.node[0].attribute.add(**{"name": "transA"} | fields)
    return proto


def _twice() -> ModelProto:
    proto = affine()
    for number in (0, 1):
        proto.graph.node[0].attribute.add(name="transA", type=2, i=number)
    return proto


def _training() -> ModelProto:
    proto = affine()
    proto.training_info.add().algorithm.name = "steal"
    return proto


def _dictionary() -> ModelProto:
    proto = affine()
    proto.graph.input[0].type.map_type.key_type = TensorProto.STRING
    return proto


# --- too much


def _too_much() -> Iterator[Case]:
    node = helper.make_node
    long = TensorProto.INT64

    def filled(shape: list[int]) -> ModelProto:
        nodes = [
            node("ConstantOfShape", ["s"], ["z"]),
            node("ReduceMax", ["z"], ["m"], keepdims=0),
            node("Add", ["x", "m"], ["y"]),
        ]
        return model(nodes, tensors=[helper.make_tensor("s", long, [len(shape)], shape)])

    def counting(limit: int) -> ModelProto:
        nodes = [
            node("Range", ["a", "b", "c"], ["r"]),
            node("Cast", ["r"], ["f"], to=1),
            node("ReduceMax", ["f"], ["m"], keepdims=0),
            node("Add", ["x", "m"], ["y"]),
        ]
        return model(
            nodes,
            tensors=[
                helper.make_tensor(name, long, [], [number]) for name, number in (("a", 0), ("b", limit), ("c", 1))
            ],
        )

    def tiled(times: int) -> ModelProto:
        nodes = [
            node("Tile", ["x", "t"], ["z"]),
            node("ReduceMax", ["z"], ["m"], axes=[1]),
            node("Add", ["x", "m"], ["y"]),
        ]
        return model(nodes, tensors=[helper.make_tensor("t", long, [2], [1, times])])

    yield "that fills four terabytes", lambda: filled([1 << 20, 1 << 20]), RESOURCES
    yield "that fills more than can be counted", lambda: filled([1 << 31, 1 << 31, 1 << 31]), RESOURCES
    yield "that fills less than nothing", lambda: filled([-1, -1]), RESOURCES
    yield "that counts to a trillion", lambda: counting(1 << 40), RESOURCES
    yield "that repeats its input a trillion times", lambda: tiled(1 << 40), RESOURCES
    yield "of sixty thousand nodes", lambda: _many(60_000), "too-large"
    yield (
        "of a million empty nodes",
        lambda: _empty_nodes(1_000_000),
        ("too-large", "unknown-operator", "memory", "child-memory"),
    )
    yield "of sixty thousand tensors", _many_tensors, "too-large"
    yield "of operators of the year 2099", lambda: affine(opset=99), "opset"
    yield "of operators of before there were any", lambda: affine(opset=0), "opset"
    yield "of operators of a negative age", lambda: affine(opset=-1), "opset"
    yield "of a container that nobody knows", lambda: affine(ir_version=1 << 40), ("opset", "not-a-model")
    yield "that does not say of which operators", _nameless, "opset"
    yield "that says two versions of its operators", lambda: affine(further=(("", 11),)), "opset"


def _many(count: int) -> ModelProto:
    names = ["x", *(f"h{at}" for at in range(count - 1)), "y"]
    return model([NodeProto(op_type="Neg", input=[a], output=[b]) for a, b in itertools.pairwise(names)])


def _empty_nodes(count: int) -> bytes:
    proto = affine()
    graph = proto.graph.SerializeToString() + b"\x0a\x00" * count
    proto.ClearField("graph")
    return proto.SerializeToString() + _field(7, graph)


def _field(number: int, content: bytes) -> bytes:
    """A field of a protobuf that holds a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7) if value > 0x7F else bytes((value,))


def _many_tensors() -> ModelProto:
    return model(
        [helper.make_node("Relu", ["x"], ["y"])],
        tensors=[TensorProto(name=f"t{at}", dims=[0], data_type=1) for at in range(60_000)],
    )


def _nameless() -> ModelProto:
    proto = affine()
    del proto.opset_import[:]
    return proto


# --- files


def _files() -> Iterator[Case]:
    whole = affine().SerializeToString()
    corrupt = ("corrupt-onnx", "opset", "inputs", "no-output", "unknown-value", "tensor-size", "not-a-model")
    yield "cut off in its weights", lambda: whole[: len(whole) // 2], corrupt
    yield "cut off at its last byte", lambda: whole[:-1], corrupt
    yield "with a length beyond its end", lambda: whole[:2] + b"\x3a\xff\xff\xff\xff\x07" + whole[2:], corrupt
    yield "with a number without an end", lambda: b"\x08\x08\x3a\x02" + b"\xff" * 64, corrupt
    yield "with a pickle behind it", lambda: whole + pickle.dumps(Payload()), corrupt
    yield "that is a pickle behind two bytes", lambda: b"\x08\x08" + pickle.dumps(Payload()), ("not-a-model", *corrupt)
    yield "without a graph", lambda: ModelProto(ir_version=8, producer_name="pytorch").SerializeToString(), corrupt
    yield "with a name that is no text", _no_text, "bad-text"


def _no_text() -> bytes:
    proto = affine()
    proto.graph.node[0].op_type = "GemmXX"
    return proto.SerializeToString().replace(b"GemmXX", b"Gem\xff\xfe\xfd")


# --- what comes in, and leaves the attack behind


def _harmless() -> Iterator[Case]:
    hostile = {
        "with a script for its names": f"<script>{MARKER}</script>",
        "with a picture for its names": f'</text><image href="file://{OUTSIDE}"/>',
        "with a formula for its names": f"=cmd|' /C touch {MARKER}'!A0",
        "with code for its names": f"x={PYTHON}",
        "with a path for its names": f"../../{MARKER}",
        "with a line feed and an escape in its names": f"a\n\x1b]0;{MARKER}\x07",
        "with names of a hundred thousand letters": MARKER + "n" * 100_000,
        "with names that read backwards": f"\u202e{MARKER}\u2066",
    }
    for name, text in hostile.items():
        yield name, lambda text=text: _named(text), None
    yield "with a pickle in its remarks", _pickled, None
    yield "with a configuration for its runtime", _configured, None
    yield "that asks for libraries", _libraries, None
    yield "with a pickle in a tensor that is not used", _unused, None


def _named(text: str) -> ModelProto:
    proto = model(
        [helper.make_node("Gemm", [text, text + "w", text + "b"], [text + "y"], name=text, doc_string=text)],
        [value(text, [text, 3])],
        [value(text + "y", [text, 2])],
        [stored(text + "w", WEIGHT), stored(text + "b", BIAS)],
        producer_name=text, producer_version=text, doc_string=text, domain=text,
    )  # fmt: skip
    proto.graph.name = proto.graph.doc_string = text
    proto.graph.value_info.append(value(text + "v", [text]))
    helper.set_model_props(proto, {text: text})
    return proto


def _pickled() -> ModelProto:
    proto = affine()
    helper.set_model_props(proto, {"pickle": pickle.dumps(Payload(), 0).decode()})
    proto.doc_string = pickle.dumps(Payload(), 0).decode()
    return proto


def _configured() -> ModelProto:
    proto = affine()
    wanted = {"session_options": {"enable_profiling": 1, "profile_file_prefix": str(OUTSIDE)}}
    helper.set_model_props(proto, {"ort_config": json.dumps(wanted)})
    return proto


def _libraries() -> ModelProto:
    proto = affine(further=(("ai.onnx.contrib", 1), ("com.microsoft.extensions", 1)))
    helper.set_model_props(proto, {"custom_ops_library": f"{OUTSIDE}.so"})
    return proto


def _unused() -> ModelProto:
    proto = affine()
    content = pickle.dumps(Payload())
    proto.graph.initializer.append(helper.make_tensor("u", TensorProto.UINT8, [len(content)], content, raw=True))
    proto.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, [1], [content]))
    return proto


# --- forests


def _forests() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "with a node that is its own child", {"nodes_truenodeids": [0, 0, 0]}
    yield "with a child that is not there", {"nodes_truenodeids": [1 << 40, 0, 0]}
    yield "with a negative child", {"nodes_falsenodeids": [-1, 0, 0]}
    yield "that joins again", {"nodes_falsenodeids": [1, 0, 0]}
    yield "with a list that is too short", {"nodes_values": [0.5]}
    yield "that asks for a negative feature", {"nodes_featureids": [-5, 0, 0]}
    yield "that asks for feature 2^40", {"nodes_featureids": [1 << 40, 0, 0]}
    yield "whose leaves give to output 2^40", {"target_ids": [0, 1 << 40]}
    yield "of 2^40 outputs", {"n_targets": 1 << 40}
    yield "of a mode that is none", {"nodes_modes": ["BRANCH_LEQ", "LEAF", MARKER]}


def _trees(**lists: Any) -> ModelProto:
    return model([forest(**lists)], outputs=[value("y", ["N", 1])], further=(("ai.onnx.ml", 3),))
