"""Where do ids become numbers between which there is a path?

Found by running: a module that is given nothing but integers and gives one floating-point tensor, whose entry for each
id changes with that id alone, is an embedding, whatever its class. Two passes tell whether a module's output changes
with the ids, a third, with every other id changed, whether an entry depends on its own id alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from workers.sweep.layout import alike
from workers.sweep.refusals import SweepRefused
from workers.sweep.tree import tensors

Call = tuple[str, int]
"""(module, which of its calls in a forward pass)"""

AFTER = "export the part of the model after its embedding, with the embedded tokens as the input"


class NoEmbedding(SweepRefused):
    """The ids do not come in through modules whose output could take the place of what they look up."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """One call of one module that looks up the ids of the input number `input`; it gives (rows, ...)."""

    module: str
    call: int
    input: int


@dataclass(slots=True)
class _Seen:
    """One call. ids: the integers it was given, None where it was given anything else. inside: calls that it is part
    of."""

    ids: tuple[Tensor, ...] | None
    inside: tuple[Call, ...]
    output: tuple[Tensor, ...] = ()
    single: bool = False


@dataclass(slots=True)
class _Record:
    calls: dict[Call, _Seen] = field(default_factory=dict)
    stack: list[Call] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, name: str, _module: nn.Module, args: Any, keywords: Any) -> None:
        call = (name, self.counts.get(name, 0))
        self.counts[name] = call[1] + 1
        given = tensors([args, keywords])
        integers = bool(given) and not any(each.is_floating_point() or each.is_complex() for each in given)
        self.calls[call] = _Seen(tuple(each.clone() for each in given) if integers else None, tuple(self.stack))
        self.stack.append(call)

    def end(self, _module: nn.Module, _args: Any, output: Any) -> None:
        seen = self.calls[self.stack.pop()]
        seen.single = isinstance(output, Tensor)
        seen.output = tuple(each.clone() for each in tensors(output) if each.is_floating_point())


def entrances(
    model: nn.Module, given: tuple[Tensor, ...], changed: Mapping[int, Tensor], half: Mapping[int, Tensor]
) -> dict[int, tuple[Entrance, ...]]:
    """The embeddings that each input of ids goes through, in the order in which they run; none where there is none.

    given: a batch as the model takes it. changed: by the input's position the same rows with other ids; half: with
    some of those ids only. Raises NoEmbedding where a module takes ids, and its output cannot stand for them.
    """
    before = _recorded(model, given)
    found = {}
    for position, ids in changed.items():
        after = _recorded(model, _with(given, position, ids))
        places = tuple(_first(before, after))
        if places:
            partly = _recorded(model, _with(given, position, half[position]))
            for place in places:
                _refuse_mixing(place, before.calls[place], partly.calls.get(place), len(given[0]))
        found[position] = tuple(Entrance(*place, position) for place in places)
    return found


def _with(given: tuple[Tensor, ...], position: int, ids: Tensor) -> tuple[Tensor, ...]:
    return (*given[:position], ids, *given[position + 1 :])


def _recorded(model: nn.Module, given: tuple[Tensor, ...]) -> _Record:
    record = _Record()
    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for name, module in model.named_modules():
            if name:
                begin = partial(record.begin, name)
                handles.append(module.register_forward_pre_hook(begin, with_kwargs=True))
                handles.append(module.register_forward_hook(record.end))
        with torch.no_grad():
            model(*(each.clone() for each in given))
    finally:
        for handle in handles:
            handle.remove()
    return record


def _first(before: _Record, after: _Record) -> Iterator[Call]:
    """Calls that turn integers into numbers which differ between the two passes, and hold no such call themselves."""
    differs = [call for call, seen in before.calls.items() if call in after.calls and _differ(seen, after.calls[call])]
    around = {outer for call in differs for outer in before.calls[call].inside}
    for call in differs:
        if before.calls[call].ids is not None and call not in around:
            yield call


def _differ(one: _Seen, other: _Seen) -> bool:
    return len(one.output) != len(other.output) or any(
        not torch.equal(a, b) for a, b in zip(one.output, other.output, strict=True)
    )


def _refuse_mixing(place: Call, seen: _Seen, partly: _Seen | None, rows: int) -> None:
    """Unless every id has an entry of its own, batch first."""
    name = place[0]
    if not seen.single or len(seen.output) != 1 or partly is None or partly.ids is None:
        raise NoEmbedding(f"'{name}' takes ids and gives more than one tensor; {AFTER}")
    made, again = seen.output[0], partly.output[0]
    pairs = [
        (ids, other)
        for ids, other in zip(seen.ids or (), partly.ids, strict=True)
        if ids.ndim > 0 and ids.shape == made.shape[: ids.ndim] and ids.shape == other.shape
    ]
    if not pairs or made.shape[0] != rows or again.shape != made.shape:
        raise NoEmbedding(
            f"'{name}' takes ids and gives {list(made.shape)}, in which a single id has no entry of its own, batch"
            f" first; {AFTER}"
        )
    axes = min(ids.ndim for ids, _ in pairs)
    same = torch.stack([_per_entry(ids == other, axes) for ids, other in pairs]).all(0)
    if not alike(made[same], again[same]):
        raise NoEmbedding(f"in what '{name}' gives for one id, other ids have a part; {AFTER}")


def _per_entry(equal: Tensor, axes: int) -> Tensor:
    return equal if equal.ndim == axes else equal.flatten(axes).all(-1)


Modules = Mapping[str, nn.Module]


def modules_of(model: nn.Module, found: tuple[Entrance, ...]) -> dict[str, nn.Module]:
    """The modules of these entrances, by name."""
    named = dict(model.named_modules())
    return {each.module: named[each.module] for each in found}


@contextmanager
def taken(modules: Modules, found: tuple[Entrance, ...], into: dict[Call, Tensor]) -> Iterator[None]:
    """Inside one forward pass, what each entrance gives is put `into`, by (module, call)."""

    def take(place: Call, output: Tensor) -> None:
        into[place] = output.detach().clone()

    with _at(modules, found, take):
        yield


@contextmanager
def fed(modules: Modules, found: tuple[Entrance, ...], values: Mapping[Call, Tensor]) -> Iterator[None]:
    """Inside one forward pass, each entrance gives its tensor of `values`, before any other hook sees what it gives."""

    def feed(place: Call, output: Tensor) -> Tensor:
        value = values[place]
        if value.shape != output.shape:
            raise NoEmbedding(
                f"'{place[0]}' gives {list(output.shape)} and was to give {list(value.shape)}: how many ids it is given"
                f" depends on their values; {AFTER}"
            )
        return value

    with _at(modules, found, feed):
        yield


@contextmanager
def _at(modules: Modules, found: tuple[Entrance, ...], act: Callable[[Call, Tensor], Tensor | None]) -> Iterator[None]:
    wanted = {(each.module, each.call) for each in found}
    counts: dict[str, int] = {}

    def on_forward(name: str, _module: nn.Module, _args: Any, output: Tensor) -> Tensor | None:
        place = (name, counts.get(name, 0))
        counts[name] = place[1] + 1
        return act(place, output) if place in wanted else None

    handles = [
        module.register_forward_hook(partial(on_forward, name), prepend=True) for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
