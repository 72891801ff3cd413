"""What do probabilities and labels say together? Accuracy, proper scores and calibration, with intervals.

Shares of examples have Wilson's interval; means over examples a bootstrap over examples, whose draws come from the
content. Calibration error: Naeini, Cooper and Hauskrecht 2015 (AAAI), with bins of equal mass as Nixon et al. 2019
(arXiv:1904.01685) advise. Brier's score is his of 1950: the sum over classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.numerics.intervals import Interval, bootstrap, mean_t, wilson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALLEST = 1e-12
"""A probability of the label below this counts as this: one certain mistake must not make the mean infinite."""
BINS = 10
_RESAMPLES = 1000
_MOST_RESAMPLED = 5000
"""Of more examples a mean has Student's t, which gives the same bounds in no time."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """n examples: probabilities (n, classes), labels (n,), and what was predicted (n,)."""

    probabilities: Floats
    labels: Integers
    predicted: Integers

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,)"""
        return np.asarray(self.predicted == self.labels, dtype=np.bool_)

    @property
    def of_label(self) -> Floats:
        """The probability that each label was given, (n,)."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.labels])

    @property
    def confidence(self) -> Floats:
        """The probability of what was predicted, (n,)."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.predicted])


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples of like confidence: how sure the model was on average, and how often it was right."""

    confidence: float
    accuracy: Interval
    n: int


def scored(probabilities: Floats, labels: Integers) -> Scored:
    """The first of equally probable classes is predicted."""
    return Scored(probabilities, labels, probabilities.argmax(axis=1).astype(np.int64))


def accuracy(of: Scored) -> Interval:
    """The share of examples that are right."""
    return wilson(int(of.right.sum()), len(of.right))


def balanced_accuracy(of: Scored, seed: int) -> Interval:
    """The mean over classes that have examples of the accuracy within each; resampled within classes."""
    groups = [of.right[of.labels == label].astype(np.float64) for label in np.unique(of.labels)]
    value = float(np.mean([group.mean() for group in groups]))
    draws = np.random.Generator(np.random.PCG64(seed))
    means = np.zeros(_RESAMPLES)
    for group in groups:
        means += draws.binomial(len(group), group.mean(), _RESAMPLES) / len(group)
    low, high = np.quantile(means / len(groups), [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value), len(of.labels), 0.95, "bootstrap")


def log_losses(of: Scored) -> Floats:
    """The negative log probability of each label, nat, (n,)."""
    return np.asarray(-np.log(np.maximum(of.of_label, SMALLEST)))


def brier_scores(of: Scored) -> Floats:
    """The squared distance of each example's probabilities from its label, (n,), between 0 and 2."""
    wanted = np.zeros_like(of.probabilities)
    wanted[np.arange(len(of.labels)), of.labels] = 1.0
    return np.asarray(((of.probabilities - wanted) ** 2).sum(axis=1))


def mean(values: Floats, seed: int) -> Interval:
    """The mean over examples; no bounds for one example."""
    if len(values) > _MOST_RESAMPLED:
        return mean_t(values)
    found = bootstrap(values, seed)
    if found.low is None or found.high is None:
        return found
    low, high = min(found.low, found.value), max(found.high, found.value)
    return Interval(found.value, low, high, found.n, found.level, found.method)


def bins(of: Scored, count: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal mass by confidence; examples of one confidence may stand in two."""
    order = np.argsort(of.confidence, kind="stable")
    found = []
    for rows in np.array_split(order, min(count, len(order))):
        right = int(of.right[rows].sum())
        found.append(Bin(float(of.confidence[rows].mean()), wilson(right, len(rows)), len(rows)))
    return tuple(found)


def calibration_error(of: Scored, seed: int, count: int = BINS) -> Interval:
    """The mean over bins of |accuracy - confidence|, weighted by their examples.

    It is biased upwards where examples are few: a perfectly calibrated model has some by chance. The interval is the
    basic bootstrap's (Davison and Hinkley 1997, section 5.2), which takes that bias off.
    """
    value = _calibration(of.confidence, of.right.astype(np.float64), count)
    if len(of.labels) == 1:
        return Interval(value, None, None, 1, 0.95, "bootstrap")
    draws = np.random.Generator(np.random.PCG64(seed))
    right = of.right.astype(np.float64)
    drawn = np.empty(_RESAMPLES)
    for at in range(_RESAMPLES):
        rows = draws.integers(0, len(right), len(right))
        drawn[at] = _calibration(of.confidence[rows], right[rows], count)
    low, high = np.quantile(drawn, [0.025, 0.975])
    bounds = max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low))
    return Interval(value, min(bounds[0], value), max(bounds[1], value), len(right), 0.95, "basic bootstrap")


def confusion(of: Scored, classes: int) -> Integers:
    """How often each label (rows) was predicted as each class (columns), (classes, classes)."""
    counts = np.bincount(of.labels * classes + of.predicted, minlength=classes * classes)
    return np.asarray(counts.reshape(classes, classes), dtype=np.int64)


def _calibration(confidence: Floats, right: Floats, count: int) -> float:
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for rows in np.array_split(order, min(count, len(order))):
        total += abs(float(right[rows].sum() - confidence[rows].sum()))
    return total / len(order)
