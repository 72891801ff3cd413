"""Which functions does an ONNX file define, and how large does the model become once they are written out?"""

import re
from collections.abc import Iterable, Iterator, Mapping

from onnx import FunctionProto, ModelProto, NodeProto

from workers.subject.onnx.graph import MAX_NODES, FunctionKey
from workers.subject.onnx.operators import OPSETS, domain_of
from workers.subject.refusal import Refusal, quoted

MAX_FUNCTIONS = 1_000
MAX_CALLS = 32
_WORD = re.compile(r"[\w.\-:/]{0,256}", re.ASCII)
_INLINE = "Write the functions out: onnx.inliner.inline_local_functions(model)"


def functions_of(model: ModelProto) -> dict[FunctionKey, FunctionProto]:
    """The functions by domain, name and overload. Raises Refusal where one hides an operator or is there twice."""
    if len(model.functions) > MAX_FUNCTIONS:
        raise Refusal("too-large", f"the file defines more than {MAX_FUNCTIONS:,} functions", _INLINE)
    found: dict[FunctionKey, FunctionProto] = {}
    for function in model.functions:
        key = (domain_of(function.domain), function.name, function.overload)
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in key) or not function.name:
            raise Refusal("bad-text", "a function of the file has a name that is none", _INLINE)
        if key[0] in OPSETS or key in found:
            raise Refusal(
                "duplicate-name",
                f"the file defines the operator {quoted(function.name)}, which is there already",
                _INLINE,
            )
        found[key] = function
    return found


def check_expansion(nodes: Iterable[NodeProto], functions: Mapping[FunctionKey, FunctionProto]) -> None:
    """Returns if no function calls itself and the model stays within the node cap once all are written out."""
    sizes: dict[FunctionKey, int] = {}

    def size(body: Iterable[NodeProto], callers: tuple[FunctionKey, ...]) -> int:
        total = 0
        for node in _with_inner(body):
            key = (domain_of(node.domain), node.op_type, node.overload)
            total += 1 + (called(node, key, callers) if key in functions else 0)
            if total > MAX_NODES:
                raise _too_large()
        return total

    def called(node: NodeProto, key: FunctionKey, callers: tuple[FunctionKey, ...]) -> int:
        if key in callers or len(callers) >= MAX_CALLS:
            raise Refusal(
                "too-deep",
                f"the function {quoted(node.op_type)} calls itself, or functions call each other more than"
                f" {MAX_CALLS} deep",
                _INLINE,
            )
        if key not in sizes:
            sizes[key] = size(functions[key].node, (*callers, key))
        return sizes[key]

    size(nodes, ())


def _with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    left = [nodes]
    while left:
        for node in left.pop():
            yield node
            for attribute in node.attribute:
                left.extend(graph.node for graph in attribute.graphs)
                if attribute.HasField("g"):
                    left.append(attribute.g.node)


def _too_large() -> Refusal:
    return Refusal(
        "too-large",
        f"the model has more than {MAX_NODES:,} nodes once its functions are written out",
        "Send a smaller model, or only the part that is to be audited.",
    )
