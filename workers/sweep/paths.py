"""Through which layers does everything pass that the input does to the target?

A layer is a *cut* when every path of the autograd graph from the target back to the input runs through it. There
completeness must hold: the conductances of its units sum to F(x) - F(x') (Dhamdhere et al., arXiv:1805.12233,
section 2), because dF along the path of inputs is the sum of dF/dh_j dh_j.

The answer is read from the graph of one forward pass, so it is exact for that pass. It errs on the careful side
where a path exists but carries nothing (a skip connection times zero): such a layer is not called a cut and its sum
is not checked. What autograd cannot see (argmax, detach) starts a path of its own where it enters a watched layer;
where it does not, the sum fails to match and the completeness check reports that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

Vertex = tuple[str, int, int]
"""("value", id of a graph node, which of its outputs) or ("node", id of a graph node, 0)."""

_INPUT: Vertex = ("input", 0, 0)


@dataclass(frozen=True, slots=True)
class Paths:
    """What the graph says about the watched tensors, by their keys.

    reached: the target depends on them. cut: every path passes through them.
    upstream: for each, the keys from which a path leads to it (they lie nearer to the input).
    kinds: the names of the nodes of the graph.
    """

    reached: frozenset[str]
    cut: frozenset[str]
    upstream: Mapping[str, frozenset[str]]
    kinds: frozenset[str]


def paths(score: Tensor, inputs: Iterable[Tensor], taps: Mapping[str, Tensor]) -> Paths:
    """Reads the graph of `score` back to `inputs`.

    Each of `taps` requires a gradient; those that are leaves count as inputs, for what reaches them is out of sight.
    """
    if score.grad_fn is None:
        return Paths(frozenset(), frozenset(), {key: frozenset() for key in taps}, frozenset())
    graph = _Graph([*inputs, *(tensor for tensor in taps.values() if tensor.is_leaf)])
    at = {key: graph.vertex(tensor) for key, tensor in taps.items()}
    order = graph.order_from(graph.vertex(score))
    live = graph.leading_to_input(order)
    reached = frozenset(key for key, vertex in at.items() if vertex in order)
    crossing = _uncrossed([vertex for vertex in order if vertex in live], graph.next)
    cut = frozenset(key for key in reached if at[key] in crossing)
    return Paths(reached, cut, _upstream(order, graph.next, at), graph.kinds)


class _Graph:
    """The autograd graph as a graph of values and of the nodes that compute them."""

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self._nodes: dict[int, Any] = {}  # holding a node keeps its id its own
        self._inputs = {self.vertex(tensor) for tensor in inputs}
        self.next: dict[Vertex, list[Vertex]] = {}

    def vertex(self, tensor: Tensor) -> Vertex:
        edge = get_gradient_edge(tensor)
        return self._value(edge.node, edge.output_nr)

    def order_from(self, source: Vertex) -> dict[Vertex, int]:
        """Every vertex reachable from `source`, in topological order (the target first), with its position."""
        finished: list[Vertex] = []
        seen = {source}
        stack = [(source, iter(self._children(source)))]
        while stack:
            vertex, children = stack[-1]
            child = next((child for child in children if child not in seen), None)
            if child is None:
                finished.append(vertex)
                stack.pop()
            else:
                seen.add(child)
                stack.append((child, iter(self._children(child))))
        return {vertex: position for position, vertex in enumerate(reversed(finished))}

    def leading_to_input(self, order: Mapping[Vertex, int]) -> set[Vertex]:
        """The vertices of `order` from which the input can be reached."""
        live = {_INPUT}
        for vertex in reversed(list(order)):
            if any(child in live for child in self.next[vertex]):
                live.add(vertex)
        return live

    @property
    def kinds(self) -> frozenset[str]:
        """The names of all nodes that were visited."""
        return frozenset(node.name() for node in self._nodes.values())

    def _value(self, node: Any, output: int) -> Vertex:
        self._nodes[id(node)] = node
        return ("value", id(node), output)

    def _children(self, vertex: Vertex) -> list[Vertex]:
        if vertex not in self.next:
            self.next[vertex] = self._expand(vertex)
        return self.next[vertex]

    def _expand(self, vertex: Vertex) -> list[Vertex]:
        if vertex == _INPUT:
            return []
        if vertex[0] == "value":
            return [_INPUT] if vertex in self._inputs else [("node", vertex[1], 0)]
        edges = self._nodes[vertex[1]].next_functions
        return [self._value(node, output) for node, output in edges if node is not None]


def _uncrossed(order: list[Vertex], following: Mapping[Vertex, list[Vertex]]) -> set[Vertex]:
    """The vertices of a topological order that no edge jumps over: those that lie on every path."""
    position = {vertex: at for at, vertex in enumerate(order)}
    jumps = [0] * (len(order) + 1)
    for vertex, at in position.items():
        for child in following[vertex]:
            if child in position:
                jumps[at + 1] += 1
                jumps[position[child]] -= 1
    crossed, clear = 0, set()
    for vertex, at in position.items():
        crossed += jumps[at]
        if crossed == 0:
            clear.add(vertex)
    return clear


def _upstream(
    order: Mapping[Vertex, int], following: Mapping[Vertex, list[Vertex]], at: Mapping[str, Vertex]
) -> dict[str, frozenset[str]]:
    """Which keys lie between each key and the input. Sets of keys travel as bits, from the input to the target."""
    keys = list(at)
    own = {vertex: 1 << i for i, vertex in enumerate(at.values())}
    below: dict[Vertex, int] = {}
    for vertex in reversed(list(order)):
        mask = 0
        for child in following[vertex]:
            mask |= below[child] | own.get(child, 0)
        below[vertex] = mask
    return {
        key: frozenset(keys[i] for i in range(len(keys)) if below.get(vertex, 0) >> i & 1) for key, vertex in at.items()
    }
