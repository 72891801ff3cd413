"""What is LIME over the layers of one network, made ready: the network twice, its layers, and what surrounds examples?

The network is asked about samples as it is; which tensors its layers give, and the gradient at an example, come from
the probe that every method of layers shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from service.contracts.outcome import NotApplicable
from workers.kind import AnalysisError
from workers.lime.case import Data, told_apart
from workers.lime.layers.around import Surroundings, surroundings
from workers.lime.layers.chosen import Chosen, chosen
from workers.lime.layers.gradient import gradients
from workers.lime.layers.parameters import LayersParameters
from workers.lime.layers.reading import DIRECTION, NORM, Read, Unit, by_row, readings
from workers.lime.rows import Rows, rows
from workers.neighbourhoods.text_samples import TextNeighbourhood
from workers.passes.asked import Asked, prepared
from workers.passes.predicting import Asking, Predicting
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.surrogate.neighbourhood import Neighbourhood
from workers.sweep.block import padded
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import UnknownTap
from workers.sweep.watch import Watch

_OTHER = "mean"
"""What the probe sets beside an example to tell one from another; it reads no attribution. The mean of the data is an
input that the network can take, which zero need not be."""

_MOST = 10_000
"""Surrogates of layers in one analysis: what its answer may hold, whose every number is written down."""

_HELD = 8
"""Neighbourhoods and readings of so many first examples are kept: they are asked for more than once."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A subject, what is asked of it, which layers are read, and where its samples come from."""

    subject: Subject
    parameters: LayersParameters
    predicting: Predicting
    ready: Prepared
    layers: Chosen
    around: Surroundings
    held: dict[int, Neighbourhood] = field(default_factory=dict)

    @classmethod
    def of(cls, subject: Subject, parameters: LayersParameters) -> Case:
        """Made once for each question. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        key = (parameters, told_apart(subject))
        if key not in known:
            known[key] = cls._made(subject, parameters)
        return known[key]

    @classmethod
    def _made(cls, subject: Subject, parameters: LayersParameters) -> Case:
        if subject.black_box:
            raise AnalysisError("not-applicable", ONLY_OUTPUTS)
        predicting = Predicting.of(
            subject,
            Asking(
                targets=(parameters.target,), scale=parameters.scale, examples=parameters.examples,
                precision=parameters.precision,
            ),
        )  # fmt: skip
        around = surroundings(subject, predicting, parameters)
        ready = prepared(
            subject,
            Asked(
                target=parameters.target, scale=parameters.scale, baseline=_OTHER, examples=len(predicting),
                precision=parameters.precision,
            ),
        )  # fmt: skip
        layers = _chosen(ready, parameters)
        if not layers.taps:
            raise UnknownTap("; ".join(f"{each.subject}: {each.because}" for each in layers.others) or "no layer ran")
        _refuse_too_much(parameters, len(layers.taps), len(predicting))
        return cls(subject, parameters, predicting, ready, layers, around)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.predicting)

    def at(self, index: int) -> Neighbourhood:
        """The neighbourhood of an example. Raises AnalysisError where it has none."""
        if index in self.held:
            return self.held[index]
        made = self.around.at(index)
        if index < _HELD:
            self.held[index] = made
        return made

    def read(self, index: int) -> tuple[list[Read], list[NotApplicable]]:
        """What is read of each layer at an example; what is not, and why."""
        owner = {tap.key: self.ready.probe.own(tap).key for tap in self.layers.taps}
        rising: Mapping[str, Tensor] = {}
        if DIRECTION in self.parameters.readings:
            found = gradients(self.ready, index, set(owner.values()))
            rising = {key: found[own] for key, own in owner.items() if own in found}
        around = self.at(index)
        return readings(
            self.layers.taps, self._values(index), rising, self.parameters.readings, self.parameters.concepts,
            moving=isinstance(around, TextNeighbourhood) and not around.still,
        )  # fmt: skip

    def rows(self, memory_bytes: int) -> Rows:
        """How its samples run."""
        return rows(self.predicting, memory_bytes, self.parameters.rows)

    def gives_output(self, tap: Tap, inputs: tuple[Tensor, ...]) -> bool:
        """Whether a tap's tensor is the very output, number by number, at each of these inputs."""
        given: list[Tensor] = []

        def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
            if (layer, call, position) == tap.place:
                given.append(tensor.clone())
            return tensor

        size, target = self.predicting.batch or len(inputs[0]), self.predicting.targets[0]
        with torch.no_grad(), Watch(self.predicting.network, see, {tap.layer}) as watch:
            for start in range(0, len(inputs[0]), size):
                given.clear()
                some = padded(tuple(each[start : start + size] for each in inputs), size)
                found = target.read(watch.run(some))
                if len(given) != 1 or given[0].shape != found.shape or not torch.equal(given[0], found):
                    return False
        return True

    @property
    def unit(self) -> str:
        """Of the target, and so of directions."""
        return "probability" if self.parameters.scale == "probability" else self.subject.facts.output.unit

    def _values(self, index: int) -> dict[str, Tensor]:
        """What the layers give of an example, (units,) each; nothing of those that do not run for it."""
        wanted = {tap.place: tap for tap in self.layers.taps}
        count = self.ready.probe.rows or self.ready.probe.least_rows
        made: dict[str, Tensor] = {}

        def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
            tap = wanted.get((layer, call, position))
            flat = None if tap is None else by_row(tap, tensor, count)
            if tap is not None and flat is not None:
                made[tap.key] = flat[0].clone()
            return tensor

        with torch.no_grad(), Watch(self.predicting.network, see) as watch:
            watch.run(padded(tuple(each[index : index + 1].clone() for each in self.predicting.x), count))
        return made


_READY: WeakKeyDictionary[nn.Module, dict[tuple[LayersParameters, Data], Case]] = WeakKeyDictionary()


def _refuse_too_much(parameters: LayersParameters, layers: int, examples: int) -> None:
    everywhere = sum(each in (DIRECTION, NORM) for each in parameters.readings)
    each = everywhere * layers + len(parameters.readings) - everywhere + len(parameters.concepts)
    if each * examples > _MOST:
        raise AnalysisError(
            "too-much",
            f"up to {each} readings of {examples} examples are {each * examples} surrogates; {_MOST} are the most",
            remedy="Ask for fewer examples, layers or readings.",
        )


def _chosen(ready: Prepared, parameters: LayersParameters) -> Chosen:
    """The layers asked for; those of units and concepts alone where nothing is read of all and none are named."""
    needed = [Unit.of(each).layer for each in parameters.readings if each.startswith("unit:")]
    needed += [each.layer for each in parameters.concepts]
    everywhere = {DIRECTION, NORM} & set(parameters.readings)
    return chosen(ready, parameters.layers if everywhere or parameters.layers else tuple(dict.fromkeys(needed)), needed)
