"""Where in autograd's graph do the rules apply, and which layers lie before something that has none?

Autograd applies the chain rule to derivatives; given the multipliers of an operation instead of its derivative, the
same pass back is the chain rule of DeepLIFT (Ancona et al., arXiv:1711.06104, proposition 2). The operations that ran
are found again among the graph's nodes by their number and name, and a hook on a node puts the rule in its place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from workers.rescale import secants
from workers.rescale.calls import Call, differing
from workers.rescale.rules import Multiply, is_inverse, is_linear, lacking, node_name, rule
from workers.rescale.secants import Given, Pair
from workers.sweep.refusals import ChangingGraph

_BACKWARD = re.compile(r"Backwards?\d*$")
_NEAR = 3
"""The node of an operation is made before it runs; a copy or a view of an operand may be made in between."""

_PASSING = frozenset({"tocopy", "clone", "expand", "view", "unsqueeze", "squeeze"})
"""Nodes that give the numbers they are given."""

_LEAF, _PART = "AccumulateGrad", "CopySlices"


def paired(here: Sequence[Call], there: Sequence[Call]) -> list[Pair]:
    """The operations of both passes, one by one. Raises ChangingGraph where they are not the same operations."""
    for one, other in zip(here, there, strict=False):
        if one.operation is not other.operation or one.shapes != other.shapes:
            raise ChangingGraph(f"what runs depends on the values of the input: {differing(one, other)}")
    if len(here) != len(there):
        raise ChangingGraph(
            f"what runs depends on the values of the input: there are {len(here)} operations at the input and "
            f"{len(there)} at the baseline"
        )
    return [Pair(one, other) for one, other in zip(here, there, strict=True)]


class Graph:
    """The nodes between the target and what it varies with, and the pair of calls behind each."""

    def __init__(self, score: Tensor, pairs: Sequence[Pair]) -> None:
        """score: the targets of all examples at the input; pairs: in the order in which they ran."""
        self._order = _ordered(score)
        self._pairs, self._ends = pairs, [pair.here.end for pair in pairs]

    def apply(self) -> None:
        """From now on the pass back multiplies by the rules."""
        for node in self._order:
            pair = self._behind(node)
            multiply = None if pair is None else self._rule(node, pair)
            if pair is not None and multiply is not None:
                node.register_hook(partial(_changed_part if _is_part(node) else _multiplied, multiply, pair))

    def obstacles(self, taps: Mapping[str, Tensor]) -> dict[str, str]:
        """For each of `taps` that has one: what has no rule between it and the target, in words."""
        reasons: dict[Node, dict[str, None]] = {}
        for node in self._order:
            further = reasons.setdefault(node, {})
            own = self._lack(node)
            passed = {**further, own: None} if own else further
            for child, _ in node.next_functions:
                if child is not None:
                    reasons.setdefault(child, {}).update(passed)
        found = {key: reasons.get(get_gradient_edge(tensor).node, {}) for key, tensor in taps.items()}
        return {key: "; ".join(each) for key, each in found.items() if each}

    def calls(self, taps: Mapping[str, Tensor]) -> dict[str, list[tuple[Call, bool]]]:
        """For each of `taps`, the calls with a rule between it and the target; whether other nodes read the same."""
        readers = Counter(edge for node in self._order for edge in node.next_functions)
        after: dict[Node, set[int]] = {}
        ruled: dict[int, tuple[Call, bool]] = {}
        for at, node in enumerate(self._order):
            pair = self._behind(node)
            if pair is not None and rule(pair.here) is not None:
                ruled[at] = (pair.here, readers[node.next_functions[0]] > 1)
            passed = after.setdefault(node, set()) | ({at} & ruled.keys())
            for child, _ in node.next_functions:
                if child is not None:
                    after.setdefault(child, set()).update(passed)
        found = {key: after.get(get_gradient_edge(tensor).node, set()) for key, tensor in taps.items()}
        return {key: [ruled[at] for at in sorted(each)] for key, each in found.items()}

    def _rule(self, node: Node, pair: Pair) -> Multiply | None:
        """As the table has it, but for products with an inverse."""
        found = rule(pair.here)
        if found is None or pair.here.name != "mul":
            return None if found is None else found.multiply
        inverse = next((at for at, (child, _) in enumerate(node.next_functions) if self._inverse(child)), None)
        return found.multiply if inverse is None else partial(secants.scaled, inverse)

    def _inverse(self, node: Node | None) -> bool:
        """Whether what `node` gives is the inverse of something, seen through copies and views."""
        while node is not None and _name(node) in _PASSING:
            node = node.next_functions[0][0]
        pair = None if node is None else self._behind(node)
        return pair is not None and is_inverse(pair.here)

    def _behind(self, node: Node) -> Pair | None:
        """The pair of calls that made `node`."""
        after = bisect_right(self._ends, _number(node))
        if _is_part(node):  # made right after the operation that changed a part of a tensor
            pair = self._pairs[after - 1] if after else None
            return pair if pair is not None and pair.here.view is not None else None
        return next((each for each in self._pairs[after : after + _NEAR] if _made(each.here, node)), None)

    def _lack(self, node: Node) -> str:
        pair = self._behind(node)
        if pair is not None:
            return lacking(pair.here) or differing(pair.here, pair.there)
        if node.name().endswith(_LEAF) or is_linear(_name(node)):  # views are made anew after a change in place
            return ""
        return f"no rule is stated for {node.name()}"


def _made(call: Call, node: Node) -> bool:
    return node_name(call.name) == _name(node)


def _number(node: Node) -> int:
    return node._sequence_nr()


def _name(node: Node) -> str:
    return node_name(_BACKWARD.sub("", node.name().rpartition("::")[2]))


def _is_part(node: Node) -> bool:
    return node.name().endswith(_PART)


def _ordered(score: Tensor) -> list[Node]:
    """All nodes behind `score`, each before those it leads to."""
    start = get_gradient_edge(score).node
    finished: list[Node] = []
    seen, stack = {start}, [(start, iter(start.next_functions))]
    while stack:
        node, children = stack[-1]
        child = next((each for each, _ in children if each is not None and each not in seen), None)
        if child is None:
            finished.append(node)
            stack.pop()
        else:
            seen.add(child)
            stack.append((child, iter(child.next_functions)))
    return finished[::-1]


def _multiplied(multiply: Multiply, pair: Pair, given: Given, received: Given) -> Given:
    with torch.no_grad():
        return multiply(pair, given, received)


def _changed_part(multiply: Multiply, pair: Pair, given: Given, received: Given) -> Given:
    """For an operation that changed a part of a tensor: given[0] and received[0] are of the whole."""
    view, arrived, whole = pair.here.view, received[0], given[0]
    if view is None or arrived is None or whole is None:
        return given
    with torch.no_grad():
        part = (view.of(view.laid_out(whole)), *given[1:])
        new = multiply(pair, part, (view.of(view.laid_out(arrived)),))
        made: Any = view.laid_out(whole)
        if new[0] is not None:
            view.of(made).copy_(new[0])
        return (made, *new[1:])
