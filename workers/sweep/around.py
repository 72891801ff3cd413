"""How does a module run another one and yet have its layers as its own, under the names that they have there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from torch import fx, nn


class Around(nn.Module):
    """Runs `model`, which is no child: children, parameters and buffers are shared, so that no name changes.

    more: children beside them, by names that `model` has not. A subclass defines the forward and calls `behind(self)`.
    A child that is put in another's place must be put there in `behind(self)`.
    """

    def __init__(self, model: nn.Module, more: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self._around = (model,)  # in a tuple, so that it is no child
        own = vars(self)
        own["_modules"] = {**(more or {}), **model._modules}
        own["_parameters"], own["_buffers"] = model._parameters, model._buffers
        own["_non_persistent_buffers_set"] = model._non_persistent_buffers_set
        self.training = model.training
        graph = getattr(model, "graph", None)
        if isinstance(graph, fx.Graph):
            self.graph = graph  # what asks a graph for its batch size or its calls asks this module

    def train(self, mode: bool = True) -> Self:
        """In training mode or not, the module that is run as well."""
        behind(self).train(mode)
        return super().train(mode)


def behind(module: Around) -> nn.Module:
    """The module that is run. No member of `Around`, whose children have names of the customer's choosing."""
    return module._around[0]
