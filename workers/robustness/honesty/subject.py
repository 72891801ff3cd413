"""How is a subject under attack laid before the checks?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.attack.victim import Victim
from workers.passes.aims import Aim
from workers.passes.attacked import Attacked
from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.features import last_features
from workers.sweep.copies import in_precision

PRECISE = 5_000_000
"""Parameters up to which a network is copied in float64."""


def examined_of(attacked: Attacked, aim: Aim, settings: Settings, seeds: Sequence[int], rows: int) -> Examined:
    """What `checks` takes, with everything of the inside of the network that can be had.

    seeds: one per example, those of the attack. rows: most that go through the network in one call. Inside
    `attacked.quiet()`, as everything that asks.
    """
    victim, features = attacked.victim(aim.read, rows), None
    if not victim.black_box:
        features = last_features(victim.network, attacked.network, attacked.x[:1])
    return Examined(
        victim=victim, goal=aim.goal, x=attacked.x, space=attacked.space, settings=settings, seeds=tuple(seeds),
        attack=attack, output=attacked.subject.facts.output.kind, classes=aim.classes, features=features,
        precise=_precise(attacked, aim, rows),
    )  # fmt: skip


def _precise(attacked: Attacked, aim: Aim, rows: int) -> Victim | None:
    """The same network in float64, where it is small and takes it."""
    small = sum(each.numel() for each in attacked.network.parameters()) <= PRECISE
    if attacked.subject.black_box or attacked.embedded or not small:
        return None
    double = replace(
        attacked, network=in_precision(attacked.network, torch.float64),
        inputs=tuple(each.double() if each.is_floating_point() else each for each in attacked.inputs),
    )  # fmt: skip
    victim = double.victim(aim.read, rows)
    first = torch.zeros(1, dtype=torch.int64, device=attacked.x.device)
    try:
        given = victim.outputs(attacked.x[:1].double(), first)
    except RuntimeError:  # a network that names float32 inside takes no other
        return None
    return victim if given.dtype == torch.float64 else None
