"""Does the attack find an adversarial that is known to exist?

The binarisation test of Zimmermann, Brendel, Tramer and Carlini 2022, arXiv:2206.13991, section 4: the network's last
layer is replaced, for each example on its own, by a linear head that gives class 0 to the example and to random inputs
around it, and class 1 to one planted input within the budget. An attack with the settings of the audit must lead there.
Random inputs, as many as separate an attack from luck, must not: else the test has no power.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from workers.attack.classes import Misclassified
from workers.attack.found import Found
from workers.attack.victim import Network
from workers.numerics.intervals import wilson
from workers.robustness.honesty.examined import Examined, OfSome
from workers.robustness.honesty.strength import telling
from workers.robustness.honesty.verdict import NotRun, Seen

CASES, LEAST = 20, 5
"""Most planted adversarials; fewer say nothing."""

AROUND, PLANTABLE, TRIES = 100, 20, 200
"""Random inputs that a head gives class 0; candidates of which the most distant is planted; random inputs of the
control."""

MUST = 0.95
"""Share that an attack has to find, as in the paper."""

LUCK = 0.5
"""Share of cases that the random control may find."""

INSIDE, LOGITS = 0.05, 10.0
"""Of the way back to the nearest random input: how far class 1 begins before the planted one. The difference of both
classes over that way."""

RIDGE = 1.0
"""Of the features' mean variance: with less, a head leans on units that are silent around the example, towards which no
gradient leads even in an honest network."""


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """A linear head for each of n examples: score = features · weight + bias, above zero for class 1.

    weight: (n, d), bias: (n,), in the dtype of the features. planted: (n, ...), the input of class 1. rows: int64
    (n,), whose they are.
    """

    weight: Tensor
    bias: Tensor
    planted: Tensor
    rows: Tensor

    def over(self, features: Network) -> Network:
        """The network with these heads, its examples numbered from 0, (rows, 2)."""

        def network(made: Tensor, index: Tensor) -> Tensor:
            given = features(made, self.rows.to(index.device)[index])
            score = (given * self.weight[index]).sum(1) + self.bias[index]
            return torch.stack((-score, score), dim=1) / 2

        return network


def planted(examined: Examined, found: Found) -> Seen:
    """The share of planted adversarials that the attack finds."""
    epsilon = found.epsilons[telling(found)]
    if not examined.classes and examined.features is None:
        raise NotRun("the outputs are no scores of classes and the last layer is not known; it takes either")
    heads = plant(examined, examined.few(examined.index, CASES), epsilon)
    if heads is None or len(heads.rows) < LEAST:
        made = 0 if heads is None else len(heads.rows)
        raise NotRun(
            f"a head that tells a planted input from those around it could be made for {made} examples only; it takes"
            f" {LEAST}, with a last layer that reads more numbers, or a network that draws none at random"
        )
    some = headed(examined, heads)
    lucky = 0
    for at in range(len(some)):
        examined.told(0.3 + 0.2 * at / len(some), "random inputs")
        lucky += some.lucky(at, epsilon, TRIES, "luck")
    n = len(some)
    if lucky > LUCK * n:
        raise NotRun(
            f"random inputs alone find {lucky} of {n} planted adversarials, so finding them proves nothing; it takes"
            " larger inputs or more features"
        )
    some = replace(some, told=lambda fraction, stage: examined.told(0.5 + 0.5 * fraction, stage))
    reached = some.attacked(replace(some.settings, epsilons=(epsilon,)), "planted")
    share = wilson(int((~reached.robust()[:, 0]).sum()), n)
    observed = (
        f"{round(share.value * n)} of {n} planted adversarials found at {epsilon:g}; by {TRIES} random inputs {lucky}"
    )
    if share.value >= MUST:
        return Seen.share("pass", observed, "what is known to be there is found", share)
    return Seen.share(
        "fail" if (share.high or 0.0) < MUST else "warn", observed, "the attack misses adversarials that are known to"
        " exist in this network: the robust accuracy is too high by an unknown amount; look at the gradients, ask for"
        " more steps and queries", share,
    )  # fmt: skip


def headed(examined: Examined, heads: Heads) -> Examined:
    """The network under these heads, with the goal to get class 1."""
    some = examined.some(heads.rows)
    network = heads.over(examined.features or _flat(examined))
    none = Misclassified(torch.zeros(len(heads.rows), dtype=torch.int64))
    goal = OfSome(none, torch.arange(len(heads.rows)))
    return replace(some, victim=replace(some.victim, network=network), goal=goal, classes=True, features=None)


def plant(examined: Examined, rows: Tensor, epsilon: float) -> Heads | None:
    """A head for each of these examples for which one can be made and holds when the network is asked anew."""
    made = []
    for place, at in enumerate(rows.tolist()):
        examined.told(0.3 * place / len(rows), "heads")
        if (head := _head(examined, at, epsilon)) is not None:
            made.append(head)
    if not made:
        return None
    weight, bias, points, numbers = zip(*made, strict=True)
    heads = Heads(torch.stack(weight), torch.stack(bias), torch.stack(points), torch.tensor(numbers))
    some = headed(examined, heads)
    holds = some.broken(heads.planted, some.index) & ~some.broken(some.x, some.index)
    if not bool(holds.any()):
        return None
    on = holds.to(heads.weight.device)
    return Heads(heads.weight[on], heads.bias[on], heads.planted[on], heads.rows[holds])


def _head(examined: Examined, at: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor, int] | None:
    """(weight, bias, the planted input, the example): Fisher's linear discriminant of one against many."""
    reader = replace(examined.victim, network=examined.features or _flat(examined))

    def read(made: Tensor) -> Tensor:
        return reader.outputs(made, torch.full((len(made),), at))

    around = [read(made) for made in examined.tries(at, epsilon, AROUND, "around")]
    candidates = [made[::2] for made in examined.tries(at, epsilon, 2 * PLANTABLE, "planted")]
    low = torch.cat((read(examined.x[at : at + 1]), *around))
    dtype = low.dtype
    low, high = low.double(), torch.cat([read(made) for made in candidates]).double()
    if not bool(low.isfinite().all() and high.isfinite().all()):
        return None
    centre = low.mean(0)
    low, high = low - centre, high - centre
    whitened = _whiten(low, high)
    lengths = (whitened * high).sum(1)
    chosen = int(lengths.argmax())
    weight, reach = whitened[chosen], float(lengths[chosen])
    nearest = float((low @ weight).max())
    if not reach - nearest > 1e-6 * max(reach, 1e-30):
        return None
    weight = weight * (LOGITS / (reach - nearest))
    bias = -(weight @ centre) - LOGITS * (reach - INSIDE * (reach - nearest)) / (reach - nearest)
    return weight.to(dtype), bias.to(dtype), torch.cat(candidates)[chosen], at


def _whiten(low: Tensor, high: Tensor) -> Tensor:
    """(covariance of `low` + ridge)^-1 of each row of `high`, both centred, (k, d): by Woodbury, as rows are few."""
    n = len(low)
    ridge = RIDGE * float(low.square().mean()) + 1e-30
    inner = low @ low.T + n * ridge * torch.eye(n, dtype=low.dtype, device=low.device)
    correction: Tensor = torch.linalg.solve(inner, low @ high.T)
    return (high - (low.T @ correction).T) / ridge


def _flat(examined: Examined) -> Network:
    network = examined.victim.network
    return lambda made, index: network(made, index).flatten(1)
