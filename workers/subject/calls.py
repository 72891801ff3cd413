"""What does a node of a program call, and with which arguments?"""

from typing import Any

import torch
from torch import fx


def operation(node: fx.Node) -> str:
    """The operator's name without its overload and in-place mark; of what is no operator, its own name."""
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.removeprefix("aten::").removesuffix("_")
    return str(getattr(node.target, "__name__", node.target))


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of a call of an operator by the schema's names, its defaults filled in."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return {}
    schema = node.target._schema.arguments
    values = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    values.update(zip((argument.name for argument in schema), node.args, strict=False))
    values.update(node.kwargs)
    return values


def nodes(value: Any) -> list[fx.Node]:
    """Every node in a nesting of arguments, as often as it stands there."""
    if isinstance(value, fx.Node):
        return [value]
    return [node for each in value for node in nodes(each)] if isinstance(value, list | tuple) else []
