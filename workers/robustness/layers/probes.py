"""At which layer does a linear probe first read an adversarial as another class? Alain and Bengio, arXiv:1610.01644.

Ridge probes on the layer's output, cross-fitted: no example is read by a probe that was fitted on it. A probe is an
attacker's and a random change's victim of its own, so a flip there is weak evidence of where the network itself errs:
beside it stands what random changes of equal norm flip, and where the probe is much worse than the network no layer is
named after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FOLDS = 5
LEAST = 20
"""Examples below which no probe is fitted."""

MOST_FEATURES = 2048
_RIDGE = 1e-2
"""Of the mean square length of an example: enough to keep a probe of more units than examples from fitting noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What the probe of one layer reads: classes, int64.

    clean: (n,), each example by a probe not fitted on it. adversarial: (m,). random: (draws, m).
    """

    clean: Tensor
    adversarial: Tensor
    random: Tensor


def pooled(values: Tensor) -> Tensor:
    """(rows, up to 2048), float64: the units, or means of neighbours in their order where there are more."""
    flat = values.flatten(1)
    if flat.shape[1] > MOST_FEATURES:
        flat = torch.nn.functional.adaptive_avg_pool1d(flat[:, None], MOST_FEATURES)[:, 0]
    return flat.double().cpu()


def probed(
    clean: Tensor, labels: Tensor, classes: int, of: Tensor, adversarial: Tensor, random: Sequence[Tensor]
) -> Probed:
    """clean: (n, features), labels: int64 (n,). adversarial and each of random: (m, features), of the examples `of`,
    int64 (m,), places among the n. Folds go by place, so that the same examples fall into the same."""
    n, folds = len(clean), min(FOLDS, len(clean))
    fold = torch.arange(n) % folds
    read = torch.zeros(n, dtype=torch.int64)
    of_fold = fold[of]
    attacked = torch.zeros(len(of), dtype=torch.int64)
    noisy = torch.zeros(len(random), len(of), dtype=torch.int64)
    for number in range(folds):
        probe = _Probe(clean[fold != number], labels[fold != number], classes)
        read[fold == number] = probe.read(clean[fold == number])
        rows = of_fold == number
        attacked[rows] = probe.read(adversarial[rows])
        for at, each in enumerate(random):
            noisy[at, rows] = probe.read(each[rows])
    return Probed(read, attacked, noisy)


class _Probe:
    """Ridge regression onto the classes, in the space of examples: as quick for many units as for few."""

    def __init__(self, x: Tensor, labels: Tensor, classes: int) -> None:
        self._mean = x.mean(0)
        self._x = x - self._mean
        kernel = self._x @ self._x.T
        wanted = torch.nn.functional.one_hot(labels, classes).double()
        self._base = wanted.mean(0)
        scale = float(kernel.diagonal().mean())
        kernel.diagonal().add_(max(_RIDGE * scale, 1e-12))
        weights = torch.linalg.solve(kernel, wanted - self._base)
        self._weights = self._x.T @ weights

    def read(self, x: Tensor) -> Tensor:
        """int64 (rows,)."""
        found: Tensor = ((x - self._mean) @ self._weights + self._base).argmax(1)
        return found
