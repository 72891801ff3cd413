"""How many floating-point operations does one example take, in all and in each layer?

One forward pass is watched operator by operator, below autograd, where a recurrent layer or an attention is still one
operator; `workers.subject.formulas` says what each counts. An operator belongs to every module it runs inside of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from workers.subject.formulas import PACKED_OR_NOT, Formula, floating, formula, operator_name
from workers.sweep.watch import layer_name

_CHOOSES, _SETS_GRAD = "cond", "wrap_with_set_grad_enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """Floating-point operations of one example: `total`, and of each layer its children's included.

    uncounted: operators that compute floating-point numbers and have no formula; where there are any, the numbers are
    lower bounds.
    """

    total: int
    layers: Mapping[str, int]
    uncounted: tuple[str, ...] = ()


def count(model: nn.Module, inputs: Sequence[Tensor]) -> Flops:
    """Counts one pass of `inputs` (N, ...), divided by N and rounded up: work for the whole batch is shared.

    A layer that runs several times is counted each time. Raises whatever the pass raises.
    """
    rows = len(inputs[0])
    fast, tally = torch.backends.mha.get_fastpath_enabled(), _Tally()
    handles: list[Any] = []
    try:
        # one fused operator for a whole encoder layer would hide the modules in it
        torch.backends.mha.set_fastpath_enabled(False)
        for name, module in model.named_modules():
            if name:
                handles += tally.watch(layer_name(name), module)
        with torch.no_grad(), torch._C._AutoDispatchBelowAutograd(), tally:
            model(*(tensor.clone() for tensor in inputs))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    layers = {name: -(-operations // rows) for name, operations in tally.layers.items()}
    return Flops(total=-(-tally.frames[0] // rows), layers=layers, uncounted=tuple(sorted(tally.uncounted)))


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type its modes
    """Adds up operators for the module that runs; when it ends, what it took goes to the module around it."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.frames = [0]
        self.running: list[str] = []
        self.layers: dict[str, int] = {}
        self.uncounted: set[str] = set()

    def watch(self, name: str, module: nn.Module) -> list[Any]:
        """Hooks that open and close a frame for a layer. A layer inside itself is not counted twice."""

        def begin(_module: nn.Module, _inputs: Any) -> None:
            self.frames.append(0)
            self.running.append(name)

        def end(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            self.running.pop()
            taken = self.frames.pop()
            self.frames[-1] += taken
            before = self.layers.get(name, 0)
            self.layers[name] = before if name in self.running else before + taken

        return [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self._higher(func, args)
        known = _formula(func)
        if known is None:
            with self:
                parts = func.decompose(*args, **given)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **given)
        if known is not None:
            self.frames[-1] += known(_positional(func, args, given), result)
        elif floating(result) is not None:
            self.uncounted.add(operator_name(func))
        return result

    def _higher(self, func: HigherOrderOperator, args: tuple[Any, ...]) -> Any:
        """Of two branches the one that is taken; of a part with its own gradient mode what it computes."""
        name = str(func)
        if name == _CHOOSES:
            chosen, operands = args[1] if bool(args[0]) else args[2], tuple(args[3])
        elif name == _SETS_GRAD:
            chosen, operands = args[1], args[2:]
        else:
            return NotImplemented
        with self:
            return chosen(*operands)


def _formula(func: OpOverload) -> Formula | None:
    recurrent = PACKED_OR_NOT.get(operator_name(func))
    return formula(func) if recurrent is None else recurrent.get(func._overloadname)


def _positional(func: OpOverload, args: tuple[Any, ...], given: dict[str, Any]) -> list[Any]:
    """All arguments in the order of the operator's schema, its defaults filled in."""
    rest = func._schema.arguments[len(args) :]
    return [*args, *(given.get(argument.name, argument.default_value) for argument in rest)]
