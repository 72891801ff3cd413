"""A small world for tests of work: one network, one table of data, one kind of analysis, and idle workers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import select

from service.catalog import Catalog
from service.clock import FixedClock
from service.contracts.api import (
    AnalysisSubmission,
    AuditSubmission,
    DatasetSubmission,
    InputSubmission,
    ModelSubmission,
)
from service.contracts.base import digest_of
from service.contracts.facts import Bounds, DatasetFacts, InputFacts, ModelFacts, OutputFacts
from service.contracts.job import ArtifactFile, Succeeded
from service.contracts.manifest import DatasetManifest, ModelManifest, TensorSpec
from service.contracts.outcome import Measurement
from service.contracts.provenance import Machine, Provenance
from service.contracts.section import Section
from service.settings import Settings
from service.store.blobs import Stored
from service.store.database import Database
from service.store.holdings import hold
from service.store.system import system_session
from service.store.tables import Model, Work
from service.work import audits, claim, finish, intake

LEASE = timedelta(seconds=30)
KIND: dict[str, Any] = {
    "version": 1,
    "family": "conductance",
    "title": "Layer conductance",
    "question": "How much flows through each layer?",
    "source": "arXiv:1805.12233",
    "queue": "cpu",
    "roles": ["evaluation"],
    "metrics": ["layer_total"],
    "controls": [],
    "parameters": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "steps": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
            "rule": {"enum": ["trapezoid", "captum"], "default": "trapezoid"},
            "scale": {"type": "number", "minimum": 0, "default": 1.0},
        },
    },
    "outcome": {"type": "object"},
}
CATALOG = Catalog({"layer_conductance": KIND, "other_kind": {**KIND, "roles": ["evaluation", "background"]}})
FEATURES = InputFacts(kind="table", layout="NF", shape=(2,), bounds=Bounds(low=(0.0,), high=(1.0,)))
MODEL_FACTS = ModelFacts(
    task="classification", input=FEATURES, output=OutputFacts(kind="logits", classes=("no", "yes"))
)
DATASET_FACTS = DatasetFacts(input=FEATURES, classes=("no", "yes"))
TENSOR = TensorSpec(name="inputs", dtype="float32", shape=("N", "2"))


def stored(content: str) -> Stored:
    """What a blob store would say of some bytes; these tests keep none."""
    return Stored(digest_of(content.encode()), len(content))


def model_manifest(canonical: Stored) -> ModelManifest:
    return ModelManifest(
        format="pt2",
        rewriter="rewriter 1",
        canonical_digest=canonical.digest,
        torch_version="2.13.0",
        batch=None,
        parameters=6,
        inputs=(TENSOR,),
        outputs=(TENSOR,),
        layers=(),
    )


def dataset_manifest(canonical: Stored) -> DatasetManifest:
    return DatasetManifest(
        format="npz",
        rewriter="rewriter 1",
        canonical_digest=canonical.digest,
        examples=3,
        inputs=TENSOR,
        labels=None,
        low=0.0,
        high=1.0,
    )


def provenance() -> Provenance:
    return Provenance(
        analysis_digest=digest_of(b"analysis"),
        kind="layer_conductance",
        kind_version=1,
        model_digest=digest_of(b"model"),
        input_digests={},
        seed="0" * 16,
        plan={},
        deterministic=True,
        machine=Machine(
            device="cpu", device_name="cpu", cpu_capability="AVX2", threads=1, platform="l", python="3.11", versions={}
        ),
        sandbox_level="full",
        seconds=0.1,
    )


def result(*points: Measurement, files: tuple[str, ...] = (), kind: str = "layer_conductance") -> Succeeded:
    return Succeeded(
        kind=kind,
        kind_version=1,
        outcome={"answer": 42},
        measurements=points,
        section=Section(title="Layers", question="?", answer="Yes.", blocks=(), source="none"),
        artifacts=tuple(ArtifactFile(file=name, media_type="application/json") for name in files),
        provenance=provenance(),
    )


@dataclass
class World:
    """One tenant's desk, and whatever workers it pleases."""

    database: Database
    clock: FixedClock
    tenant: UUID
    principal: UUID
    settings: Settings = field(default_factory=Settings)
    catalog: Catalog = CATALOG

    def hold(self, content: str) -> Stored:
        """Upload some bytes."""
        kept = stored(content)
        with self.database.session(self.tenant) as session:
            hold(
                session,
                tenant=self.tenant,
                principal=self.principal,
                stored=kept,
                most_bytes=self.settings.tenant_bytes,
                now=self.clock.now(),
            )
        return kept

    def model(self, name: str = "net", version: str = "1", follows: UUID | None = None) -> UUID:
        """Register a model."""
        blob = self.hold(f"model {name} {version}")
        wanted = ModelSubmission(name=name, version=version, blob=blob.digest, facts=MODEL_FACTS, follows=follows)
        with self.database.session(self.tenant) as session:
            return intake.register_model(session, wanted, **self._who(), settings=self.settings).id

    def dataset(self, name: str = "table", version: str = "1") -> UUID:
        """Register a dataset."""
        blob = self.hold(f"dataset {name} {version}")
        wanted = DatasetSubmission(name=name, version=version, blob=blob.digest, facts=DATASET_FACTS)
        with self.database.session(self.tenant) as session:
            return intake.register_dataset(session, wanted, **self._who(), settings=self.settings).id

    def audit(
        self,
        model: UUID,
        dataset: UUID,
        analyses: int = 1,
        parameters: dict[str, JsonValue] | None = None,
        kind: str = "layer_conductance",
    ) -> UUID:
        """Ask for an audit."""
        wanted = AuditSubmission(
            model=model,
            inputs={"evaluation": InputSubmission(dataset=dataset)},
            analyses=tuple(AnalysisSubmission(kind=kind, parameters=parameters or {}) for _ in range(analyses)),
        )
        return self.submit(wanted)

    def submit(self, wanted: AuditSubmission) -> UUID:
        with self.database.session(self.tenant) as session:
            return audits.submit(session, wanted, **self._who(), catalog=self.catalog, settings=self.settings).id

    def cancel(self, audit: UUID) -> None:
        with self.database.session(self.tenant) as session:
            audits.cancel(session, audit, actor=self.principal, now=self.clock.now())

    def ready_pair(self) -> tuple[UUID, UUID]:
        """A model and a dataset that have been inspected."""
        model, dataset = self.model(), self.dataset()
        self.inspect(model)
        self.inspect(dataset)
        return model, dataset

    def inspect(self, subject: UUID, content: str = "") -> None:
        """Inspect a model or dataset and find nothing wrong with it."""
        held = self.claim_subject(subject)
        assert held is not None
        self.inspected(held, content)

    def inspected(self, held: claim.Claim, content: str = "") -> None:
        canonical = stored(f"canonical {held.subject_id} {content}")
        with system_session(self.database) as session:
            is_model = session.get(Model, held.subject_id) is not None
            manifest = model_manifest(canonical) if is_model else dataset_manifest(canonical)
            finish.succeed_inspection(
                session,
                held,
                manifest=manifest,
                canonical=canonical,
                now=self.clock.now(),
                settings=self.settings,
                catalog=self.catalog,
            )

    def claim_subject(self, subject: UUID, owner: str = "w") -> claim.Claim | None:
        """Claim the work that is about a model, dataset, analysis or (for its report) audit."""
        with system_session(self.database) as session:
            found = session.scalars(select(Work.id).where(Work.subject_id == subject)).one()
            return claim.claim(session, found, owner=owner, now=self.clock.now(), lease=LEASE)

    def succeed(self, held: claim.Claim, *points: Measurement, files: tuple[str, ...] = ()) -> None:
        with system_session(self.database) as session:
            finish.succeed_analysis(
                session,
                held,
                result=result(*points, files=files),
                stored={name: stored(name) for name in files},
                provenance=provenance(),
                now=self.clock.now(),
                settings=self.settings,
            )

    def _who(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "principal": self.principal, "now": self.clock.now()}
