"""How do all inputs of a model become points of a path, and layers that can be attributed to?

Each floating-point input passes through an identity layer of its own, so that the input is a layer like any other.
Ids have no path between them: what moves is what their embedding gives, which becomes a floating-point input beside
the ids. It takes the place of the embedding's output in that one call, and the rest of the model does not notice.
That everything the ids do goes that way is shown by running, and refused where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workers.sweep.around import Around, behind
from workers.sweep.embedded import FEW, Ids, batch, copies, origin, through
from workers.sweep.entrances import AFTER, Call, Entrance, NoEmbedding, entrances, fed, modules_of, taken
from workers.sweep.layout import alike
from workers.sweep.target import Beside
from workers.sweep.tree import tensors

Start = Tensor | Ids
"""Where an input's path begins: its baseline, (1 or n, ...); for integers that are held, what they are."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entered:
    """A model that takes every moving input as floating-point numbers: model(*x).

    model: takes the embedded ids first, then the inputs as they were; its layers have the names they had.
    x, origin: what it is called with, and where the paths begin, examples along axis 0; one row for all or one each.
    inputs: the layers that stand for the moving inputs, by name, with their position in x.
    entrances: for those that are embedded ids, whose output they take the place of.
    held: positions, among the inputs as they were, of integers that keep their values.
    """

    model: nn.Module
    x: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    inputs: Mapping[str, int]
    entrances: Mapping[str, Entrance] = field(default_factory=dict)
    held: tuple[int, ...] = ()


class Input(nn.Identity):
    """An input of the model, as a layer."""


class Entry(Around):
    """The model behind its inputs: forward(*embedded, *inputs).

    giving: the position of a floating-point input that is given back beside the output, for targets that compare the
    output with it; the model then works on a copy.
    """

    def __init__(
        self, model: nn.Module, found: tuple[Entrance, ...], names: tuple[str, ...], floating: Mapping[str, int],
        giving: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, {name: Input() for name in (*names, *floating)})
        self._found, self._names, self._floating, self._giving = found, names, dict(floating), giving
        self._embeddings = modules_of(model, found)

    def forward(self, *given: Tensor) -> object:
        """What the model gives; `Beside` the input where one is given back."""
        embedded, inputs = given[: len(self._found)], list(given[len(self._found) :])
        values = {
            (each.module, each.call): self.get_submodule(name)(tensor)
            for each, name, tensor in zip(self._found, self._names, embedded, strict=True)
        }
        for name, position in self._floating.items():
            inputs[position] = self.get_submodule(name)(inputs[position])
        compared = None if self._giving is None else inputs[self._giving]
        if compared is not None and self._giving is not None:
            inputs[self._giving] = compared.clone()
        with fed(self._embeddings, self._found, values) if values else nullcontext():
            output = behind(self)(*inputs)
        return output if compared is None else Beside(output, compared)


def entered(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    starts: tuple[Start, ...],
    *,
    rows: int | None = None,
    names: Sequence[str] = (),
    giving: int | None = None,
) -> Entered:
    """The model whose inputs are layers, and what it is called with.

    inputs: as the model takes them, examples along axis 0. starts: one for each. rows: the one batch size that the
    model takes, None if any. names: of the inputs after the first; `input` is the first, `input_NAME` a further one.
    giving: see Entry. Raises NoEmbedding where ids do not all come in through embeddings that can be seen.
    """
    ids = {position: start for position, start in enumerate(starts) if isinstance(start, Ids)}
    found, moving = _embedded(model, inputs, ids, rows)
    if not found and not any(each.is_floating_point() for each in inputs):
        raise NoEmbedding(
            "the ids reach no embedding that is a module of its own (they are looked up, or taken as numbers, by an"
            f" operation of a larger one); give the model its embedding as a module, or {AFTER}"
        )
    free = _Names({name for name, _ in model.named_children()}, names)
    entrance_names = tuple(free.of(each.input) for each in found)
    floating = {free.of(at): at for at, each in enumerate(inputs) if each.is_floating_point()}
    entry = Entry(model, found, entrance_names, floating, giving)
    made = through(model, inputs, found, rows)
    origins = [origin(model, inputs, ids[each.input], each, x, rows) for each, x in zip(found, made, strict=True)]
    kept = tuple(x if isinstance(start, Ids) else start for x, start in zip(inputs, starts, strict=True))
    return Entered(
        model=entry, x=(*made, *inputs), origin=(*origins, *kept),
        inputs={
            **{name: at for at, name in enumerate(entrance_names)},
            **{name: len(found) + at for name, at in floating.items()},
        },
        entrances=dict(zip(entrance_names, found, strict=True)),
        held=tuple(at for at, each in enumerate(inputs) if not each.is_floating_point() and at not in moving),
    )  # fmt: skip


class _Names:
    """Names for input layers that no layer of the model has."""

    def __init__(self, taken: set[str], further: Sequence[str]) -> None:
        self._taken, self._further = set(taken), further

    def of(self, position: int) -> str:
        """A further layer of one input gets a number."""
        name = "input"
        if position:
            said = self._further[position - 1] if position <= len(self._further) else str(position + 1)
            name = "input_" + re.sub(r"[.:@/\s]", "_", said)
        base, count = name, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name


def _embedded(
    model: nn.Module, inputs: tuple[Tensor, ...], ids: Mapping[int, Ids], rows: int | None
) -> tuple[tuple[Entrance, ...], set[int]]:
    """The entrances of all inputs of ids, and the inputs that have any; shown to be all the ids do."""
    if not ids:
        return (), set()
    size = rows or FEW
    some = tuple(each[: min(size, FEW)] for each in inputs)
    few = batch(some, size)
    changed = {at: batch((_others(some[at], each, 1),), size)[0] for at, each in ids.items()}
    half = {at: batch((_others(some[at], each, 2),), size)[0] for at, each in ids.items()}
    places = entrances(model, few, changed, half)
    moving = {at for at, each in places.items() if each}
    found = tuple({(each.module, each.call): each for at in sorted(moving) for each in places[at]}.values())
    for other in (changed, half):
        _refuse_other_ways(model, few, {at: other[at] for at in moving}, found)
    return found, moving


def _others(ids: Tensor, about: Ids, every: int) -> Tensor:
    """Another id in every place, or every second or further one, but for what is padding or may be.

    A lower one where one is above the lowest, which may be padding: it is in every table that the id itself is in.
    """
    down, up = (ids + step for step in (-1, 1))
    if about.pad is not None:
        down, up = (torch.where(each == about.pad, each + step, each) for each, step in ((down, -1), (up, 1)))
    other = torch.where(down > about.low, down, torch.where(up <= about.high, up, ids))
    real = about.real[: len(ids)]
    padding = ids == about.pad if about.pad is not None else _trailing(ids, about.low)
    turn = torch.arange(ids[0].numel(), device=ids.device).reshape(ids.shape[1:]) % every == 0
    return torch.where(real & turn & ~padding, other, ids)


def _trailing(ids: Tensor, value: int) -> Tensor:
    """The last ids of each example that all are `value`, beginning after its first id."""
    if ids.ndim < 2:
        return torch.zeros_like(ids, dtype=torch.bool)
    run = (ids == value).flip(-1).to(torch.int64).cumprod(-1).flip(-1).to(torch.bool)
    run[..., 0] = False
    return run


def _refuse_other_ways(
    model: nn.Module, few: tuple[Tensor, ...], changed: Mapping[int, Tensor], found: tuple[Entrance, ...]
) -> None:
    """Unless the model says of other ids what it says when their embedding alone is put in the place of the first's."""
    if not found:
        return
    given = tuple(changed.get(at, each) for at, each in enumerate(few))
    modules, values = modules_of(model, found), dict[Call, Tensor]()
    with torch.no_grad():
        again = _floats(model(*copies(few)))
        with taken(modules, found, values):
            expected = _floats(model(*copies(given)))
        if not all(alike(a, b) for a, b in zip(again, _floats(model(*copies(few))), strict=True)):
            return  # it is random: the probe says so
        with fed(modules, found, values):
            reached = _floats(model(*copies(few)))
    if len(expected) != len(reached) or not all(alike(a, b) for a, b in zip(expected, reached, strict=True)):
        named = ", ".join(f"'{each.module}'" for each in found)
        raise NoEmbedding(f"the ids also reach the output past {named}, by a way that cannot be followed; {AFTER}")


def _floats(output: object) -> list[Tensor]:
    return [each for each in tensors(output) if each.is_floating_point()]
