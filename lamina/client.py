"""How does Python talk to Lamina? Typed calls on the HTTP API; every value is one of `service.contracts.api`."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID, uuid4

from pydantic import JsonValue

from lamina.client_alerts import AlertCalls
from lamina.client_calls import DeadlinePassed
from lamina.client_compliance import ComplianceCalls
from lamina.home import address
from lamina.transport import ApiProblem, ClientError, NotOurs, Unreachable
from service.contracts.api import (
    AnalysisDetail,
    AnalysisSubmission,
    ArtifactView,
    AuditSubmission,
    AuditView,
    BlobView,
    DatasetSubmission,
    DatasetView,
    InputSubmission,
    KeyMade,
    KeySubmission,
    KeyView,
    KindView,
    MeasurementView,
    ModelSubmission,
    ModelView,
    Page,
    PrincipalSubmission,
    PrincipalView,
    Readiness,
    Scope,
    Whoami,
)
from service.contracts.exceptions import (
    AttestationSubmission,
    AttestationView,
    WaiverDecision,
    WaiverSubmission,
    WaiverView,
)
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.policies import ControlsInForce, PolicyContent, PolicySubmission, PolicyView
from service.contracts.status import AuditState, IntakeState

__all__ = ["ApiProblem", "ArtifactDamaged", "Client", "ClientError", "DeadlinePassed", "NotOurs", "Unreachable"]

CHUNK_BYTES = 1 << 20
DEADLINE_SECONDS = 3600.0
CLOSED = frozenset({AuditState.FINISHED, AuditState.CANCELLED})
READ = frozenset({IntakeState.READY, IntakeState.REFUSED})


class ArtifactDamaged(ClientError):
    """Bytes came whose digest is not the one the service names."""


class Client(AlertCalls, ComplianceCalls):
    """One service, seen with one key. A context manager; not shared between threads."""

    @classmethod
    def from_home(cls, home: Path | None = None, *, timeout: float = 30.0) -> Self:
        """With LAMINA_URL and LAMINA_API_KEY, or what `lamina up` wrote into its home folder.

        Raises `lamina.home.NotConfigured`.
        """
        found = address(home)
        return cls(found.url, found.key, timeout=timeout)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._transport.url

    def close(self) -> None:
        """Give back the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Bytes

    def upload(self, path: Path | str, on_progress: Callable[[int, int], None] | None = None) -> BlobView:
        """Store a file; bytes the service already holds for us are not sent again.

        `on_progress` is told the bytes sent and their total, in bytes.
        """
        file = Path(path)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
        size = file.stat().st_size
        tell = on_progress or (lambda _sent, _total: None)
        held = self._transport.send("GET", f"/v1/blobs/sha256:{digest.hex()}", fine=frozenset({404}))
        if held.is_success:
            tell(size, size)
            return self._value(BlobView, held)

        def chunks() -> Iterator[bytes]:
            sent = 0
            tell(sent, size)
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    yield chunk
                    sent += len(chunk)
                    tell(sent, size)

        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
        }
        # The address of a blob is its content: storing it twice is storing it once.
        return self._value(BlobView, self._transport.send("POST", "/v1/blobs", headers=headers, body=chunks))

    def artifact(self, artifact: ArtifactView) -> bytes:
        """The bytes of an artifact, checked against its digest. Raises `ArtifactDamaged`."""
        content = self._transport.send("GET", f"/v1/artifacts/{artifact.id}").content
        found = "sha256:" + hashlib.sha256(content).hexdigest()
        if found != artifact.digest:
            raise ArtifactDamaged(f"artifact {artifact.name} should be {artifact.digest}, and came as {found}")
        return content

    # Models, datasets, kinds

    def register_model(
        self, *, name: str, version: str, blob: str, facts: ModelFacts, follows: UUID | None = None
    ) -> ModelView:
        """Name an uploaded file as a version of a model; it is inspected next (`wait_for_model`)."""
        submission = ModelSubmission(name=name, version=version, blob=blob, facts=facts, follows=follows)
        return self._post(ModelView, "/v1/models", submission, key=str(uuid4()))

    def register_dataset(self, *, name: str, blob: str, facts: DatasetFacts, version: str = "1") -> DatasetView:
        """Name an uploaded file as a version of a dataset; it is inspected next (`wait_for_dataset`)."""
        submission = DatasetSubmission(name=name, version=version, blob=blob, facts=facts)
        return self._post(DatasetView, "/v1/datasets", submission, key=str(uuid4()))

    def model(self, model: UUID) -> ModelView:
        """One version of a model."""
        return self._get(ModelView, f"/v1/models/{model}")

    def models(self, *, name: str | None = None) -> Iterator[ModelView]:
        """Every version of every model, or of the one called `name`, newest first."""
        return self._pages(Page[ModelView], "/v1/models", {"name": name})

    def inspection(self, model: UUID, inspection_format: Literal["html", "json"] = "html") -> bytes:
        """What inspection says of a model: a page that needs nothing else, or its values as JSON."""
        path = f"/v1/models/{model}/inspection"
        return self._transport.send("GET", path, params={"format": inspection_format}).content

    def dataset(self, dataset: UUID) -> DatasetView:
        """One version of a dataset."""
        return self._get(DatasetView, f"/v1/datasets/{dataset}")

    def datasets(self, *, name: str | None = None) -> Iterator[DatasetView]:
        """Every version of every dataset, or of the one called `name`, newest first."""
        return self._pages(Page[DatasetView], "/v1/datasets", {"name": name})

    def wait_for_model(self, model: UUID, *, deadline: float = 300.0) -> ModelView:
        """The model once it is ready or refused. Raises `DeadlinePassed` after `deadline` seconds."""
        return self._wait(lambda: self.model(model), lambda view: view.state in READ, f"model {model}", deadline)

    def wait_for_dataset(self, dataset: UUID, *, deadline: float = 300.0) -> DatasetView:
        """The dataset once it is ready or refused. Raises `DeadlinePassed` after `deadline` seconds."""
        return self._wait(
            lambda: self.dataset(dataset), lambda view: view.state in READ, f"dataset {dataset}", deadline
        )

    def kinds(self) -> Iterator[KindView]:
        """Every analysis kind the service can run."""
        return self._pages(Page[KindView], "/v1/kinds")

    def kind(self, name: str) -> KindView:
        """One analysis kind, with the schema of its parameters."""
        return self._get(KindView, f"/v1/kinds/{name}")

    # Audits

    def submit_audit(
        self,
        *,
        model: UUID,
        analyses: Mapping[str, Mapping[str, JsonValue]],
        inputs: Mapping[str, UUID],
        title: str = "audit",
        idempotency_key: str | None = None,
    ) -> AuditView:
        """Ask for analyses (kind to parameters) of a model on datasets by role.

        Tried again safely: every call carries an Idempotency-Key, made here unless given. For two analyses of the same
        kind, build an `AuditSubmission` and use `submit`.
        """
        submission = AuditSubmission(
            title=title,
            model=model,
            inputs={role: InputSubmission(dataset=dataset) for role, dataset in inputs.items()},
            analyses=tuple(
                AnalysisSubmission(kind=kind, parameters=dict(parameters)) for kind, parameters in analyses.items()
            ),
        )
        return self.submit(submission, idempotency_key=idempotency_key)

    def submit(self, submission: AuditSubmission, *, idempotency_key: str | None = None) -> AuditView:
        """Ask for an audit as the API words it."""
        return self._post(AuditView, "/v1/audits", submission, key=idempotency_key or str(uuid4()))

    def audit(self, audit: UUID) -> AuditView:
        """How far an audit is."""
        return self._get(AuditView, f"/v1/audits/{audit}")

    def audits(self, *, state: AuditState | None = None, model: UUID | None = None) -> Iterator[AuditView]:
        """Audits, newest first."""
        return self._pages(Page[AuditView], "/v1/audits", {"state": state, "model": model})

    def wait(
        self,
        audit: UUID,
        *,
        on_progress: Callable[[AuditView], None] | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> AuditView:
        """The audit once it is finished or cancelled; `on_progress` sees it at every look.

        Raises `DeadlinePassed` after `deadline` seconds; the audit goes on.
        """
        return self._wait(
            lambda: self.audit(audit), lambda view: view.state in CLOSED, f"audit {audit}", deadline, on_progress
        )

    def cancel(self, audit: UUID) -> AuditView:
        """Ask for an audit to stop; what is already computed is kept."""
        return self._value(AuditView, self._transport.send("DELETE", f"/v1/audits/{audit}"))

    def analysis(self, analysis: UUID) -> AnalysisDetail:
        """One analysis with its outcome, section, provenance and artifacts."""
        return self._get(AnalysisDetail, f"/v1/analyses/{analysis}")

    def report(self, audit: UUID, report_format: Literal["html", "json"] = "html", *, deadline: float = 120.0) -> bytes:
        """The audit's report, as soon as it is drawn. Raises `DeadlinePassed` after `deadline` seconds."""
        until = time.monotonic() + deadline
        while True:
            try:
                path = f"/v1/audits/{audit}/report"
                return self._transport.send("GET", path, params={"format": report_format}).content
            except ApiProblem as problem:
                if problem.slug != "report-not-ready" or problem.retry_after is None:
                    raise  # without Retry-After it failed to be drawn, and asking again will not help
                pause = problem.retry_after
                if time.monotonic() + pause > until:
                    raise DeadlinePassed(f"the report of audit {audit} was not ready in {deadline:g} s") from problem
            self._sleep(pause)

    def measurements(
        self,
        *,
        model_name: str | None = None,
        model_version: str | None = None,
        kind: str | None = None,
        metric: str | None = None,
        layer: str | None = None,
        series_key: str | None = None,
        audit: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
    ) -> Iterator[MeasurementView]:
        """Points of history that match, page after page; `limit` is the size of a page, not of the whole."""
        asked = {
            "model_name": model_name,
            "model_version": model_version,
            "kind": kind,
            "metric": metric,
            "layer": layer,
            "series_key": series_key,
            "audit": audit,
            "since": None if since is None else since.isoformat(),
            "until": None if until is None else until.isoformat(),
            "order": order,
            "limit": limit,
        }
        return self._pages(Page[MeasurementView], "/v1/measurements", asked)

    # Controls, policies, exceptions, statements

    def controls(self, *, policy: str | None = None) -> ControlsInForce:
        """Every control as it is assessed: under the newest revision of a policy, or as the library has it."""
        asked = {} if policy is None else {"policy": policy}
        return self._value(ControlsInForce, self._transport.send("GET", "/v1/controls", params=asked))

    def make_policy(self, name: str, content: PolicyContent) -> PolicyView:
        """A new policy, or the next revision of the one of this name."""
        return self._post(PolicyView, "/v1/policies", PolicySubmission(name=name, content=content), key=str(uuid4()))

    def policies(self, *, name: str | None = None) -> Iterator[PolicyView]:
        """Revisions of policies, newest first."""
        return self._pages(Page[PolicyView], "/v1/policies", {"name": name})

    def ask_for_waiver(self, submission: WaiverSubmission) -> WaiverView:
        """Ask for an exception; another person decides on it."""
        return self._post(WaiverView, "/v1/waivers", submission, key=str(uuid4()))

    def decide_on_waiver(self, waiver: UUID, decision: Literal["granted", "refused"], comment: str = "") -> WaiverView:
        """Grant or refuse an exception that somebody else asked for."""
        wanted = WaiverDecision(decision=decision, comment=comment)
        return self._post(WaiverView, f"/v1/waivers/{waiver}/decision", wanted, key=str(uuid4()))

    def withdraw_waiver(self, waiver: UUID) -> WaiverView:
        """End an exception before its time."""
        return self._value(WaiverView, self._transport.send("POST", f"/v1/waivers/{waiver}/withdrawal"))

    def waivers(self, *, control: str | None = None, model_name: str | None = None) -> Iterator[WaiverView]:
        """Exceptions, newest first."""
        return self._pages(Page[WaiverView], "/v1/waivers", {"control": control, "model_name": model_name})

    def attest(self, submission: AttestationSubmission) -> AttestationView:
        """State something of a control, as the person whose key this is."""
        return self._post(AttestationView, "/v1/attestations", submission, key=str(uuid4()))

    def withdraw_attestation(self, attestation: UUID) -> AttestationView:
        """Take one's own statement back."""
        return self._value(AttestationView, self._transport.send("POST", f"/v1/attestations/{attestation}/withdrawal"))

    def attestations(self, *, control: str | None = None, model_name: str | None = None) -> Iterator[AttestationView]:
        """Statements, newest first."""
        return self._pages(Page[AttestationView], "/v1/attestations", {"control": control, "model_name": model_name})

    # Principals, keys, the service itself

    def principals(self) -> Iterator[PrincipalView]:
        """The principals of our tenant (scope admin)."""
        return self._pages(Page[PrincipalView], "/v1/principals")

    def make_principal(self, name: str, kind: Literal["person", "service"] = "service") -> PrincipalView:
        """Make a principal (scope admin)."""
        return self._post(PrincipalView, "/v1/principals", PrincipalSubmission(name=name, kind=kind))

    def keys(self) -> Iterator[KeyView]:
        """The keys of our tenant, without their secrets (scope admin)."""
        return self._pages(Page[KeyView], "/v1/keys")

    def make_key(
        self, principal: UUID, *, label: str = "key", scopes: tuple[Scope, ...] = ("read", "submit"), days: int = 365
    ) -> KeyMade:
        """Make a key for a principal (scope admin); its secret is shown this once."""
        submission = KeySubmission(principal=principal, label=label, scopes=scopes, days=days)
        return self._post(KeyMade, "/v1/keys", submission)

    def revoke_key(self, key: UUID) -> None:
        """End a key (scope admin)."""
        self._transport.send("DELETE", f"/v1/keys/{key}")

    def whoami(self) -> Whoami:
        """Whom our key speaks for."""
        return self._get(Whoami, "/v1/whoami")

    def ready(self) -> Readiness:
        """Whether the service can serve, and what is degraded; also when it cannot."""
        return self._value(Readiness, self._transport.send("GET", "/readyz", fine=frozenset({503})))
