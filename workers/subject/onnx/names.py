"""Which value does a name of an ONNX graph stand for? Every name is replaced by a number of ours, scope by scope."""

from collections import ChainMap
from typing import Any

from workers.subject.refusal import Refusal, quoted

Scope = ChainMap[str, str]


class Names:
    """Gives values v0, v1, ... and open sizes d0, d1, ..., so that no text of the customer's names anything."""

    def __init__(self) -> None:
        self._values = 0
        self.used: set[str] = set()
        """New names of the values that something reads."""
        self._sizes: dict[str, str] = {}

    def define(self, scope: Scope, name: str) -> str:
        """A new value of the innermost graph; refused where the name is taken there or around it."""
        if name in scope:
            raise Refusal(
                "duplicate-name",
                f"two values of the graph are called {quoted(name)}",
                "Every value is computed once: export the model again, and check it with onnx.checker.",
            )
        scope[name] = f"v{self._values}"
        self._values += 1
        return scope[name]

    def use(self, scope: Scope, name: str) -> str:
        """What an earlier value is called now; the empty name, which stands for no value, stays."""
        if not name:
            return ""
        found = scope.get(name)
        if found is None:
            raise Refusal(
                "unknown-value",
                f"a node reads {quoted(name)} before anything has computed it: the graph has a circle, is not sorted,"
                " or lacks a part",
                "Check it with onnx.checker.check_model, or export the model again.",
            )
        self.used.add(found)
        return found

    def size(self, dimension: Any) -> None:
        """Renames an open size; equal names stay equal."""
        name = dimension.dim_param
        dimension.dim_param = self._sizes.setdefault(name, f"d{len(self._sizes)}")
