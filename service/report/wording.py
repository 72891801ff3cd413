"""How do facts, parameters and provenance read as lines of a report? Values in, lines out; nothing is measured here."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from service.contracts.facts import DatasetFacts, InputFacts, ModelFacts
from service.contracts.provenance import Provenance
from service.contracts.section import Blank, Cell, Number, Word, exact
from service.report.twin import Fact

LONGEST = 600


def cell(value: JsonValue) -> Cell:
    """Any JSON value as a cell: numbers exactly as chosen, the rest as compact text."""
    if value is None:
        return Blank(because="not set")
    if isinstance(value, bool):
        return Word(value="yes" if value else "no")
    if isinstance(value, int | float):
        return Word(value=exact(value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return Word(value=clipped(text))


def clipped(text: str, longest: int = LONGEST) -> str:
    """Text no longer than a cell takes, its cut marked; the twin holds the whole beside it."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def line(label: str, value: JsonValue) -> Fact:
    """A labelled value."""
    return Fact(label=clipped(label, 128), cell=cell(value))


def settings(parameters: Mapping[str, JsonValue]) -> tuple[Fact, ...]:
    """The parameters of an analysis by name, so that no database's order of keys shows."""
    return tuple(line(name, value) for name, value in sorted(parameters.items()))


def declared_of_model(facts: ModelFacts) -> tuple[Fact, ...]:
    """What the owner of a model says of it."""
    classes = ", ".join(facts.output.classes)
    return (
        *([line("Decides", facts.role)] if facts.role else []),
        line("Task", facts.task.replace("_", " ")),
        *_of_input(facts.input),
        line("Output", f"{facts.output.kind}, in {facts.output.unit}"),
        *([line("Classes", f"{len(facts.output.classes)}: {classes}")] if classes else []),
        line("Training loss", facts.loss.replace("_", " ")),
        line("Declared accuracy", facts.accuracy),
        line("Declared budget \u03b5 (L-infinity, raw units)", facts.epsilon),
        line("Declared risk tier", facts.risk_tier),
    )


def declared_of_dataset(facts: DatasetFacts) -> tuple[Fact, ...]:
    """What the owner of a dataset says of it."""
    classes = ", ".join(facts.classes)
    return (
        *_of_input(facts.input),
        *([line("Labels", f"{len(facts.classes)}: {classes}")] if classes else []),
    )


def _of_input(facts: InputFacts) -> tuple[Fact, ...]:
    shape = "\u00d7".join(str(size) for size in facts.shape) or "scalar"
    return (
        line("One example", f"{facts.kind}, {facts.layout}, {shape}"),
        line("Legal raw values", _range(facts.bounds.low, facts.bounds.high) + f" ({facts.unit})"),
        line(
            "Preprocessing",
            f"subtract {_series(facts.preprocessing.mean)}, divide by {_series(facts.preprocessing.std)}",
        ),
    )


def _range(low: tuple[float, ...], high: tuple[float, ...]) -> str:
    if len(low) == 1:
        return f"{exact(low[0])} to {exact(high[0])}"
    return f"per channel or feature, {exact(min(low))} to {exact(max(high))} over all {len(low)}"


def _series(values: tuple[float, ...]) -> str:
    few = 4
    if len(values) <= few:
        return ", ".join(exact(value) for value in values)
    return f"{len(values)} values from {exact(min(values))} to {exact(max(values))}"


def run(provenance: Provenance) -> tuple[Fact, ...]:
    """What it would take to run an analysis again, as lines."""
    machine = provenance.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine.versions.items()))
    return (
        line("Analysis digest", provenance.analysis_digest),
        line("Computation", f"{provenance.kind}, version {provenance.kind_version}"),
        line("Model digest (canonical)", provenance.model_digest),
        *(line(f"Input digest ({role})"[:128], digest) for role, digest in sorted(provenance.input_digests.items())),
        *(
            line(f"Shared examples ({each.role}, {each.other})"[:128], f"{each.shared} of {each.examples}")
            for each in provenance.overlaps
        ),
        line("Seed", provenance.seed),
        *(line(f"Plan: {name}", value) for name, value in sorted(provenance.plan.items())),
        line("Replay", _replay(provenance.deterministic)),
        line("Device", f"{machine.device} ({machine.device_name})"),
        line("CPU capability", machine.cpu_capability),
        line("Threads", machine.threads),
        line("Platform", f"{machine.platform}, Python {machine.python}"),
        line("Versions", versions or None),
        line("Sandbox level", provenance.sandbox_level),
        Fact(label="Time taken", cell=Number(value=provenance.seconds, unit="s")),
        Fact(label="Time quoted", cell=_maybe(provenance.quoted_seconds, "s", 1.0)),
        Fact(label="Peak memory", cell=_maybe(provenance.peak_bytes, "MiB", 2.0**20)),
        Fact(label="Memory quoted", cell=_maybe(provenance.quoted_bytes, "MiB", 2.0**20)),
        line("Analyses sharing its passes", provenance.shared_with),
        line("Worker", provenance.worker),
        line("Attempt", provenance.attempt),
    )


def _maybe(value: float | None, unit: str, divisor: float) -> Cell:
    return Blank(because="not recorded") if value is None else Number(value=value / divisor, unit=unit)


def _replay(deterministic: bool) -> str:
    if deterministic:
        return "The same numbers bit for bit with this plan, CPU capability, thread count and these versions."
    return "Not bit for bit: deterministic algorithms were not enforced throughout; expect the stated tolerance."
