"""What passes between the Celery process and the sandboxed child? Files in its scratch, described by these values.

`scratch/job.json` holds one Job. The child answers with `scratch/results/<member>/result.json` and the files it names,
and says on its line {"type": "result", "member": ...} when a member's files are complete. To the parent, all of it
is hostile.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from service.contracts.base import WHOLE, Digest, Name, Value
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.outcome import Measurement
from service.contracts.problem import Reason
from service.contracts.provenance import Provenance
from service.contracts.section import Section

MemberId = Annotated[str, Field(pattern=r"^[0-9a-f-]{1,64}$")]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")]


class InspectModel(Value):
    """Read `inputs/source` as a model; write the canonical form and a manifest."""

    type: Literal["inspect_model"] = "inspect_model"
    member: MemberId
    facts: ModelFacts


class InspectDataset(Value):
    """Read `inputs/source` as a dataset; write the canonical form and a manifest."""

    type: Literal["inspect_dataset"] = "inspect_dataset"
    member: MemberId
    facts: DatasetFacts


class StagedModel(Value):
    """A canonical model, as a file of the scratch folder."""

    file: FileName
    name: Name
    version: Annotated[str, Field(max_length=64)]
    digest: Digest
    facts: ModelFacts
    manifest: ModelManifest


class StagedDataset(Value):
    """A canonical dataset, as a file of the scratch folder."""

    file: FileName
    name: Name
    digest: Digest
    facts: DatasetFacts
    manifest: DatasetManifest


class StagedAnalysis(Value):
    """An earlier analysis: what it was, and its values per example as a file of the scratch folder."""

    file: FileName | None = Field(description="Its arrays; null where it kept none.")
    digest: Digest = Field(description="Of what it was and of its arrays.")
    file_digest: Digest | None
    analysis: Annotated[str, Field(max_length=64)]
    kind: Annotated[str, Field(max_length=64)]
    kind_version: Annotated[int, Field(ge=1), WHOLE]
    parameters: dict[str, JsonValue]
    parameters_digest: Digest
    model_name: Name
    model_version: Annotated[str, Field(max_length=64)]
    model_digest: Digest
    datasets: dict[str, Digest] = Field(description="Role to the canonical digest of what it was measured on.")


class Member(Value):
    """One analysis of a group."""

    id: MemberId
    kind: Annotated[str, Field(max_length=64)]
    kind_version: Annotated[int, Field(ge=1), WHOLE]
    parameters: dict[str, JsonValue]
    digest: Digest


class Analyse(Value):
    """Run a group of analyses of one audit on one model; equal passes are made once."""

    type: Literal["analyse"] = "analyse"
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=64, strict=False)]
    model: StagedModel
    inputs: dict[str, StagedDataset] = Field(description="Role to dataset.")
    analyses: dict[str, StagedAnalysis] = Field(default_factory=dict, description="Role to earlier analysis.")
    device: Annotated[str, Field(pattern=r"^(cpu|cuda:0)$")] = "cpu"
    threads: Annotated[int, Field(ge=1, le=256), WHOLE] = 1
    memory_bytes: Annotated[int, Field(ge=2**20), WHOLE] = Field(
        description="What the engines may use for their chunks."
    )
    sandbox_level: Annotated[str, Field(max_length=32)]

    @property
    def input_digests(self) -> dict[str, str]:
        """What fills each role, by digest."""
        datasets = {role: staged.digest for role, staged in self.inputs.items()}
        return datasets | {role: staged.digest for role, staged in self.analyses.items()}


Job = Annotated[InspectModel | InspectDataset | Analyse, Field(discriminator="type")]
JOB: TypeAdapter[InspectModel | InspectDataset | Analyse] = TypeAdapter(Job)


class ArtifactFile(Value):
    """One file beside `result.json`."""

    file: FileName
    media_type: Literal["image/png", "application/vnd.safetensors", "application/json", "application/zip"]
    title: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class Inspected(Value):
    """The file came in: its manifest and its canonical form."""

    status: Literal["inspected"] = "inspected"
    manifest: ModelManifest | DatasetManifest
    canonical: FileName


class Refused(Value):
    """The file does not come in, and what would make it."""

    status: Literal["refused"] = "refused"
    reason: Reason


class Succeeded(Value):
    """An analysis and everything that is stored of it."""

    status: Literal["succeeded"] = "succeeded"
    kind: Annotated[str, Field(max_length=64)]
    kind_version: Annotated[int, Field(ge=1), WHOLE]
    outcome: dict[str, JsonValue]
    measurements: Annotated[tuple[Measurement, ...], Field(max_length=100_000, strict=False)]
    section: Section
    artifacts: Annotated[tuple[ArtifactFile, ...], Field(max_length=64, strict=False)]
    provenance: Provenance


class Failed(Value):
    """An analysis that could not be done, and why."""

    status: Literal["failed"] = "failed"
    reason: Reason


Result = Annotated[Inspected | Refused | Succeeded | Failed, Field(discriminator="status")]
RESULT: TypeAdapter[Inspected | Refused | Succeeded | Failed] = TypeAdapter(Result)
