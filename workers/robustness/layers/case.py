"""What is attacked of one network, and which of its layers are looked at?"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from workers.attack.victim import Victim
from workers.kind import AnalysisError
from workers.passes.aims import Aim, Wanted, aim_of
from workers.passes.asked import ROLE, Asked, prepared
from workers.passes.attacked import RAW, Attacked, elements
from workers.robustness.budgets import default_epsilons
from workers.robustness.layers.chosen import Chosen, chosen
from workers.robustness.layers.parameters import RobustnessLayersParameters
from workers.robustness.layers.through import Through
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared
from workers.sweep.refusals import UnknownTap

_MOST_ROWS, _BLOCK_BYTES = 256, 96 << 20
"""In one call: as many as caches like, of small networks so many that calls themselves cost little."""

LANES = 12
"""Tensors as large as what is attacked that a climb holds for each row: where it is, was, was best, and slopes."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """threat: what may be changed, of all examples that are held: those attacked come first, and probes are fitted on
    all. aim: what counts as broken. truth: int64 (n,), the class each example is held to. epsilon: in `threat.unit`."""

    subject: Subject
    parameters: RobustnessLayersParameters
    ready: Prepared
    layers: Chosen
    threat: Attacked
    aim: Aim
    truth: Tensor
    epsilon: float

    @classmethod
    def of(cls, subject: Subject, parameters: RobustnessLayersParameters) -> Case:
        """Made once for each question. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        key = (parameters, subject.examples[ROLE].digest)
        if key not in known:
            known[key] = cls._made(subject, parameters)
        return known[key]

    @classmethod
    def _made(cls, subject: Subject, parameters: RobustnessLayersParameters) -> Case:
        if subject.black_box:
            raise AnalysisError("not-applicable", ONLY_OUTPUTS)
        held = max(parameters.examples, parameters.probe_examples)
        threat = Attacked.of(subject, norm=parameters.norm, examples=held)
        aim = aim_of(threat, Wanted())
        if not aim.classes or aim.truth is None:
            raise AnalysisError(
                "not-applicable",
                f"the model's task is {subject.facts.task}: layers are told of examples whose class an attack changes",
                remedy="Ask for robustness, which tells how far other outputs shift.",
            )
        ready = prepared(
            subject, Asked(target="predicted", scale="output", baseline="mean", examples=held, precision="float32")
        )
        layers = chosen(ready, parameters.layers)
        if not layers.taps:
            raise UnknownTap("; ".join(f"{each.subject}: {each.because}" for each in layers.others) or "no layer ran")
        epsilon = parameters.epsilon or _usual(threat, parameters)
        return cls(subject, parameters, ready, layers, threat, aim, aim.truth, epsilon)

    @property
    def count(self) -> int:
        """How many examples are attacked."""
        return min(self.parameters.examples, len(self.threat))

    def rows(self, memory_bytes: int) -> int:
        """How many rows go through the network at once, half of the memory being for what is kept."""
        each = self.row_bytes()
        wanted = max(1, min(_MOST_ROWS, max(8, _BLOCK_BYTES // each), memory_bytes // 2 // each))
        return self.ready.probe.rows or max(wanted, self.ready.probe.least_rows)

    def row_bytes(self) -> int:
        """What a row takes at the peak: forward and back, and what a climb at the widest layer holds."""
        cost = self.ready.probe.cost
        sizes = [tap.bytes_per_example for tap in self.layers.taps]
        widest = max(*sizes, elements(self.threat.x) * self.threat.x.element_size())
        return max(1, cost.bytes(1) - cost.bytes(0), sum(sizes)) + LANES * widest

    def through(self, memory_bytes: int) -> Through:
        """The network, to be asked about changed inputs."""
        position = self.threat.position + len(self.ready.x) - len(self.threat.inputs)
        return Through(self.ready, position, self.threat.reads, self.aim.read, self.rows(memory_bytes))


def victim(through: Through, rows: Tensor) -> Victim:
    """The network at these examples, int64 (m,): numbered from 0 as they stand there."""

    def network(made: Tensor, index: Tensor) -> Tensor:
        return through.outputs(made, rows[index])

    return Victim(network=network, rows=through.rows)


_READY: WeakKeyDictionary[nn.Module, dict[tuple[RobustnessLayersParameters, str], Case]] = WeakKeyDictionary()


def _usual(threat: Attacked, parameters: RobustnessLayersParameters) -> float:
    """The epsilon of those who name none."""
    declared = threat.subject.facts.epsilon
    claimed = declared and threat.facts.kind in RAW and parameters.norm == "linf" and threat.input == 0
    return declared if declared and claimed else default_epsilons(threat)[-1]
