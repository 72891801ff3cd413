"""How do the layers inside the branches of torch.cond come to light?

torch.export keeps each branch as a graph of its own, whose layers are no modules: no hook fires there. Where that is
sound the two graphs become part of the program around them: both branches are computed and one is selected by the
condition, so that the output is the same to the bit, the gradient of the branch that is not taken is exactly zero, and
every layer has a name. Blocks without gradients (torch.no_grad) become part of it too; they need no selection.

A condition of torch.cond is one for the whole batch. What an example gets must not depend on the others, so a program
with a condition on its input runs one example at a time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from workers.subject.branch_layers import BRANCH, Stack, modules_of, name_layers
from workers.subject.exits import SIDES, decided, gated, selected
from workers.subject.refusal import Refusal, quoted
from workers.subject.sound_branches import unsound

_COND = torch.ops.higher_order.cond
_GRADIENTS = torch.ops.higher_order.wrap_with_set_grad_enabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Inlined:
    """What was done to a program.

    batch: 1 where a condition asks for one example at a time, else None. layers: those that came to light, by name.
    unseen: conditions whose branches stay as they were, and why. notes: all of it in words.
    """

    batch: int | None
    layers: tuple[str, ...]
    unseen: dict[str, str]
    notes: tuple[str, ...]


def inline(program: ExportedProgram) -> Inlined:
    """Makes branches and blocks without gradients part of the program's own graph, in place, before it is unflattened.

    Raises Refusal for a program with a condition on its input and a fixed batch of several examples.
    """
    for entry in program.module_call_graph[1:]:
        entry.signature = None  # with it the calls of a shared module hide behind one that no hook can tell apart
    coupled = _conditions_on_input(program)
    batch = _one_at_a_time(program) if coupled else None
    merge = _Merge(modules_of(program))
    merge.graph(program.graph_module, _state(program), "")
    layers = name_layers(program, merge.stacks)
    program.graph.lint()
    program.graph_module.recompile()
    return Inlined(batch=batch, layers=layers, unseen=merge.unseen, notes=_notes(merge, layers, coupled))


def _notes(merge: "_Merge", layers: Sequence[str], coupled: bool) -> tuple[str, ...]:
    notes = []
    if merge.exits:
        names, seen = ", ".join(dict.fromkeys(merge.exits)), ", ".join(dict.fromkeys(layers))
        notes.append(
            f"branches of torch.cond are both computed and one is selected ({names[:1000]}): their layers"
            f" can be seen ({seen[:1000]}); a layer of the branch that an example does not"
            " take shows what it would have given, and has no influence"
        )
    notes += [
        f"layers in the branches of {quoted(name)} cannot be seen, because {why}" for name, why in merge.unseen.items()
    ]
    if coupled:
        notes.append("a condition is decided once for a whole batch, so every pass holds one example")
    return tuple(notes)


def _state(program: ExportedProgram) -> set[fx.Node]:
    """The graph's parameters, buffers and constants."""
    names = {
        getattr(spec.arg, "name", "")
        for spec in program.graph_signature.input_specs
        if spec.kind != InputKind.USER_INPUT
    }
    return {node for node in program.graph.nodes if node.op == "placeholder" and node.name in names}


def _conditions_on_input(program: ExportedProgram) -> bool:
    """Whether a condition at the top of the program depends on its inputs, and be it on their sizes."""
    state = _state(program)
    varies = {node for node in program.graph.nodes if node.op == "placeholder" and node not in state}
    for node in program.graph.nodes:
        if any(each in varies for each in node.all_input_nodes):
            varies.add(node)
    conditions = [node for node in program.graph.nodes if node.target is _COND]
    return any(node.args[0] in varies or _has_condition(program, node, varies) for node in conditions)


def _has_condition(program: ExportedProgram, node: fx.Node, varies: set[fx.Node]) -> bool:
    """Whether a branch that is given something of the input holds a condition of its own."""
    graphs = [getattr(program.graph_module, str(each.target)) for each in node.args[1:3] if isinstance(each, fx.Node)]
    inner = any(each.target is _COND for graph in graphs for inner in graph.modules() for each in inner.graph.nodes)
    return inner and any(each in varies for each in node.all_input_nodes)


def _one_at_a_time(program: ExportedProgram) -> int:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    given = [values.get(str(name)) for name in program.graph_signature.user_inputs]
    rows = next((value.shape[0] for value in given if isinstance(value, Tensor) and value.ndim), 1)
    if isinstance(rows, int) and rows > 1:
        raise Refusal(
            "condition-over-batch",
            f"a torch.cond decides once for a batch that is fixed at {rows} examples, so they influence each other",
            "Export it with one example or an open batch size, or decide for each example with torch.where.",
        )
    return 1


@dataclass(slots=True)
class _Merge:
    """Moves the graphs inside a graph into it, the innermost first."""

    modules: frozenset[str]
    stacks: dict[fx.Node, Stack] = field(default_factory=dict)
    exits: list[str] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)

    def graph(self, owner: fx.GraphModule, state: set[fx.Node], branch: str) -> None:
        """Merges what `owner` calls. branch: of which branch it is the graph, '' for the program itself."""
        met: Counter[str] = Counter()  # in each call of each module
        for node in list(owner.graph.nodes):
            if node.target is _COND:
                key, (site, _) = next(reversed(_stack(node).items()), ("", ("", "")))
                met[key] += 1
                self._condition(owner, node, state, self._name(branch or site, met[key]))
            elif node.target is _GRADIENTS:
                self._without_gradients(owner, node)

    def _condition(self, owner: fx.GraphModule, node: fx.Node, state: set[fx.Node], name: str) -> None:
        why = _why_not(owner, node)
        if why is not None:
            self.unseen[name] = why
            return
        self.exits.append(name)
        condition, *graphs = node.args[:3]
        operands: Any = node.args[3]
        branches = [_called(owner, graph) for graph in graphs]
        for side, each in zip(SIDES, branches, strict=True):
            self.graph(each, _known(each, operands, state), f"{name}.{side}")
        with owner.graph.inserting_before(node):
            yes = _new(node, decided, (condition, name), _value(condition).reshape(()))
            no = _new(node, torch.ops.aten.logical_not.default, (yes,), yes.meta["val"])
            ends = [
                self._copied(node, each.graph, operands, state, taken, f"{name}.{side}")
                for each, taken, side in zip(branches, (yes, no), SIDES, strict=True)
            ]
            chosen = [_new(node, selected, (yes, a, b), _value(a)) for a, b in zip(*ends, strict=True)]
        _replace(node, chosen)

    def _name(self, site: str, number: int) -> str:
        """`exit`, or `exit_2` and so on, under the branch or the module that decides."""
        name = f"{site}.exit".lstrip(".") + (f"_{number}" if number > 1 else "")
        while name in self.modules:
            name += "_"
        return name

    def _copied(
        self, at: fx.Node, inner: fx.Graph, operands: Sequence[Any], state: set[fx.Node], taken: fx.Node, branch: str
    ) -> list[fx.Node]:
        """Copies a branch before `at`, with a gate behind every number that has a gradient; its outputs."""
        inside = [node for node in inner.nodes if node.op == "placeholder"]
        gates = {
            each: given if given in state or not each.users else _gate(at, taken, given)
            for each, given in zip(inside, operands, strict=True)
        }
        raw = dict(zip(inside, operands, strict=True))
        for node in inner.nodes:
            if node.op == "call_function":
                copy = raw[node] = at.graph.node_copy(node, gates.__getitem__)
                copy.meta = {BRANCH: branch, **node.meta, "nn_module_stack": {}}
                self._place(copy, at)
                read = any(user.op != "output" for user in node.users)
                gates[node] = _gate(at, taken, copy) if read else copy
        (end,) = (node for node in inner.nodes if node.op == "output")
        return [raw[each] for each in end.args[0]]

    def _place(self, node: fx.Node, at: fx.Node) -> None:
        """A node of a branch stands where its condition does, until its layer has a name."""
        if _stack(at):
            self.stacks[node] = _stack(at)

    def _without_gradients(self, owner: fx.GraphModule, node: fx.Node) -> None:
        enabled, block, *operands = node.args
        inner = _called(owner, block)
        if any(each.target in (_GRADIENTS, _COND) for each in inner.graph.nodes):
            self.unseen[str(node.name)] = "a block without gradients holds another one or a condition"
            return
        inside = [each for each in inner.graph.nodes if each.op == "placeholder"]
        seen: dict[fx.Node, Any] = dict(zip(inside, operands, strict=True))
        with owner.graph.inserting_before(node):
            for each in inner.graph.nodes:
                if each.op == "call_function":
                    seen[each] = owner.graph.node_copy(each, seen.__getitem__)
                    seen[each].meta = {**each.meta, "nn_module_stack": _stack(each) or _stack(node)}
            (end,) = (each for each in inner.graph.nodes if each.op == "output")
            given = [seen[each] for each in end.args[0]]
            stopped = [each if enabled or not _has_gradient(each) else _detached(node, each) for each in given]
        _replace(node, stopped)


def _why_not(owner: fx.GraphModule, node: fx.Node) -> str | None:
    condition, *graphs, _ = node.args
    branches = [_called(owner, graph) for graph in graphs]
    inner = [(branch, each) for branch in branches for each in branch.graph.nodes if each.target is _COND]
    reasons = (unsound(condition, [branch.graph for branch in branches]), *(_why_not(*each) for each in inner))
    return next((why for why in reasons if why is not None), None)


def _called(owner: fx.GraphModule, node: Any) -> fx.GraphModule:
    found = getattr(owner, str(node.target))
    if not isinstance(found, fx.GraphModule):
        raise TypeError(f"a condition calls {type(found).__name__} and no graph")
    return found


def _known(branch: fx.GraphModule, operands: Sequence[Any], state: set[fx.Node]) -> set[fx.Node]:
    """What of a branch's arguments are parameters, buffers and constants."""
    inside = [node for node in branch.graph.nodes if node.op == "placeholder"]
    return {each for each, given in zip(inside, operands, strict=True) if given in state}


def _stack(node: fx.Node) -> Stack:
    return dict(node.meta.get("nn_module_stack") or {})


def _value(node: Any) -> Tensor:
    value = node.meta["val"]
    if not isinstance(value, Tensor):
        raise TypeError(f"{node} gives {type(value).__name__} and no tensor")
    return value


def _new(at: fx.Node, target: Callable[..., Any], args: tuple[Any, ...], value: Tensor) -> fx.Node:
    made = at.graph.call_function(target, args)
    made.meta = {"val": value, "nn_module_stack": _stack(at)}
    return made


def _has_gradient(value: Any) -> bool:
    return (
        isinstance(value, fx.Node) and isinstance(value.meta.get("val"), Tensor) and _value(value).is_floating_point()
    )


def _gate(at: fx.Node, taken: fx.Node, value: Any) -> Any:
    return _new(at, gated, (taken, value), _value(value)) if _has_gradient(value) else value


def _detached(at: fx.Node, value: fx.Node) -> fx.Node:
    return _new(at, torch.ops.aten.detach.default, (value,), _value(value))


def _replace(node: fx.Node, given: Sequence[fx.Node]) -> None:
    """Puts the tensors in place of what `node` gave, under the names that the program's signature has for them."""
    for user in list(node.users):
        at: Any = user.args[1]
        user.replace_all_uses_with(given[at])
        node.graph.erase_node(user)
        given[at].name = user.name
    called = [each for each in node.all_input_nodes if each.op == "get_attr"]
    node.graph.erase_node(node)
    for each in called:
        if not each.users:
            node.graph.erase_node(each)
