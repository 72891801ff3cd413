"""What is examined? A network under an attack, some of its examples at a time, with randomness of the examples' own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from workers.attack.found import Found
from workers.attack.goal import Goal
from workers.attack.settings import Settings
from workers.attack.space import Space, per_row
from workers.attack.victim import Network, Victim

Told = Callable[[float, str], None]


BLOCK_BYTES = 16 << 20
"""Of random inputs that are made at a time."""


class Attack(Protocol):
    """The engine's entrance."""

    def __call__(
        self,
        victim: Victim,
        goal: Goal,
        x: Tensor,
        space: Space,
        settings: Settings,
        seeds: Sequence[int],
        told: Told = ...,
    ) -> Found:
        """What it finds."""  # fmt: skip


def unheard(_fraction: float, _stage: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Examined:
    """A network, how it is attacked, and what of its inside is known.

    x: (N, ...), raw. seeds: one per example. output: what the owner says the outputs are. classes: whether the goal is
    about classes, along axis 1 of the outputs. features: what its last layer reads, (rows, d), where that is to be had.
    precise: the same network in float64, where that is.
    """

    victim: Victim
    goal: Goal
    x: Tensor
    space: Space
    settings: Settings
    seeds: tuple[int, ...]
    attack: Attack
    output: str
    classes: bool
    features: Network | None = None
    precise: Victim | None = None
    told: Told = field(default=unheard)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.x)

    @property
    def index(self) -> Tensor:
        """Their numbers, int64 (N,)."""
        return torch.arange(len(self))

    def few(self, rows: Tensor, most: int) -> Tensor:
        """At most so many of these examples: those of the smallest seeds, which are as good as random; in order."""
        ordered = sorted(rows.tolist(), key=lambda at: (self.seeds[at], at))
        return torch.tensor(sorted(ordered[:most]), dtype=torch.int64)

    def some(self, rows: Tensor) -> Examined:
        """These examples alone, numbered from 0."""
        precise = None if self.precise is None else _of_some(self.precise, rows)
        return replace(
            self, victim=_of_some(self.victim, rows), goal=OfSome(self.goal, rows), x=self.x[rows],
            space=self.space.take(rows), seeds=tuple(self.seeds[at] for at in rows.tolist()), precise=precise,
            features=None if self.features is None else _numbered(self.features, rows),
        )  # fmt: skip

    def attacked(self, settings: Settings, tag: str) -> Found:
        """What another attack finds, with other random numbers for another tag."""
        seeds = [mixed(seed, tag) for seed in self.seeds]
        return at_hand(self.attack(self.victim, self.goal, self.x, self.space, settings, seeds, self.told), self.x)

    def broken(self, made: Tensor, index: Tensor) -> Tensor:
        """Whether the goal is reached by these inputs, bool (rows,), on the CPU."""
        return self.goal.broken(self.victim.outputs(made, index), index).cpu()

    def around(self, at: int, epsilon: float, count: int, tag: str) -> Tensor:
        """Random legal inputs (count, ...) at distance epsilon from example `at`, less where bounds end.

        Every second one of L-infinity has each number changed by less than epsilon, the others all by epsilon.
        """
        rows = torch.full((count,), at)
        space, x = self.space.take(rows), self.x[rows]
        draws = torch.Generator().manual_seed(mixed(self.seeds[at], tag))
        moves = torch.randn(x.shape, generator=draws, dtype=x.dtype).to(x)
        if space.norm == "linf":
            inner = 2 * torch.rand(x.shape, generator=draws, dtype=x.dtype).to(x) - 1
            moves = torch.where(per_row(torch.arange(count) % 2, x) > 0, inner, moves.sign())
        else:
            moves = moves / per_row(moves.flatten(1).norm(dim=1), x)
        epsilons = torch.full((count,), epsilon, dtype=torch.float64, device=x.device)
        if space.free is not None and space.norm == "l2":
            moves = torch.where(space.free, moves, 0.0)
            moves = moves / per_row(moves.flatten(1).norm(dim=1).clamp(min=1e-30), x)
        return space.project(x, x + moves * epsilon * space.unit, epsilons)

    def tries(self, at: int, epsilon: float, count: int, tag: str) -> Iterator[Tensor]:
        """So many of `around`, in blocks that memory is no question of."""
        block = min(count, max(2, BLOCK_BYTES // max(1, self.x[at].numel() * self.x.element_size())))
        for start in range(0, count, block):
            yield self.around(at, epsilon, min(block, count - start), f"{tag} {start}")

    def lucky(self, at: int, epsilon: float, count: int, tag: str) -> bool:
        """Whether one of so many random inputs breaks example `at`."""
        return any(
            bool(self.broken(made, torch.full((len(made),), at)).any()) for made in self.tries(at, epsilon, count, tag)
        )

    def movable(self, at: int) -> int:
        """How many numbers of example `at` may change."""
        if self.space.free is None:
            return self.x[at].numel()
        return int(self.space.take(torch.tensor([at])).free.expand(1, *self.x.shape[1:]).sum())  # type: ignore[union-attr] # it is not None above


@dataclass(frozen=True, slots=True, eq=False)
class OfSome:
    """A goal for some of its examples, numbered from 0."""

    goal: Goal
    rows: Tensor

    @property
    def losses(self) -> tuple[str, ...]:
        return self.goal.losses

    @property
    def targeted(self) -> tuple[str, ...]:
        return self.goal.targeted

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:
        return self.goal.broken(outputs, _whose(self.rows, index, outputs))

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        return self.goal.margin(outputs, _whose(self.rows, index, outputs))

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:
        return self.goal.towards(outputs, _whose(self.rows, index, outputs), count)

    def loss(self, name: str, outputs: Tensor, index: Tensor, towards: Tensor | None) -> Tensor:
        return self.goal.loss(name, outputs, _whose(self.rows, index, outputs), towards)


def mixed(seed: int, tag: str) -> int:
    """Another seed of the same example, in [0, 2**63)."""
    return seed ^ (zlib.crc32(tag.encode()) << 20)


def _of_some(victim: Victim, rows: Tensor) -> Victim:
    return replace(victim, network=_numbered(victim.network, rows))


def _numbered(network: Network, rows: Tensor) -> Network:
    return lambda made, index: network(made, _whose(rows, index, made))


def _whose(rows: Tensor, index: Tensor, like: Tensor) -> Tensor:
    """The examples behind these numbers, on the device of `like`."""
    return rows.to(like.device)[index.to(like.device)]


def at_hand(found: Found, like: Tensor) -> Found:
    """With adversarials on the device of `like` and everything else on the CPU, where it is counted."""
    counted = {name: getattr(found, name).cpu() for name in ("clean", "at", "distance", "by")}
    return replace(found, made=found.made.to(like.device), **counted)
