"""What does inspection say of one model, ready to be shown? Values from its manifest and facts alone.

The HTML page (`inspection_html`) draws this value, `?format=json` is this value, and the command line prints it: the
same rows, the same words. Layers are in the order of the tree, each with its depth.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Integer, Name, Value
from service.contracts.facts import InputFacts, ModelFacts
from service.contracts.manifest import Exit, ModelManifest, Notice, TensorSpec
from service.contracts.problem import Reason
from service.contracts.section import Blank, Cell, Number, Word, exact
from service.contracts.status import IntakeState
from service.report import wording
from service.report.tree import LayerRow, Why, amount, times, tree
from service.report.twin import Fact, Facts, Notes, Short, moment

NOT_IN_FILE = "no file says it"
NOT_MEASURED = "inspection does not measure it"
_Z = 1.959963984540054


class Compared(Value):
    """What was declared beside what was found."""

    what: Name
    declared: Cell
    found: Cell


class OutputRow(Value):
    """One output tensor."""

    name: Short
    dtype: Short
    shape: Short
    analysed: Short


class ExitRow(Value):
    """A branch, and the share of examples that took it with Wilson's interval."""

    name: Short
    taken: Integer
    of: Integer
    share: Number


class Inspection(Value):
    """Everything the page shows."""

    schema_version: Annotated[int, Field(ge=1, le=1), WHOLE] = 1
    name: Name
    version: Short
    state: Short
    identity: Facts
    refusal: Reason | None
    warnings: tuple[Notice, ...]
    summary: Facts
    compared: tuple[Compared, ...]
    notes: Notes
    outputs: tuple[OutputRow, ...]
    exits: tuple[ExitRow, ...]
    reasons: tuple[Why, ...]
    layers: tuple[LayerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version of a model as the service knows it; `by` is the name of who registered it."""

    name: str
    version: str
    state: IntakeState
    source_digest: str
    by: str
    at: datetime
    facts: ModelFacts
    manifest: ModelManifest | None
    refusal: Reason | None


def build(model: Registered) -> Inspection:
    """The value of a model in any state: what is not known yet is left out."""
    manifest = model.manifest
    rows, reasons = ((), ()) if manifest is None else tree(manifest)
    return Inspection(
        name=model.name,
        version=model.version,
        state=model.state,
        identity=tuple(_identity(model)),
        refusal=model.refusal,
        warnings=() if manifest is None else manifest.warnings,
        summary=() if manifest is None else tuple(_summary(manifest, rows)),
        compared=tuple(_compared(model.facts, manifest)),
        notes=() if manifest is None else manifest.notes,
        outputs=() if manifest is None else tuple(_output(manifest, at) for at in range(len(manifest.outputs))),
        exits=() if manifest is None else tuple(_exit(each) for each in manifest.exits),
        reasons=reasons,
        layers=rows,
    )


def _identity(model: Registered) -> Iterator[Fact]:
    manifest = model.manifest
    yield wording.line("State", model.state)
    yield wording.line("Registered by", model.by)
    yield wording.line("Registered", moment(model.at).display)
    if manifest is not None:
        yield wording.line("Format", manifest.format)
        yield wording.line("Exported by", f"torch {manifest.torch_version}")
        yield wording.line("Canonical form by", manifest.rewriter)
    yield wording.line("Digest as received", model.source_digest)
    if manifest is not None:
        yield wording.line("Digest as run (canonical form)", manifest.canonical_digest)


def _summary(manifest: ModelManifest, rows: Sequence[LayerRow]) -> Iterator[Fact]:
    yield Fact(label="warnings", cell=_count(len(manifest.warnings)))
    yield Fact(label="layers", cell=_count(len(rows)))
    found = Counter(row.verdicts["gradient"].state for row in rows)
    yield Fact(label="layers with gradients", cell=_count(found["auditable"]))
    yield Fact(label="layers without", cell=_count(len(rows) - found["auditable"]))
    yield Fact(label="parameters", cell=Word(value=amount(manifest.parameters)))
    flops = manifest.flops
    unknown = Blank(because="a black box" if manifest.black_box else "they could not be counted; see the warnings")
    yield Fact(label="FLOPs, one example", cell=unknown if flops is None else Word(value=amount(flops)))


def _count(number: int) -> Number:
    return Number(value=number, count=True)


def _compared(facts: ModelFacts, manifest: ModelManifest | None) -> Iterator[Compared]:
    absent = Blank(because=NOT_IN_FILE)
    inputs = [("Input", facts.input), *((f"Input {each.name}"[:128], each.input) for each in facts.further_inputs)]
    for at, (what, declared) in enumerate(inputs):
        spec = manifest.inputs[at] if manifest is not None and at < len(manifest.inputs) else None
        yield Compared(what=what, declared=_declared(declared), found=absent if spec is None else _tensor(spec))
        for line in wording.declared_of_model(facts) if at == 0 else ():
            if line.label in ("Legal raw values", "Preprocessing"):
                yield Compared(what=line.label, declared=line.cell, found=absent)
    if manifest is not None and manifest.tokenizer is not None:
        yield Compared(what="Tokenizer", declared=absent, found=Word(value=manifest.tokenizer))
    found = None if manifest is None or not manifest.outputs else manifest.outputs[_analysed(manifest)]
    yield Compared(
        what="Output",
        declared=Word(value=f"{facts.output.kind}, in {facts.output.unit}"),
        found=absent if found is None else _tensor(found),
    )
    names = wording.clipped(", ".join(facts.output.classes), 500)
    counted = Word(value=f"{len(facts.output.classes)}: {names}") if names else Blank(because="none were named")
    yield Compared(what="Classes", declared=counted, found=_classes(found, facts))
    yield Compared(what="Task", declared=wording.cell(facts.task.replace("_", " ")), found=absent)
    yield Compared(what="Training loss", declared=wording.cell(facts.loss.replace("_", " ")), found=absent)
    unmeasured = Blank(because=NOT_MEASURED)
    yield Compared(what="Accuracy", declared=wording.cell(facts.accuracy), found=unmeasured)
    budget = None if facts.epsilon is None else exact(facts.epsilon)
    yield Compared(what="Budget \u03b5 (L-infinity, raw units)", declared=wording.cell(budget), found=unmeasured)
    yield Compared(
        what="Batch size",
        declared=Blank(because="nothing is declared of it"),
        found=absent if manifest is None else Word(value="any" if manifest.batch is None else str(manifest.batch)),
    )


def _declared(facts: InputFacts) -> Word:
    return Word(value=f"{facts.kind}, {facts.layout}, {times(tuple(map(str, facts.shape))) or 'one number'}")


def _tensor(spec: TensorSpec) -> Word:
    return Word(value=wording.clipped(f"{spec.dtype}, {times(spec.shape)}"))


def _classes(found: TensorSpec | None, facts: ModelFacts) -> Cell:
    if found is None or not facts.output.classes or len(found.shape) < 2:
        return Blank(because=NOT_IN_FILE)
    return Word(value=f"{found.shape[1]} outputs")


def _analysed(manifest: ModelManifest) -> int:
    return min(manifest.analysed, len(manifest.outputs) - 1)


def _output(manifest: ModelManifest, at: int) -> OutputRow:
    spec = manifest.outputs[at]
    said = "analysed" if at == _analysed(manifest) else "not analysed"
    return OutputRow(name=spec.name, dtype=spec.dtype, shape=wording.clipped(times(spec.shape), 256), analysed=said)


def _exit(each: Exit) -> ExitRow:
    if each.of == 0:
        share = Number(value=0, low=0, high=1, digits=2)
    else:
        low, high = wilson(each.taken, each.of)
        share = Number(value=each.taken / each.of, low=low, high=high, n=each.of, digits=2)
    return ExitRow(name=each.name, taken=each.taken, of=each.of, share=share)


def wilson(taken: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of taken / of (Wilson 1927, JASA 22:209)."""
    p, z2 = taken / of, _Z**2
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * (p * (1 - p) / of + z2 / (4 * of**2)) ** 0.5
    return (0.0 if taken == 0 else middle - half), (1.0 if taken == of else middle + half)
