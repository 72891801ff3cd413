"""How does one forward pass show the output of every module, and how is the model put back afterwards?

A forward hook on each module sees its output and may replace it. A module that runs twice is seen twice: calls are
counted per layer name. `torch.export.unflatten` names the second graph of a shared module `name@1`; that suffix is a
call index and not a layer, so it is taken off and counted here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from workers.sweep.tree import mapped

See = Callable[[str, str, int, int, Tensor], Tensor]
"""(module name, layer name, call index, position in the output, tensor) -> the tensor that the model goes on with."""

_CALL_SUFFIX = re.compile(r"@\d+")
_RECURRENT_CALLS = ("aten.lstm", "aten.gru", "aten.rnn_")


def layer_name(module: str) -> str:
    """The name of the layer behind a module name: `encoder@1` is another call of `encoder`."""
    return _CALL_SUFFIX.sub("", module)


class Watch:
    """Runs a model while `see` looks at every tensor that the modules of `layers` (all when None) give.

    A context manager: hooks exist only inside it. Firings outside `run` (recomputation in a backward pass) are ignored.
    """

    def __init__(self, model: nn.Module, see: See, layers: Collection[str] | None = None) -> None:
        self._model, self._see = model, see
        self._modules = {
            name: module
            for name, module in model.named_modules()
            if name and (layers is None or layer_name(name) in layers)
        }
        self._calls: dict[str, int] = {}
        self._running = False
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def run(self, inputs: tuple[Tensor, ...]) -> Any:
        """model(*inputs), watched."""
        self._calls.clear()
        self._running = True
        try:
            return self._model(*inputs)
        finally:
            self._running = False

    def _hook(self, module: str) -> Callable[[nn.Module, Any, Any], Any]:
        layer = layer_name(module)

        def on_forward(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            if not self._running:
                return None
            call = self._calls.get(layer, 0)
            self._calls[layer] = call + 1
            leaf = iter(range(1 << 30))
            new = mapped(output, lambda tensor: self._see(module, layer, call, next(leaf), tensor))
            return None if new is output else new

        return on_forward


def leaf_copy(tensor: Tensor) -> Tensor:
    """A copy that asks for a gradient where there can be one."""
    return tensor.clone().requires_grad_(tensor.is_floating_point())


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter asks for a gradient: less is saved for the backward pass, and no `.grad` is touched."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.requires_grad = False
        yield
    finally:
        for parameter, wanted in before:
            parameter.requires_grad = wanted


@contextmanager
def differentiable_recurrence(model: nn.Module) -> Iterator[None]:
    """Inside, recurrent layers do not use cuDNN, whose backward pass exists in training mode only."""
    if not any(_recurrent(module) for module in model.modules()):
        yield
        return
    with torch.backends.cudnn.flags(enabled=False):
        yield


def _recurrent(module: nn.Module) -> bool:
    if isinstance(module, nn.RNNBase):
        return True
    graph = getattr(module, "graph", None)
    nodes = graph.nodes if isinstance(graph, torch.fx.Graph) else ()
    return any(node.op == "call_function" and str(node.target).startswith(_RECURRENT_CALLS) for node in nodes)
