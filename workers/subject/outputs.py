"""How does a network that gives several tensors give another one than the one that is analysed otherwise?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from workers.sweep.around import Around, behind

_ALL: ContextVar[bool] = ContextVar("all", default=False)


class Chosen:
    """A hook on a whole network, so that it returns the chosen tensor and its layers keep their names.

    position: among all that it gives, numbers and None included.
    """

    def __init__(self, position: int) -> None:
        self._position = position

    def __call__(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        leaves = pytree.tree_leaves(output)
        return [each for each in leaves if isinstance(each, Tensor)] if _ALL.get() else leaves[self._position]


class Whole(Around):
    """The network giving all its output tensors, in order, as a list where there are several."""

    def forward(self, *inputs: Tensor) -> Any:
        """What the network gives."""
        with _all():
            return behind(self)(*inputs)


@contextmanager
def _all() -> Iterator[None]:
    token = _ALL.set(True)
    try:
        yield
    finally:
        _ALL.reset(token)


def named(spec: pytree.TreeSpec | None) -> tuple[str, ...]:
    """What each leaf is called by the keys and places that lead to it: `policy`, `heads.0`; `0` for a single one."""
    if spec is None:
        return ()
    tree = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    paths, _ = pytree.tree_flatten_with_path(tree)
    return tuple(".".join(_key(each) for each in path) or "0" for path, _ in paths)


def _key(key: Any) -> str:
    return str(next(value for name in ("key", "idx", "name") if (value := getattr(key, name, None)) is not None))
