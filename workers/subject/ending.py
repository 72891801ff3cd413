"""What is the last thing a network does to its output? Read from its graph, and from the numbers it gives."""

from typing import Literal

from torch import Tensor, fx
from torch.export import ExportedProgram

from workers.subject.network import Loaded

Ending = Literal["softmax", "log_softmax", "sigmoid"]

_NAMES: dict[str, Ending] = {
    "softmax": "softmax", "_softmax": "softmax", "_safe_softmax": "softmax",
    "log_softmax": "log_softmax", "_log_softmax": "log_softmax",
    "sigmoid": "sigmoid", "sigmoid_": "sigmoid", "hardsigmoid": "sigmoid",
}  # fmt: skip
_SHAPES_ONLY = frozenset(
    {
        *("view", "reshape", "squeeze", "squeeze_", "unsqueeze", "flatten", "unflatten", "permute", "transpose"),
        *("clone", "contiguous", "alias", "detach", "to", "_to_copy", "dropout", "_unsafe_view", "view_copy"),
    }
)
_TOLERANCE = 1e-4


def last_operation(program: ExportedProgram, chosen: int) -> Ending | None:
    """What computes output number `chosen` of those that are tensors, if it is one of the usual endings."""
    nodes = {node.name: node for node in program.graph.nodes}
    given = [nodes.get(name) for name in program.graph_signature.user_outputs if isinstance(name, str)]
    tensors = [node for node in given if node is not None and isinstance(node.meta.get("val"), Tensor)]
    node = tensors[chosen] if chosen < len(tensors) else None
    while node is not None:
        name = _name(node)
        if name not in _SHAPES_ONLY:
            return _NAMES.get(name)
        node = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
    return None


def ending(loaded: Loaded, output: Tensor) -> Ending | None:
    """The last operation; where no graph tells, what the numbers of `output` (N, ...) give away: a softmax only."""
    told = None if loaded.program is None else last_operation(loaded.program, loaded.chosen)
    if told is not None:
        return told
    if sums_to_one(output):
        return "softmax"
    if output.ndim > 1 and bool((output <= 0).all()) and sums_to_one(output.exp()):
        return "log_softmax"
    return None


def sums_to_one(output: Tensor) -> bool:
    """Whether at least two numbers along the second or the last axis lie in [0, 1] and sum to 1, in every row."""
    if output.ndim < 2 or not bool(((output >= 0) & (output <= 1)).all()):
        return False
    axes = {axis for axis in (1, output.ndim - 1) if output.shape[axis] > 1}
    return any(bool(((output.double().sum(axis) - 1).abs() <= _TOLERANCE).all()) for axis in axes)


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "_overloadpacket", None)
    return str(getattr(packet, "__name__", "")) if node.op == "call_function" else ""
