"""What does each family get in each format? Written, inspected and audited by the very code that runs in a sandbox."""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from lamina.zoo.asked import KINDS
from lamina.zoo.families import FAMILIES
from lamina.zoo.family import EXAMPLES, Family
from lamina.zoo.files import ExportRefused, NotWritten, write, write_examples
from lamina.zoo.folders import FOLDERS
from lamina.zoo.parity import Compared, compared
from service.contracts.base import digest_of_value
from service.contracts.job import (
    RESULT,
    Analyse,
    Failed,
    InspectDataset,
    Inspected,
    InspectModel,
    Member,
    Refused,
    StagedDataset,
    StagedModel,
    Succeeded,
)
from service.contracts.manifest import CANONICAL, DatasetManifest, ModelFormat, ModelManifest
from workers.attribution.findings import NOT_USABLE
from workers.child import run
from workers.kind import AnalysisKind
from workers.robustness.findings import CHECK_FAILED, WRONG_EVERYWHERE
from workers.subject.formats import FORMATS

State = Literal["ok", "not applicable", "refused", "failed"]
INTAKE, OUTPUTS = "intake", "outputs"
FORMS: tuple[ModelFormat, ...] = ("pt2", "huggingface", "onnx")
MEMORY_BYTES = 1 << 28
OF_THE_NETWORK = (NOT_USABLE, WRONG_EVERYWHERE, CHECK_FAILED, "worse-than-chance")
"""Failures that an analysis finds in what it is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One square of the table. reason: why it is not ok, in words; for parity, what could be compared."""

    family: str
    form: ModelFormat
    column: str
    state: State
    reason: str = ""

    @property
    def key(self) -> str:
        return f"{self.family}/{self.form}/{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A family that came in: its canonical file, and what inspection said of it and of its examples."""

    family: Family
    form: ModelFormat
    model: Path
    manifest: ModelManifest
    examples: Path
    dataset: DatasetManifest


OnCell = Callable[[Cell], None]


def cells(
    names: Sequence[str],
    forms: Sequence[ModelFormat],
    scratch: Path,
    kinds: Collection[str] | None = None,
    *,
    parity: bool = True,
) -> Iterator[Cell]:
    """Every square of these families and formats, one after the other, of all kinds or of those named.

    scratch: an empty folder of their own. parity: whether outputs and captum's numbers are compared too.
    """
    chosen = [kind for kind in KINDS.values() if kinds is None or kind.name in kinds]
    for name in names:
        for form in forms:
            family = family_of(name, form)
            if family is None:
                continue
            folder = scratch / f"{name}-{form}"
            folder.mkdir(parents=True)
            yield from _of(family, form, folder, chosen, parity=parity)
            shutil.rmtree(folder)


def _of(
    family: Family, form: ModelFormat, folder: Path, kinds: Sequence[AnalysisKind[Any, Any]], *, parity: bool
) -> Iterator[Cell]:
    network = family.network()
    try:
        file = write(family, form, network, folder)
    except NotWritten:
        return
    except ExportRefused as refused:
        yield _intake(family, form, "refused", f"at export: {' '.join(str(refused).split())}")
        return
    came = _came(family, form, file, folder)
    if isinstance(came, Cell):
        yield came
        return
    yield _intake(family, form, "ok", _layers(came.manifest))
    if parity:
        for found in compared(family, network, FORMATS[form].load(came.model, "cpu")):
            yield _parity(family, form, found)
    yield from _audited(kinds, came, folder)


def _intake(family: Family, form: ModelFormat, state: State, reason: str) -> Cell:
    return Cell(family=family.name, form=form, column=INTAKE, state=state, reason=reason)


def _layers(manifest: ModelManifest) -> str:
    if manifest.black_box:
        return "black box: outputs only"
    able = sum(layer.auditable == "auditable" for layer in manifest.layers)
    return f"{able} of {len(manifest.layers)} layers auditable"


def _parity(family: Family, form: ModelFormat, found: Compared) -> Cell:
    return Cell(family=family.name, form=form, column=found.what, state=found.state, reason=found.reason)


# --- through the child


class _Line:
    """A line on which nobody listens."""

    def progress(self, fraction: float, stage: str, **extra: Any) -> None:
        """Nothing."""

    def say(self, message: dict[str, Any]) -> None:
        """Nothing."""

    def cancelled(self) -> bool:
        return False


Answered = Inspected | Refused | Succeeded | Failed


def _child(folder: Path, name: str, job: InspectModel | InspectDataset | Analyse, files: dict[str, Path]) -> Path:
    """Does a job in a scratch folder of its own, as a sandboxed child would, and returns that folder."""
    scratch = folder / name
    for part in ("inputs", "results", "cancel"):
        (scratch / part).mkdir(parents=True)
    for target, file in files.items():
        shutil.copyfile(file, scratch / "inputs" / target)
    (scratch / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    run(scratch, _Line())
    return scratch


def _answer(scratch: Path, member: str) -> Answered:
    return RESULT.validate_json((scratch / "results" / member / "result.json").read_bytes())


def _came(family: Family, form: ModelFormat, file: Path, folder: Path) -> Came | Cell:
    model = _child(folder, "model", InspectModel(member="a", facts=family.facts), {"source": file})
    found = _answer(model, "a")
    if not isinstance(found, Inspected) or not isinstance(found.manifest, ModelManifest):
        return _intake(family, form, "refused" if isinstance(found, Refused) else "failed", _why(found))
    data = write_examples(family, folder / "examples.npz")
    read = _child(folder, "dataset", InspectDataset(member="b", facts=family.dataset_facts), {"source": data})
    given = _answer(read, "b")
    if not isinstance(given, Inspected) or not isinstance(given.manifest, DatasetManifest):
        return _intake(family, form, "failed", f"its examples: {_why(given)}")
    return Came(
        family=family, form=form, model=model / "results" / "a" / found.canonical, manifest=found.manifest,
        examples=read / "results" / "b" / given.canonical, dataset=given.manifest,
    )  # fmt: skip


def _audited(kinds: Sequence[AnalysisKind[Any, Any]], came: Came, folder: Path) -> Iterator[Cell]:
    """All kinds in one audit, with the family's target where they take one, and otherwise as they stand."""
    members, roles = list[Member](), set[str]()
    for kind in kinds:
        asked = _asked(kind, came.family)
        try:
            kind.parameters.model_validate(asked)
        except ValidationError:
            yield _cell(kind, came, "not applicable", f"it has no target {came.family.target!r}")
            continue
        roles.update(kind.roles)
        digest = digest_of_value({"kind": kind.name, **asked})
        members.append(
            Member(id=f"{len(members):x}", kind=kind.name, kind_version=kind.version, parameters=asked, digest=digest)
        )
    if not members:
        return
    job = Analyse(
        members=tuple(members),
        model=StagedModel(
            file=CANONICAL[came.form], name=came.family.name, version="1", digest=came.manifest.canonical_digest,
            facts=came.family.facts, manifest=came.manifest,
        ),
        inputs={
            role: StagedDataset(
                file="examples.safetensors", name="examples", digest=came.dataset.canonical_digest,
                facts=came.family.dataset_facts, manifest=came.dataset,
            )
            for role in sorted(roles)
        },
        memory_bytes=MEMORY_BYTES, sandbox_level="none",
    )  # fmt: skip
    files = {CANONICAL[came.form]: came.model, "examples.safetensors": came.examples}
    scratch = _child(folder, "audit", job, files)
    for member in members:
        yield _settled(KINDS[member.kind], came, _answer(scratch, member.id))


def _settled(kind: AnalysisKind[Any, Any], came: Came, found: Answered) -> Cell:
    """An analysis that says of its own numbers that no report may show them has worked; the cell says that it did."""
    if isinstance(found, Succeeded):
        grave = [str(each["code"]) for each in _findings(found) if each["severity"] == "failure"]
        broken = [code for code in grave if code not in OF_THE_NETWORK]
        return _cell(kind, came, "failed" if broken else "ok", ", ".join(broken or grave))
    if isinstance(found, Failed) and found.reason.code == "not-applicable":
        return _cell(kind, came, "not applicable", found.reason.detail)
    return _cell(kind, came, "failed", _why(found))


def _asked(kind: AnalysisKind[Any, Any], family: Family) -> dict[str, JsonValue]:
    wanted: dict[str, JsonValue] = {"target": family.target, "targets": [family.target], "examples": EXAMPLES}
    return {name: value for name, value in wanted.items() if name in kind.parameters.model_fields}


def _findings(found: Succeeded) -> list[dict[str, Any]]:
    listed = found.outcome.get("findings")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _cell(kind: AnalysisKind[Any, Any], came: Came, state: State, reason: str) -> Cell:
    return Cell(family=came.family.name, form=came.form, column=kind.name, state=state, reason=reason)


def _why(found: Answered) -> str:
    return f"{found.reason.detail} ({found.reason.code})" if isinstance(found, Refused | Failed) else "no manifest"


def family_of(name: str, form: ModelFormat) -> Family | None:
    """The family of this name as it exists in this format: exported from our own classes, or from transformers'."""
    return (FOLDERS if form == "huggingface" else FAMILIES).get(name)


NAMES = tuple(dict.fromkeys((*FAMILIES, *FOLDERS)))
"""All families, in the order of the table."""
