"""Does a network compute something from its input that reaches the output past the graph?

A comparison that chooses, the index of a maximum, a value without its gradient, a number read out by Python: what
follows them may be another function at every example. What is computed so is followed as it runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from workers.rescale.flat import flattened, results, tensors


class Choices(TorchDispatchMode):
    """A context that looks whether anything like this happens in it; `found` says so."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it so
        self.found = False
        self._from_input = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tensors(flattened(args, kwargs or {})[0])
        carrying = any(each.requires_grad for each in given)
        beside = any(not each.requires_grad and each in self._from_input for each in given)
        result = func(*args, **(kwargs or {}))
        if carrying or beside:
            read_out = func._schema.name == "aten::_local_scalar_dense"
            self.found = self.found or read_out or (carrying and beside and torch.is_grad_enabled())
            for each in tensors(results(result)):
                self._from_input[each] = True
        return result
