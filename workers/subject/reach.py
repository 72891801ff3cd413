"""Which parameters does the output depend on, and which go by two names?

The autograd graph of one pass is walked back from the output; no gradient is computed, so it costs no memory of the
size of the weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workers.sweep.watch import differentiable_recurrence, layer_name


def unreached(model: nn.Module, inputs: Sequence[Tensor]) -> tuple[int, int]:
    """How many numbers of parameters the output's graph does not lead to, and how many there are.

    Parts that were exported without gradients count as not reached. Raises whatever the pass raises.
    """
    parameters = [each for each in model.parameters() if each.is_floating_point()]
    before = [each.requires_grad for each in parameters]
    try:
        for each in parameters:
            each.requires_grad = True
        with torch.enable_grad(), differentiable_recurrence(model):
            output = model(*(tensor.clone() for tensor in inputs))
        reached = _leaves(output)
    finally:
        for each, wanted in zip(parameters, before, strict=True):
            each.requires_grad = wanted
    missed = sum(each.numel() for each in parameters if id(each) not in reached)
    return missed, sum(each.numel() for each in parameters)


def _leaves(output: Tensor) -> set[int]:
    """The ids of the tensors at which the graph of `output` ends."""
    stack = [output.grad_fn]
    seen, found = {id(output.grad_fn)}, set()
    kept = [output.grad_fn]  # a node that is held keeps its id to itself
    while stack:
        node = stack.pop()
        if node is None:
            continue
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found.add(id(variable))
        for following, _ in node.next_functions:
            if following is not None and id(following) not in seen:
                seen.add(id(following))
                kept.append(following)
                stack.append(following)
    return found


def tied(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Parameters that are the same numbers in memory under several names, each group in the order of the file."""
    names: dict[tuple[int, torch.Size, tuple[int, ...]], dict[str, None]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        key = (parameter.data_ptr(), parameter.shape, parameter.stride())
        if parameter.numel():
            names.setdefault(key, {})[layer_name(name)] = None
    return tuple(tuple(group) for group in names.values() if len(group) > 1)
