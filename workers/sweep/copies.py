"""How is a network copied, also one whose modules remember the graph they were traced as?"""

from __future__ import annotations

import copy

import torch
from torch import fx, nn


def copied(model: nn.Module) -> nn.Module:
    """A copy whose parameters are its own; it can be copied again.

    What an exported graph remembers of its tracing has symbolic sizes, which cannot be copied; it is read only. The
    nodes that such a module keeps in a list become those of its own graph.
    """
    graphs = [graph for each in model.modules() if isinstance(graph := getattr(each, "graph", None), fx.Graph)]
    remembered: dict[int, object] = {id(node.meta): node.meta for graph in graphs for node in graph.nodes}
    for each in model.modules():
        listed = getattr(each, _NODES, None)
        if isinstance(listed, list):
            remembered[id(listed)] = listed
    made: nn.Module = copy.deepcopy(model, remembered)
    for each in made.modules():
        graph = getattr(each, "graph", None)
        if isinstance(getattr(each, _NODES, None), list) and isinstance(graph, fx.Graph):
            setattr(each, _NODES, [node for node in graph.nodes if node.op == "placeholder"])
    return made


_NODES = "input_placeholders"
"""Where torch.export.unflatten keeps the nodes of its inputs."""


def in_precision(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model in `dtype`: itself, or a copy."""
    floating = [t.dtype for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    return model if all(each == dtype for each in floating) else copied(model).to(dtype)
