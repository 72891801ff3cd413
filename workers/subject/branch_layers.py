"""What are the layers of a branch called, whose graph has lost the names of its modules?

A layer with weights goes by the module that owns them, as the file names it. A layer without any goes by its branch
and its operator: `exit.false.relu`. What is neither, such as a sum, belongs to the forward around the condition.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import fx
from torch.export import ExportedProgram

from workers.subject.calls import operation
from workers.subject.leaves import LAYERS

BRANCH = "branch"
"""The member of a node's metadata that tells which branch it came from, by its whole name: `body.exit.false`."""

_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_SHAPES = ("flatten", "unflatten", "pad", "constant_pad_nd")
Stack = dict[str, tuple[str, str]]


def modules_of(program: ExportedProgram) -> frozenset[str]:
    """The names of all modules that the program knows of."""
    tensors = (*program.state_dict, *program.constants)
    called = [entry.fqn for entry in program.module_call_graph]
    return frozenset((*called, *(name.rpartition(".")[0] for name in tensors)))


def name_layers(program: ExportedProgram, stacks: Mapping[fx.Node, Stack]) -> tuple[str, ...]:
    """Gives each node of `stacks` (the stack of modules around its condition) its place, in place; the layers made."""
    names = _Names(program, stacks)
    for node, stack in stacks.items():
        node.meta["nn_module_stack"] = {**stack, **names.place(node, stack)}
    return tuple(names.made)


class _Names:
    def __init__(self, program: ExportedProgram, stacks: Mapping[fx.Node, Stack]) -> None:
        self._modules = modules_of(program)
        self._met: Counter[tuple[str, str]] = Counter()
        self._owners = {node: owner for node in stacks if (owner := _owner(program, node))}
        self._known = _calls(program, stacks)
        self._fragments = self._in_fragments()
        self.made: list[str] = []

    def place(self, node: fx.Node, around: Stack) -> Stack:
        """The entry that makes the node a layer of its own; nothing where it is none."""
        if not _is_layer(node):
            return {}
        call, (site, _) = next(reversed(around.items()))
        owner = self._owners.get(node, "")
        inside = owner.startswith(f"{site}.") if site else bool(owner)
        if not inside or owner in self._fragments or owner in [path for path, _ in around.values()]:
            owner = self._own_name(node, call)
        key, kind, calls = self._known.get(owner, (f"branch__{owner.replace('.', '__')}", "", 0))
        self._known[owner] = (key, kind, calls + 1)
        self.made.append(owner)
        return {f"{key}@{calls}" if calls else key: (owner, kind)}

    def _own_name(self, node: fx.Node, call: str) -> str:
        """By branch and operator, numbered within one call of the module around: the next call runs the same layers."""
        name = f"{node.meta[BRANCH]}.{operation(node).strip('_')}"
        self._met[call, name] += 1
        number = self._met[call, name]
        name += f"_{number}" if number > 1 else ""
        while name in self._modules:
            name += "_"
        return name

    def _in_fragments(self) -> frozenset[str]:
        """Modules whose weights are read by operators that differ: what one of them gives is not what they give."""
        reads: dict[str, set[tuple[str, ...]]] = {}
        for node, owner in self._owners.items():
            weights = sorted(each.name for each in node.all_input_nodes if each.op == "placeholder")
            reads.setdefault(owner, set()).add((operation(node), *weights))
        whole = {owner for owner, (_, _, calls) in self._known.items() if calls < 0}
        return frozenset(owner for owner, found in reads.items() if len(found) > 1) | whole


def _is_layer(node: fx.Node) -> bool:
    name = operation(node)
    return node.op == "call_function" and (name in LAYERS or name in _RECURRENT) and name not in _SHAPES


def _owner(program: ExportedProgram, node: fx.Node) -> str:
    """The module that owns all weights the node reads, or ''."""
    signature = program.graph_signature
    tensors: dict[str, Any] = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    owners = {str(tensors[each.name]).rpartition(".")[0] for each in node.all_input_nodes if each.name in tensors}
    return owners.pop() if len(owners) == 1 else ""


def _calls(program: ExportedProgram, stacks: Mapping[fx.Node, Stack]) -> dict[str, tuple[str, str, int]]:
    """Of each module that runs outside of branches: its key, its type and how often it runs.

    -1 where one run is more than one operator: a branch that reads its weights does not run the module.
    """
    runs: dict[str, dict[str, int]] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for node in program.graph.nodes:
        for key, (path, kind) in node.meta.get("nn_module_stack", {}).items() if node not in stacks else ():
            found = runs.setdefault(path, {})
            found[key] = found.get(key, 0) + (node.op == "call_function" and operation(node) != "getitem")
            kinds[path] = (key.partition("@")[0], kind)
    return {
        path: (*kinds[path], -1 if any(count > 1 for count in found.values()) else len(found))
        for path, found in runs.items()
    }
