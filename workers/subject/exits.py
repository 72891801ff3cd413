"""Which branch did an example take?

These functions stand in a program in place of torch.cond (see `conditional`): both branches are computed and one is
selected, without a gradient into the other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, fx, nn

from service.contracts.manifest import Exit

SIDES = ("true", "false")
_DECISIONS: ContextVar[list[tuple[str, bool]] | None] = ContextVar("decisions", default=None)


def decided(condition: Tensor, name: str) -> Tensor:
    """The condition (one bool) without axes; kept under `name` while `exits` listens."""
    scalar = condition.reshape(())
    heard = _DECISIONS.get()
    if heard is not None:
        heard.append((name, bool(scalar)))
    return scalar


def gated(taken: Tensor, value: Tensor) -> Tensor:
    """`value`; its gradient where the branch is taken, else exactly zero, whatever came back from there.

    A branch that is not taken may have no derivative at this point, and zero times NaN or infinity is NaN.
    """
    return torch.where(taken, value, value.detach())


def selected(taken: Tensor, if_true: Tensor, if_false: Tensor) -> Tensor:
    """What torch.cond gives."""
    return torch.where(taken, if_true, if_false)


def exits(model: nn.Module, inputs: Sequence[Tensor], rows: int = 1) -> tuple[Exit, ...]:
    """How often each branch was taken by these examples, each one alone; nothing where there are no conditions.

    inputs: as the network reads them, one row per example. rows: the batch size it takes, filled with the one example.
    A condition inside a branch is counted where that branch was taken; one that is met several times in a forward pass
    is counted as `name@1` and so on from the second time.
    """
    taken: Counter[tuple[str, bool]] = Counter()
    if not _decides(model):
        return ()
    for at in range(len(inputs[0])):
        with _listening() as heard, torch.no_grad():
            model(*(each[at : at + 1].repeat(rows, *[1] * (each.ndim - 1)) for each in inputs))
        taken.update(_reached(heard))
    return tuple(
        Exit(name=f"{name}.{side}"[-256:], taken=taken[name, value], of=taken[name, True] + taken[name, False])
        for name in dict.fromkeys(name for name, _ in taken)
        for side, value in zip(SIDES, (True, False), strict=True)
    )


def _decides(model: nn.Module) -> bool:
    graphs = (graph for module in model.modules() if isinstance(graph := getattr(module, "graph", None), fx.Graph))
    return any(node.target is decided for graph in graphs for node in graph.nodes)


@contextmanager
def _listening() -> Iterator[list[tuple[str, bool]]]:
    heard: list[tuple[str, bool]] = []
    token = _DECISIONS.set(heard)
    try:
        yield heard
    finally:
        _DECISIONS.reset(token)


def _reached(heard: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Decisions that lie in no branch that was not taken; both branches are computed, so all of them are heard."""
    closed: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for name, value in heard:
        if not name.startswith(tuple(closed.values())):
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name}@{seen[name] - 1}"), value
        closed[name] = f"{name}.{SIDES[value]}."
