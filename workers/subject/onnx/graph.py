"""Is every node of an ONNX graph one that may run, with its inputs there before it? Checked and renamed in place."""

import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto

from workers.subject.onnx.evaluation import to_evaluation
from workers.subject.onnx.fields import sift
from workers.subject.onnx.names import Names, Scope
from workers.subject.onnx.operators import check_operator, domain_of
from workers.subject.onnx.tensors import settle
from workers.subject.onnx.trees import check_trees
from workers.subject.refusal import Refusal, quoted

MAX_NODES = 50_000
MAX_TENSORS = 50_000
MAX_DEPTH = 8
MAX_TEXT = 1 << 16
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.\-:]{0,127}", re.ASCII)
_AGAIN = "Export the model again, and check it with onnx.checker."
_HOLDS = {
    AttributeProto.FLOAT: "f", AttributeProto.INT: "i", AttributeProto.STRING: "s", AttributeProto.TENSOR: "t",
    AttributeProto.GRAPH: "g", AttributeProto.FLOATS: "floats", AttributeProto.INTS: "ints",
    AttributeProto.STRINGS: "strings", AttributeProto.TENSORS: "tensors", AttributeProto.GRAPHS: "graphs",
}  # fmt: skip

FunctionKey = tuple[str, str, str]
"""Domain, name and overload of a function that the file defines."""


class Walk:
    """One pass over a model. Counts what it saw: nodes, numbers in tensors, dropped fields, switches to evaluation."""

    def __init__(self, functions: Mapping[FunctionKey, FunctionProto]) -> None:
        self.names = Names()
        self.nodes = self.tensors = self.numbers = self.dropped = self.switched = 0
        self.domains: set[str] = set()
        self._functions = functions

    def graph(self, graph: GraphProto, around: Scope, depth: int = 0) -> None:
        """Checks a graph, its inputs, tensors, nodes and outputs; `around` are the values it may read besides."""
        if depth > MAX_DEPTH:
            raise Refusal(
                "too-deep", f"graphs lie inside graphs more than {MAX_DEPTH} deep", "Flatten the model's branches."
            )
        self.dropped += sift(graph)
        graph.name = "graph"
        scope = around.new_child()
        for value in graph.input:
            self.value(value)
            value.name = self.names.define(scope, value.name)
        for tensor in graph.initializer:
            self.tensor(tensor, f"the tensor {quoted(tensor.name)}")
            tensor.name = self.names.define(scope, tensor.name)
        for node in graph.node:
            self.node(node, scope, depth, declared=frozenset())
        for value in graph.output:
            self.value(value)
            if value.name not in scope.maps[0]:
                raise Refusal("unknown-value", f"nothing computes the output {quoted(value.name)}", _AGAIN)
            value.name = self.names.use(scope, value.name)
        graph.initializer.sort(key=lambda tensor: tensor.name not in self.names.used)
        del graph.initializer[sum(tensor.name in self.names.used for tensor in graph.initializer) :]

    def function(self, function: FunctionProto) -> None:
        """Checks the body of a function that the file defines; it sees its inputs and nothing around it."""
        self.dropped += sift(function)
        scope: Scope = ChainMap()
        inputs = [self.names.define(scope, name) for name in function.input]
        for default in function.attribute_proto:
            self._attribute(default, scope, 0, declared=frozenset())
        declared = frozenset((*function.attribute, *(each.name for each in function.attribute_proto)))
        if any(not _IDENTIFIER.fullmatch(name) for name in declared):
            raise Refusal("bad-text", "a function has an attribute whose name is none", _AGAIN)
        for node in function.node:
            self.node(node, scope, 0, declared=declared)
        outputs = [self.names.use(scope, name) for name in function.output]
        del function.input[:], function.output[:]
        function.input.extend(inputs)
        function.output.extend(outputs)

    def node(self, node: NodeProto, scope: Scope, depth: int, *, declared: frozenset[str]) -> None:
        """Checks one node and its attributes. declared: the attributes of the function it stands in."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Refusal(
                "too-large",
                f"the model has more than {MAX_NODES:,} nodes",
                "Send a smaller model, or only the part that is to be audited.",
            )
        self.dropped += sift(node)
        node.domain = domain_of(node.domain)
        if (node.domain, node.op_type, node.overload) not in self._functions:
            check_operator(node.domain, node.op_type)
            self.domains.add(node.domain)
        inputs = [self.names.use(scope, name) for name in node.input]
        for attribute in node.attribute:
            self._attribute(attribute, scope, depth, declared)
        if len({attribute.name for attribute in node.attribute}) != len(node.attribute):
            raise Refusal("duplicate-name", f"a {quoted(node.op_type)} has one attribute twice", _AGAIN)
        node.attribute.sort(key=lambda attribute: attribute.name)
        outputs = [self.names.define(scope, name) if name else "" for name in node.output]
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
        if node.domain == "":
            self.switched += to_evaluation(node)
        if node.domain == "ai.onnx.ml" and node.op_type.startswith("TreeEnsemble"):
            check_trees(node)

    def value(self, value: Any) -> None:
        """Checks what a graph says of the type of an input or output."""
        self.dropped += sift(value)
        self._type(value.type, MAX_DEPTH)

    def tensor(self, tensor: Any, where: str) -> None:
        """Checks one tensor."""
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise Refusal(
                "too-large",
                f"the model has more than {MAX_TENSORS:,} tensors",
                "Send a smaller model, or only the part that is to be audited.",
            )
        self.dropped += sift(tensor)
        self.numbers += settle(tensor, where)

    def _attribute(self, attribute: AttributeProto, scope: Scope, depth: int, declared: frozenset[str]) -> None:
        self.dropped += sift(attribute)
        where = f"the attribute {quoted(attribute.name)}"
        field = _HOLDS.get(attribute.type)
        held = {each.name for each, _ in attribute.ListFields()} - {"name", "type", "ref_attr_name"}
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in declared or held:
                raise Refusal("bad-attribute", f"{where} takes the place of one that is not declared", _AGAIN)
            return
        if field is None or held - {field} or (field in {"f", "i", "s", "t", "g"} and not held):
            raise Refusal("bad-attribute", f"{where} does not hold what its type says", _AGAIN)
        if not _IDENTIFIER.fullmatch(attribute.name):
            raise Refusal("bad-text", f"{where} has a name that is none", _AGAIN)
        if len(attribute.s) > MAX_TEXT or any(len(text) > MAX_TEXT for text in attribute.strings):
            raise Refusal(
                "too-large",
                f"{where} holds a text of more than {MAX_TEXT:,} bytes",
                "Send a smaller model, or only the part that is to be audited.",
            )
        for tensor in (*((attribute.t,) if field == "t" else ()), *attribute.tensors):
            self.tensor(tensor, where)
            tensor.ClearField("name")
        for graph in (*((attribute.g,) if field == "g" else ()), *attribute.graphs):
            self.graph(graph, scope, depth + 1)

    def _type(self, kind: Any, depth: int) -> None:
        self.dropped += sift(kind)
        if kind.HasField("sequence_type"):
            sift(kind.sequence_type)
            if depth == 0:
                raise Refusal("too-deep", "a value is a list of lists of lists", _AGAIN)
            self._type(kind.sequence_type.elem_type, depth - 1)
        elif kind.HasField("tensor_type"):
            sift(kind.tensor_type)
            sift(kind.tensor_type.shape)
            for dimension in kind.tensor_type.shape.dim:
                self._dimension(dimension)

    def _dimension(self, dimension: Any) -> None:
        self.dropped += sift(dimension)
        if dimension.HasField("dim_param"):
            self.names.size(dimension)
        elif dimension.HasField("dim_value") and not 0 <= dimension.dim_value < 1 << 31:
            raise Refusal(
                "tensor-shape",
                f"an input or output declares an axis of {dimension.dim_value} places",
                "Leave sizes open by a name (dim_param), or give them.",
            )
