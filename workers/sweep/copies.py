"""How is a network copied, also one whose modules remember the graph they were traced as?"""

from __future__ import annotations

import copy

import torch
from torch import fx, nn


def copied(model: nn.Module) -> nn.Module:
    """A copy whose parameters are its own.

    What an exported graph remembers of its tracing has symbolic sizes, which cannot be copied; it is read only.
    """
    graphs = [graph for each in model.modules() if isinstance(graph := getattr(each, "graph", None), fx.Graph)]
    remembered = {id(node.meta): node.meta for graph in graphs for node in graph.nodes}
    made: nn.Module = copy.deepcopy(model, remembered)
    return made


def in_precision(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model in `dtype`: itself, or a copy."""
    floating = [t.dtype for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    return model if all(each == dtype for each in floating) else copied(model).to(dtype)
