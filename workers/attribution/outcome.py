"""What does every attribution answer?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Integer, LayerName, Text, Value
from service.contracts.outcome import Estimate, Outcome
from workers.attribution.parameters import Names
from workers.certificate.checks import Certificate
from workers.numerics.intervals import Interval

Places = Literal["layers", "inputs"]


class Average(Value):
    """A mean over examples with its 95 % interval; no bounds for a single example."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=64)] = Field(description="How the bounds were found.")

    @classmethod
    def of(cls, made: Interval) -> Average:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class Unit(Value):
    """One unit, by its index in one example's attribution."""

    index: Annotated[tuple[Integer, ...], Field(strict=False)]
    mean: Average
    share: float = Field(description="Of the sum over units of mean magnitudes.")
    magnitude: Average | None = Field(None, description="The mean of its magnitudes.")


class UnitSum(Value):
    """A chosen unit: what the inputs got for it, and what its own values along the path say."""

    index: Annotated[tuple[Integer, ...], Field(strict=False)]
    own: Average = Field(description="Its conductance, from its own values along the path.")
    summed: Average = Field(description="What is attributed to all inputs for it, which must be the same.")
    error: Average | None = Field(description="|summed − own|, of what flows through it; null where nothing does.")


class Spread(Value):
    """Over how many units an example's attribution is spread, mean over examples."""

    half: Average = Field(description="Share of the units, the largest first, that carry half of the magnitude.")
    effective: Average = Field(description="That many equal units would be as spread: exp of the entropy.")
    gini: Average = Field(description="0 all units alike, towards 1 a single unit.")


class ClassTotal(Value):
    """The totals over the examples of one class."""

    name: Annotated[str, Field(max_length=128)]
    total: Average
    absolute_total: Average
    top_units: Annotated[tuple[Unit, ...], Field(strict=False)] = Field(
        (), description="The strongest over its examples; none where more classes and units were met than are held."
    )


class Attributed(Value):
    """One tensor that one call of one layer gives, or one input."""

    key: LayerName = Field(description="The layer; @call where it runs more than once, :position among its outputs.")
    layer: LayerName
    call: Integer | None = Field(description="Which call; null where there is one.")
    output: Integer | None = Field(description="Which of its output tensors; null where there is one.")
    type: Annotated[str, Field(max_length=256)]
    container: bool
    cut: bool = Field(description="Whether every path from the input to the target passes here.")
    shape: Annotated[tuple[Integer, ...], Field(strict=False)] = Field(description="Of one example's attribution.")
    same_as: LayerName | None = Field(description="The inner layer whose output this layer passes on unchanged.")
    total: Average = Field(description="Sum over units, in `unit`.")
    absolute_total: Average = Field(description="Sum over units of magnitudes.")
    completeness_error: Average | None = Field(description="Null where the method claims no completeness.")
    share: Average | None = Field(description="Of the output's change, what goes through here; null where undefined.")
    agreement: Average | None = Field(description="|sum| / sum of magnitudes: how far units pull one way.")
    spread: Spread | None = Field(description="Null where nothing is attributed.")
    classes: Annotated[tuple[ClassTotal, ...], Field(strict=False)]
    top_units: Annotated[tuple[Unit, ...], Field(strict=False)]


class Verified(Value):
    """One layer or input recomputed by captum."""

    layer: LayerName
    difference: float | None = Field(description="max |ours − captum's| / max |captum's|; null where captum cannot.")
    reason: Text
    gap: float = Field(description="max |ours − captum's|, in the unit of the attributions.")


class Randomised(Value):
    """One stage on the way from the network to one of shuffled parameters."""

    share: float = Field(description="Of all numbers in parameters, those that are shuffled by now.")
    correlations: dict[LayerName, float] = Field(description="With the attributions presented, by layer.")


class Compared(Value):
    """This method beside another one, at one layer or input."""

    other: Annotated[str, Field(max_length=64)]
    place: LayerName
    ranks: Average | None = Field(description="Rank correlation of magnitudes, mean over examples.")
    top: Average | None = Field(description="Share of the strongest units that both name, mean over examples.")
    chance: float | None = Field(description="What random rankings would have in common.")
    because: Text = Field(description="Why they cannot be compared.")


class Certified(Value):
    """The checks, what they were made with, and where."""

    certificate: Certificate
    stages: Annotated[tuple[Randomised, ...], Field(strict=False)]
    places: Names = Field(description="The layers or inputs whose attributions were checked.")
    examples: Integer
    compared: Annotated[tuple[Compared, ...], Field(strict=False)] = ()

    def named(self, names: Mapping[str, str]) -> Certified:
        """The same with the places as they are reported."""
        checks = [
            check if check.place is None else check.model_copy(update={"place": names[check.place]})
            for check in self.certificate.checks
        ]
        stages = tuple(
            each.model_copy(update={"correlations": {names[key]: value for key, value in each.correlations.items()}})
            for each in self.stages
        )
        places = tuple(names[key] for key in self.places)
        compared = tuple(each.model_copy(update={"place": names[each.place]}) for each in self.compared)
        return Certified(
            certificate=Certificate.of(checks), stages=stages, places=places, examples=self.examples, compared=compared
        )


class Halved(Value):
    """Chunks that became smaller than planned, because the device had no memory for larger ones."""

    start: Integer = Field(description="The first example that was computed so.")
    points: Integer
    examples: Integer


class Shown(Value):
    """A picture among the artifacts."""

    artifact: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}\.png$")]
    title: Annotated[str, Field(max_length=128)]
    alternative: Text
    caption: Text


class Line(Value):
    """What one layer or input attributes along a sequence."""

    key: LayerName
    values: Annotated[tuple[float, ...], Field(max_length=4096, strict=False)]


class Along(Value):
    """The attributions of the first example, summed over all axes but that of tokens or time steps."""

    along: Literal["token", "time"]
    labels: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=4096, strict=False)] = Field(
        description="What each token reads; empty for time steps."
    )
    lines: Annotated[tuple[Line, ...], Field(strict=False)]


class AttributionOutcome(Outcome):
    """What an attribution found, of every layer or of every input."""

    method: str
    settings: dict[str, JsonValue]
    places: Places
    target: str
    target_unit: str
    unit: str = Field(description="Of the attributions.")
    baseline: str | None
    steps: Integer | None = Field(description="Steps, the most that an example took; null where the method has none.")
    mean_steps: float | None = Field(description="Where steps were chosen by example: their mean.")
    unsettled: Integer | None = Field(description="And how many examples missed the tolerance when the steps ended.")
    tolerance: float | None
    tolerance_met: bool | None = Field(description="At every layer that must be complete; null where none must.")
    missed: Names = Field(description="Layers whose completeness error is above the tolerance.")
    precision: str
    examples: Integer
    available: Integer = Field(description="Examples in the evaluation data.")
    output_change: Average | None = Field(description="F(x) − F(x'); null where the method has no baseline.")
    accuracy: Estimate | None
    layers: Annotated[tuple[Attributed, ...], Field(strict=False)]
    inputs: Annotated[tuple[Attributed, ...], Field(strict=False)]
    decided: LayerName | None = Field(description="The first cut from which on `agreement` stays at a half or more.")
    surely_decided: LayerName | None = Field(description="The same of the lower bounds.")
    depth_reasons: Annotated[tuple[Text, ...], Field(strict=False)]
    verified: Annotated[tuple[Verified, ...], Field(strict=False)]
    certified: Certified | None
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)]
    sequence: Along | None
    halved: Annotated[tuple[Halved, ...], Field(strict=False)] = ()
    chosen_units: Annotated[tuple[UnitSum, ...], Field(strict=False)] = Field(
        (), description="Of conductance through chosen units: the identity that must hold of each."
    )
    unsummed: Text = Field("", description="Why that identity could not be checked.")
    held: Names = Field(
        (), description="Inputs that keep their value while the others go from baseline to input: ids and masks."
    )

    @property
    def found(self) -> tuple[Attributed, ...]:
        """The layers, or the inputs."""
        return self.layers if self.places == "layers" else self.inputs

    @property
    def own(self) -> tuple[Attributed, ...]:
        """Those that give a tensor of their own, not that of a layer inside them."""
        return tuple(each for each in self.found if each.same_as is None)

    @property
    def usable(self) -> bool | None:
        """Whether a report may rest on it; None where nothing was checked."""
        return None if self.certified is None else self.certified.certificate.usable
