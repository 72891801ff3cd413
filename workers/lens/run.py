"""What does the model's own head make of the state after each block?

nostalgebraist, interpreting GPT: the logit lens, 2020. The state after a block takes the place of the state after the
last one, and the rest of the model runs on it: final norm, unembedding, choice of the position, whatever they are and
wherever they stand. The blocks themselves do not run again; each gives what it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workers.lens.blocks import Blocks
from workers.lens.refusals import NoLens
from workers.numerics.determinism import require_finite
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import ChangingGraph
from workers.sweep.target import Target
from workers.sweep.tree import mapped, tensors


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What examples start:... gave, on the CPU, for each layer of `Blocks.all`; all (n, layers), float64 but for ranks.

    token: (n,), the one finally predicted. probability: of it. rank: its place among all, 1 for the first (int64).
    divergence: KL(final, lens) in nat. best: (n, layers, k) the tokens of the largest probabilities, and `share` those.
    difference: (n,), the largest between the lens after the last block and the model's own logits.
    """

    start: int
    token: Tensor
    probability: Tensor
    rank: Tensor
    divergence: Tensor
    best: Tensor
    share: Tensor
    difference: Tensor

    @property
    def decided(self) -> Tensor:
        """(n,) int64: the first layer from which on the token is the first of all."""
        return decided(self.rank == 1)


def decided(first: Tensor) -> Tensor:
    """(n,) int64: of (n, layers) bool, the first layer from which on it is true; the number of layers where it never
    stays so."""
    return first.shape[1] - first.flip(1).to(torch.int64).cumprod(1).sum(1)


def logits(target: Target, output: object, rows: int) -> Tensor:
    """(rows, vocabulary): at the position that the target names. Raises NoLens where the output is no such thing."""
    chosen = target.read(output)[:rows]
    if chosen.ndim == 2:
        return chosen
    if chosen.ndim != 3 or target.index is None or target.places:
        raise NoLens(f"one output has the axes {tuple(chosen.shape[1:])}, which are not (positions, tokens)")
    positions = target.index[:, 0 if target.axis == 2 else 1].to(chosen.device)
    by_position = chosen if target.axis == 2 else chosen.transpose(1, 2)
    return by_position[torch.arange(rows, device=chosen.device), positions.expand(rows)]


def read(ready: Prepared, found: Blocks, batch: int, best: int = 5) -> Iterator[Block]:
    """Blocks of at most `batch` examples, in order. Raises NoLens, NotFinite, ChangingGraph."""
    for start in range(0, len(ready), batch):
        some = ready.examples(start, min(start + batch, len(ready)))
        with torch.no_grad():
            own = _Stopped(some, found)
            yield _block(start, own.logits, [own.at(state) for state in own.states], found, best)


def after(ready: Prepared, found: Blocks, change: Callable[[Tensor], Tensor]) -> Tensor:
    """(n, vocabulary): the logits when the state after the last block is `change` of what it is; for controls."""
    with torch.no_grad():
        own = _Stopped(ready, found)
        return own.at(change(own.states[-1]))


class _Stopped:
    """A pass over some examples, and the rest of the model on whatever state it is given.

    logits: the model's own, (n, vocabulary). states: after each layer of `Blocks.all`, as the modules give them.
    """

    def __init__(self, some: Prepared, found: Blocks) -> None:
        self._some, self._last, self._blocks = some, found.blocks[-1], found.blocks
        self._x = _padded(some.x, some.probe.rows or some.probe.least_rows)
        with _recorded(some.model, found.all) as noted:
            self.logits = logits(some.target, some.model(*self._x), len(some))
        kept = _in_order(noted, found)
        self._given = kept[-len(found.blocks) :]
        self.states = [tensors(tree)[tap.position] for tap, tree in zip(found.all, kept, strict=True)]
        if any(state.shape != self.states[-1].shape for state in self.states):
            raise NoLens(f"'{self._last.key}' gives its state in another arrangement than the layers before it")

    def at(self, state: Tensor) -> Tensor:
        """(n, vocabulary): the logits with `state` in the place of that after the last block."""
        outputs = [*self._given[:-1], _with(self._given[-1], self._last.position, state)]
        with _standing_in(self._some.model, self._blocks, outputs):
            return logits(self._some.target, self._some.model(*self._x), len(self._some))


@contextmanager
def _recorded(model: nn.Module, taps: Sequence[Tap]) -> Iterator[list[tuple[str, Any]]]:
    """Inside, whatever the modules of `taps` give is noted, by module, in the order in which they give it."""
    noted: list[tuple[str, Any]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda _module, _args, output: noted.append((name, mapped(output, torch.clone)))

    modules = dict(model.named_modules())
    names = dict.fromkeys(tap.module for tap in taps)
    handles = [modules[name].register_forward_hook(note(name)) for name in names]
    try:
        yield noted
    finally:
        for handle in handles:
            handle.remove()


def _in_order(noted: Sequence[tuple[str, Any]], found: Blocks) -> list[Any]:
    """What each tap's module gave in the call that the tap is of."""
    waiting = list(noted)
    kept = []
    for tap in found.all:
        at = next((at for at, (name, _) in enumerate(waiting) if name == tap.module), None)
        if at is None:
            raise ChangingGraph(f"'{tap.key}' did not run: what runs depends on the values of the input")
        kept.append(waiting.pop(at)[1])
    if waiting:
        raise NoLens(f"'{waiting[0][0]}' also runs elsewhere than as a block of this sequence")
    return kept


@contextmanager
def _standing_in(model: nn.Module, taps: Sequence[Tap], outputs: Sequence[Any]) -> Iterator[None]:
    """Inside, the modules of `taps` compute nothing, and give `outputs` call by call."""
    queues: dict[str, list[Any]] = {}
    for tap, output in zip(taps, outputs, strict=True):
        queues.setdefault(tap.module, []).append(output)
    modules = {name: module for name, module in model.named_modules() if name in queues}

    def giving(queue: list[Any]) -> Callable[..., Any]:
        return lambda *_args, **_kwargs: mapped(queue.pop(0), torch.clone)

    try:
        for name, module in modules.items():
            vars(module)["forward"] = giving(queues[name])
        yield
    finally:
        for module in modules.values():
            vars(module).pop("forward", None)


def _with(tree: Any, position: int, state: Tensor) -> Any:
    """`tree` with the tensor at `position` replaced."""
    counted = iter(range(1 << 30))
    return mapped(tree, lambda tensor: state if next(counted) == position else tensor)


def _padded(x: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """The examples, and the last one again as often as it takes to have `rows`."""
    short = max(0, rows - len(x[0]))
    return tuple(torch.cat([each, each[-1:].expand(short, *each.shape[1:])]) for each in x)


def _block(start: int, own: Tensor, states: Sequence[Tensor], found: Blocks, best: int) -> Block:
    require_finite(own, "output")
    final = torch.log_softmax(own.to("cpu", torch.float64), 1)
    token = final.argmax(1, keepdim=True)
    each: list[tuple[Tensor, ...]] = []
    for tap, state in zip(found.all, states, strict=True):
        require_finite(state, tap.key)
        said = torch.log_softmax(state.to("cpu", torch.float64), 1)
        at = said.gather(1, token)
        share, tokens = said.exp().topk(min(best, said.shape[1]), 1)
        each.append(
            (at.exp()[:, 0], 1 + (said > at).sum(1), (final.exp() * (final - said)).sum(1).clamp(min=0), tokens, share)
        )
    probability, rank, divergence, tokens, share = (torch.stack(many, 1) for many in zip(*each, strict=True))
    difference = (states[-1] - own).abs().amax(1).to("cpu", torch.float64)
    return Block(start, token[:, 0], probability, rank, divergence, tokens, share, difference)
