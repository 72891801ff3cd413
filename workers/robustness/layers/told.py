"""What do the numbers of all examples say of each layer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.numerics.determinism import seed_for
from workers.numerics.intervals import bootstrap
from workers.robustness.layers.case import Case
from workers.robustness.layers.compute import Landed
from workers.robustness.layers.latent import Budgets
from workers.robustness.layers.moved import Moved
from workers.robustness.layers.outcome import Latent, LayerReport, Median, Probe, Share
from workers.robustness.layers.probes import Probed

TRUSTED = 0.9
"""Of the network's own accuracy: a probe that reads less well says little of what the network reads."""

INPUT = "input"


def reports(case: Case, landed: Landed, digest: str) -> tuple[LayerReport, ...]:
    """One for each layer, in the order in which they run."""
    taps, found = case.layers.taps, landed.displaced
    before = (-1,) * len(taps) if found is None else found.before
    seed = seed_for(digest, 0)
    ratio = gain = random_gain = None
    if found is not None:
        ratio, gain, random_gain = found.ratio, found.gain, found.random_gain
    flips = first_flips(case, landed)
    made = []
    for at, tap in enumerate(taps):

        def median(values: Tensor | None, at: int = at) -> Median | None:
            reached = found is not None and found.reached[at]
            return Median.of(values[at].numpy(), seed) if values is not None and reached else None

        budgets = landed.budgets.get(tap.key)
        made.append(
            LayerReport(
                key=tap.key, kind=tap.kind[:128], cut=tap.cut,
                before=INPUT if before[at] < 0 else taps[before[at]].key,
                adversarial=median(None if found is None else found.relative),
                random=median(None if found is None else found.random.mean(2)),
                ratio=median(ratio), cosine=median(None if found is None else found.cosine), gain=median(gain),
                random_gain=median(random_gain), ranks=None, random_ranks=None, shared=None, random_shared=None,
                chance=None,
                latent=None if budgets is None else latent_of(budgets, seed, case.parameters.largest),
                probe=flips.of.get(tap.key),
            )
        )  # fmt: skip
    return tuple(_with_moved(report, landed.moved.get(report.key), seed) for report in made)


def _with_moved(report: LayerReport, found: Moved | None, seed: int) -> LayerReport:
    if found is None:
        return report
    names = ("ranks", "random_ranks", "shared", "random_shared")
    medians = {name: Median.of(getattr(found, name).numpy(), seed) for name in names}
    return report.model_copy(update={**medians, "chance": found.chance})


# --- latent budgets


def latent_of(found: Budgets, seed: int, largest: float) -> Latent:
    """The budget at which half of the examples are broken, with its interval; what held counts as above the largest."""
    known = found.rho[~found.rho.isnan()]
    held = int(known.isinf().sum())
    gradients = found.asked.gradients
    if len(known) == 0:
        return Latent(rho50=None, low=None, high=None, n=0, held=0, gradients=gradients)
    above = 2 * largest
    half = bootstrap(known.clamp(max=above).numpy(), seed, _half)
    told = [end if end is not None and end < above else None for end in (half.value, half.low, half.high)]
    return Latent(rho50=told[0], low=told[1], high=told[2], n=len(known), held=held, gradients=gradients)


def _half(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest budget at which at least half are broken, along the last axis."""
    half = (samples.shape[-1] + 1) // 2 - 1
    return np.asarray(np.partition(samples, half, axis=-1)[..., half])


# --- probes


@dataclass(frozen=True, slots=True)
class Flips:
    """What probes say, by layer, and at how many of the adversarials no trusted one flips."""

    of: Mapping[str, Probe]
    never: int | None


def first_flips(case: Case, landed: Landed) -> Flips:
    """Probes by layer."""
    keys = [tap.key for tap in case.layers.taps if tap.key in landed.probes]
    if not keys:
        return Flips({}, None)
    labels, of = case.truth, landed.broken
    own = int((case.aim.predicted(case.aim.before).cpu() == labels).sum())
    right = {key: int((landed.probes[key].clean == labels).sum()) for key in keys}
    trusted = [key for key in keys if right[key] >= TRUSTED * own]
    wanted = labels[of]
    by_adversarial = {key: _flipped(landed.probes[key], of, wanted)[0] for key in keys}
    by_noise = {key: _flipped(landed.probes[key], of, wanted)[1] for key in keys}
    first = _first([by_adversarial[key][None] for key in trusted])
    random_first = _first([by_noise[key] for key in trusted])
    made = {}
    for key in keys:
        readable = int((landed.probes[key].clean[of] == wanted).sum())
        place = trusted.index(key) if key in trusted else -2
        draws = len(landed.noisy)
        accuracy = Share.of(right[key], len(labels))
        assert accuracy is not None
        made[key] = Probe(
            accuracy=accuracy, trusted=key in trusted, flips=Share.of(int(by_adversarial[key].sum()), readable),
            random_flips=_over_draws(by_noise[key], readable, draws),
            first=int((first == place).sum()), random_first=float((random_first == place).sum()) / draws,
        )  # fmt: skip
    return Flips(made, int((first == -1).sum()))


def _flipped(probe: Probed, of: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where the clean example is read rightly and the changed one is not: (m,) and (draws, m)."""
    right = probe.clean[of] == wanted
    return right & (probe.adversarial != wanted), right & (probe.random != wanted)


def _first(flips: Sequence[Tensor]) -> Tensor:
    """(draws, m): the place of the first layer that flips each, -1 where none does. flips: (draws, m) by layer."""
    if not flips:
        return torch.full((1, 0), -1)
    stacked = torch.stack(list(flips))
    return torch.where(stacked.any(0), stacked.int().argmax(0), -1)


def _over_draws(flips: Tensor, readable: int, draws: int) -> Share | None:
    """Of the examples, whose draws are not independent of each other: the interval is over examples."""
    if readable == 0:
        return None
    mean = float(flips.sum()) / draws / readable
    whole = Share.of(round(mean * readable), readable)
    assert whole is not None
    return Share(value=mean, low=min(whole.low, mean), high=max(whole.high, mean), n=readable)
