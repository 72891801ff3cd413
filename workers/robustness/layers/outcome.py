"""What is said of where an attack lands? Of each layer how far it is carried, and how little breaks it."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from service.contracts.base import Integer, LayerName, Text, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval, bootstrap, wilson

_Title = Annotated[str, Field(max_length=128)]


class Median(Value):
    """A median over examples."""

    value: float
    low: float | None = Field(description="95 %, percentile bootstrap over examples; null for one example.")
    high: float | None
    q05: float = Field(description="5 % of the examples lie below.")
    q95: float = Field(description="5 % lie above.")
    n: Integer

    @classmethod
    def of(cls, values: NDArray[np.float64], seed: int) -> Self | None:
        """Of values that are known, (examples,); NaN is left out. None where all are."""
        known = values[np.isfinite(values)]
        if len(known) == 0:
            return None
        found = bootstrap(known, seed, lambda sample: np.asarray(np.median(sample, axis=-1)))
        q05, q95 = np.quantile(known, [0.05, 0.95])
        return cls(value=found.value, low=found.low, high=found.high, q05=float(q05), q95=float(q95), n=len(known))


class Share(Value):
    """A share of examples, with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    n: Integer

    @classmethod
    def of(cls, successes: int, n: int) -> Self | None:
        """None of no examples."""
        if n == 0:
            return None
        found: Interval = wilson(successes, n)
        assert found.low is not None
        assert found.high is not None
        return cls(value=found.value, low=found.low, high=found.high, n=n)


class Latent(Value):
    """How little at a layer's output breaks examples that are right: relative L2 budgets, upper bounds on the truth."""

    rho50: float | None = Field(description="Budget at which half are broken; null: above the largest.")
    low: float | None = Field(description="95 %, percentile bootstrap over examples; null: above the largest.")
    high: float | None
    n: Integer = Field(description="Examples right without an attack, and whose layer is not zero.")
    held: Integer = Field(description="Of them, those that held at the largest budget.")
    gradients: Integer = Field(description="Rows whose gradient was taken.")


class Probe(Value):
    """What a linear probe of a layer reads, cross-fitted."""

    accuracy: Share = Field(description="Of clean examples.")
    trusted: bool = Field(description="At least 90 % of the network's own accuracy on the same examples.")
    flips: Share | None = Field(description="Of adversarials whose clean input it reads rightly.")
    random_flips: Share | None = Field(description="The same of random changes of equal norm: the null.")
    first: Integer = Field(description="Adversarials that flip here and at no earlier trusted probe.")
    random_first: float = Field(description="The same of random changes, by draw.")


class LayerReport(Value):
    """One layer. What is null was not asked for, or has no meaning; `not_applicable` says why."""

    key: LayerName
    kind: _Title = Field(description="Its class, for display.")
    cut: bool = Field(description="Whether every path from the input to the output passes through it.")
    before: Annotated[str, Field(max_length=512)] = Field(description="What its gain is over: a layer, or the input.")
    adversarial: Median | None = Field(description="|h(x') - h(x)| / |h(x)| by adversarials.")
    random: Median | None = Field(description="By random changes of equal norm: mean over draws.")
    ratio: Median | None = Field(description="The first over the second, by example.")
    cosine: Median | None = Field(description="Between h(x') and h(x).")
    gain: Median | None = Field(description="The displacement over that of the layer before.")
    random_gain: Median | None
    ranks: Median | None = Field(description="Spearman's of magnitudes of gradient x activation, at x' and x.")
    random_ranks: Median | None
    shared: Median | None = Field(description="Share of the strongest tenth of units that stays.")
    random_shared: Median | None
    chance: float | None = Field(description="What two random rankings share.")
    latent: Latent | None = None
    probe: Probe | None = None


class Shown(Value):
    """A picture, in words."""

    artifact: Annotated[str, Field(max_length=128)]
    title: _Title
    alternative: Text
    caption: Text


class RobustnessLayersOutcome(Outcome):
    """Where an attack lands."""

    norm: Annotated[str, Field(max_length=8)]
    epsilon: float
    unit: Annotated[str, Field(max_length=128)] = Field(description="Of epsilon.")
    embedded: bool = Field(description="What is attacked is the embedding of tokens: diagnostic only.")
    notes: Annotated[tuple[Text, ...], Field(strict=False)] = Field(description="What else is to be known of both.")
    labelled: bool = Field(description="Whether right means the label; else what the network itself says.")
    examples: Integer = Field(description="Examples asked for, and there.")
    available: Integer = Field(description="Examples in the evaluation data.")
    clean: Share | None = Field(description="Right without an attack, of those analysed.")
    robust: Share | None = Field(description="Still right under the attack: an upper bound.")
    broken: Integer = Field(description="Right without, and wrong with the attack: what layers are looked at with.")
    random_broken: Share | None = Field(description="Of the broken, by how many random changes of equal norm.")
    random_length: float | None = Field(description="Smallest length of a random change over that of its adversarial.")
    at_input: Median | None = Field(description="Relative displacement of the input as the network reads it.")
    random_at_input: Median | None
    draws: Integer
    largest: float = Field(description="Largest latent budget.")
    settings: dict[str, JsonValue] = Field(description="Of the attack on the input.")
    asked: dict[str, JsonValue] = Field(description="Rows that the attack on the input cost: forwards, gradients.")
    never: Integer | None = Field(description="Broken examples at which no trusted probe flips; null without probes.")
    probe_examples: Integer = Field(description="Examples that probes are fitted on and checked with.")
    layers: Annotated[tuple[LayerReport, ...], Field(strict=False)] = Field(
        description="In the order in which they run."
    )
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)] = ()
