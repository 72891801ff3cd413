"""What does the package lime make of the same samples?

Its weights, selection and regression (`lime.lime_base.LimeBase`, 0.2.0.1) on the samples of the unpaired stream, which
are those it draws itself for equal seeds. One set of forward passes serves both engines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from lime.lime_base import LimeBase
from numpy.typing import NDArray
from pydantic import JsonValue
from sklearn.linear_model import Ridge
from torch import Tensor

from workers.surrogate.explained import Explained, Local
from workers.surrogate.neighbourhood import Floats, Neighbourhood, Predict, Samples, Stream
from workers.surrogate.settings import Selection, Settings

MOST_REGRESSIONS = 5000
"""Of a forward selection, which fits one for every step and feature left; lime takes milliseconds for each."""

FORWARD = 6
"""Features up to which lime's "auto" is forward selection."""

_LOWEST_SCALE = 1e-6
"""Of the largest prediction: coefficients that are all smaller are rounding, which has no scale of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Samples of a stream and what the network says of them, (n, labels)."""

    samples: Samples
    y: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """lime's surrogate of one label; `chosen` in its order."""

    coefficients: Floats
    chosen: tuple[int, ...]
    intercept: float
    r2: float
    local: float


def sampled(
    around: Neighbourhood, predict: Predict, seed: int, settings: Settings, told: Callable[[float], None] | None = None
) -> Sampled:
    """`settings.samples` of the unpaired stream, `settings.rows` in a forward pass."""
    samples, found = around.stream(seed, paired=False).take(settings.samples), []
    for start in range(0, len(samples), settings.rows):
        found.append(predict(around.inputs(samples.part(start, min(start + settings.rows, len(samples))))))
        if told is not None:
            told(min(1.0, (start + settings.rows) / len(samples)))
    return Sampled(samples, np.concatenate(found))


def obstacle(given: Sampled, label: int, settings: Settings) -> str:
    """Why lime cannot fit a label; empty where it can."""
    y, count = given.y[:, label], given.samples.z.shape[1]
    lost = int((~np.isfinite(given.y).all(1)).sum())
    if lost:
        return f"{lost} of {len(y)} predictions are not finite, and lime takes all or none"
    if np.ptp(y) == 0:
        return "the target is the same at every sample: there is nothing to fit"
    kept = min(settings.features, count)
    if forward(settings.selection, settings.features) and kept * count > MOST_REGRESSIONS:
        return f"lime's forward selection would fit some {kept * count} regressions; {MOST_REGRESSIONS} are the most"
    return ""


def forward(selection: Selection, features: int) -> bool:
    """Whether lime selects forward."""
    return selection == "forward_selection" or (selection == "auto" and features <= FORWARD)


def fitted(around: Neighbourhood, given: Sampled, label: int, settings: Settings) -> Fitted:
    """By lime. Only where there is no `obstacle`."""
    width = settings.kernel_width or around.kernel_width

    def kernel(distances: Floats) -> Floats:
        return np.asarray(np.sqrt(np.exp(-(distances**2) / width**2)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn speaks of singular matrices, which lime meets and goes on from
        base = LimeBase(kernel, random_state=np.random.RandomState(0))
        intercept, pairs, r2, local = base.explain_instance_with_data(
            given.samples.z, given.y, given.samples.distances, label, settings.features,
            feature_selection=settings.selection,
            model_regressor=Ridge(alpha=settings.alpha, fit_intercept=True, random_state=base.random_state),
        )  # fmt: skip
    coefficients = np.zeros(given.samples.z.shape[1])
    for feature, value in pairs:
        coefficients[feature] = value
    chosen = tuple(int(feature) for feature, _ in pairs)
    return Fitted(coefficients, chosen, float(intercept), float(r2), float(local[0]))


@dataclass(frozen=True, slots=True)
class Agreement:
    """difference: max |ours − lime's| over coefficients and intercept, of lime's largest coefficient. score: of R2."""

    difference: float
    score: float
    same_features: bool


def agreement(ours: Local, theirs: Fitted, y: Floats) -> Agreement:
    """How far two surrogates of the same samples are apart. y: (n,)."""
    gap = max(
        float(np.abs(ours.coefficients - theirs.coefficients).max()),
        abs(ours.intercept - theirs.intercept),
    )
    scale = max(float(np.abs(theirs.coefficients).max()), _LOWEST_SCALE * float(np.abs(y).max()))
    return Agreement(gap / scale, abs(ours.r2 - theirs.r2), set(ours.chosen) == set(theirs.chosen))


def put_in(found: Explained, theirs: tuple[Fitted | None, ...]) -> Explained:
    """`found` with lime's surrogates in place of ours where there are some; its errors and stability stay."""
    labels = tuple(
        ours
        if their is None
        else replace(
            ours, coefficients=their.coefficients, chosen=their.chosen, intercept=their.intercept, r2=their.r2,
            local=their.local,
        )
        for ours, their in zip(found.labels, theirs, strict=True)
    )  # fmt: skip
    return replace(found, labels=labels)


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A neighbourhood whose samples were drawn before; what the network reads is each sample's number."""

    around: Neighbourhood
    given: Sampled

    @property
    def names(self) -> tuple[str, ...]:
        return self.around.names

    @property
    def kernel_width(self) -> float:
        return self.around.kernel_width

    @property
    def binary(self) -> bool:
        return self.around.binary

    def stream(self, seed: int, paired: bool) -> Stream:  # noqa: ARG002  # drawn before, by another
        """The samples again, in order."""
        return _Again(self.given.samples)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """(n, 1) int64: each sample's number."""
        return (torch.from_numpy(samples.drawn.astype(np.int64)),)

    def as_json(self) -> dict[str, JsonValue]:
        return self.around.as_json()

    def predict(self, inputs: tuple[Tensor, ...]) -> Floats:
        """What the network said."""
        numbers: NDArray[np.int64] = inputs[0][:, 0].numpy()
        return self.given.y[numbers]


class _Again:
    def __init__(self, samples: Samples) -> None:
        self._samples, self._taken = samples, 0

    def take(self, count: int) -> Samples:
        start, self._taken = self._taken, self._taken + count
        found = self._samples.part(start, self._taken)
        if len(found) < count:
            raise ValueError(f"{count} samples were asked for, and {len(found)} of those drawn before are left")
        return Samples(found.z, found.distances, np.arange(start, self._taken, dtype=np.int64)[:, None])
