"""What becomes of what a child wrote? Checked, kept and written down in one fenced transaction; or refused."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.catalog import Catalog
from service.clock import Clock
from service.contracts.job import Analyse, Failed, InspectDataset, Inspected, InspectModel, Refused, Succeeded
from service.contracts.manifest import ModelManifest
from service.contracts.problem import Reason
from service.settings import Settings
from service.store.blobs import BlobStore, TooLarge
from service.store.database import Database
from service.store.holdings import OverQuota
from service.store.system import system_session
from service.store.tables import Tenant
from service.work import finish
from service.work.claim import Claim
from workers.results import (
    ResultRefused,
    artifact_chunks,
    artifact_size,
    check_success,
    open_canonical,
    read_answer,
)
from workers.sandbox.spec import Level

log = logging.getLogger("lamina.worker")
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Where results of one job are read and where they go."""

    settings: Settings
    database: Database
    blobs: BlobStore
    clock: Clock
    catalog: Catalog
    job: Analyse | InspectModel | InspectDataset
    scratch: Path

    def take_in(self, claim: Claim, *, worker: str, level: Level) -> Reason | None:
        """Store what was written for one claim. Returns why there is nothing to store. Raises LeaseLost."""
        member = str(claim.work_id)
        try:
            result = read_answer(self.scratch, member, self.settings.result_json_bytes)
            match result:
                case Succeeded() if isinstance(self.job, Analyse):
                    self._analysis(claim, result, self.job, worker, level)
                case Inspected() if not isinstance(self.job, Analyse):
                    self._inspection(claim, result, of_model=isinstance(self.job, InspectModel))
                case Refused() if not isinstance(self.job, Analyse):
                    return result.reason
                case Failed():
                    return result.reason
                case _:
                    raise ResultRefused(f"a result of type {result.status!r} does not answer what was asked")
        except ResultRefused as error:
            log.warning("work %s: result refused: %s", member, error)
            return Reason(code="result-refused", detail=f"What the child wrote was refused: {error}.")
        except (OverQuota, TooLarge) as error:
            return Reason(
                code="storage-full",
                detail=f"What this work made cannot be kept: {error}.",
                remedy="Delete what is not needed any more, or have the operator raise LAMINA_TENANT_BYTES.",
            )
        return None

    def _analysis(self, claim: Claim, result: Succeeded, job: Analyse, worker: str, level: Level) -> None:
        member = next(one for one in job.members if one.id == str(claim.work_id))
        check_success(result, member, job.model, job.input_digests, self.catalog.kind(member.kind))
        self._room(claim, sum(artifact_size(self.scratch, member.id, one) for one in result.artifacts))
        stored = {
            one.file: self.blobs.put(
                claim.tenant, artifact_chunks(self.scratch, member.id, one), most=self.settings.child_file_bytes
            )
            for one in result.artifacts
        }
        provenance = result.provenance.model_copy(
            update={"worker": worker, "attempt": claim.attempt, "sandbox_level": level.value}
        )
        with system_session(self.database) as session:
            finish.succeed_analysis(
                session,
                claim,
                result=result,
                stored=stored,
                provenance=provenance,
                now=self.clock.now(),
                settings=self.settings,
            )

    def _inspection(self, claim: Claim, result: Inspected, *, of_model: bool) -> None:
        if isinstance(result.manifest, ModelManifest) is not of_model:
            raise ResultRefused("a manifest of a model for a dataset, or of a dataset for a model")
        with open_canonical(self.scratch, str(claim.work_id), result.canonical) as file:
            size, found = 0, hashlib.sha256()
            for chunk in _chunks(file):
                size += len(chunk)
                found.update(chunk)
            self._same(f"sha256:{found.hexdigest()}", result)
            self._room(claim, size)
            file.seek(0)
            stored = self.blobs.put(claim.tenant, _chunks(file), most=self.settings.child_file_bytes)
        self._same(stored.digest, result)  # the child still lives, and may have written meanwhile
        with system_session(self.database) as session:
            finish.succeed_inspection(
                session,
                claim,
                manifest=result.manifest,
                canonical=stored,
                now=self.clock.now(),
                settings=self.settings,
                catalog=self.catalog,
            )

    @staticmethod
    def _same(digest: str, result: Inspected) -> None:
        if digest != result.manifest.canonical_digest:
            raise ResultRefused(f"the canonical form is {digest}, not {result.manifest.canonical_digest}")

    def _room(self, claim: Claim, size: int) -> None:
        """Before bytes go to disk that no row would count; the transaction counts again, under the tenant's lock."""
        with system_session(self.database, writes=False) as session:
            held = session.get_one(Tenant, claim.tenant).stored_bytes
        if held + size > self.settings.tenant_bytes:
            raise OverQuota(f"{size} more bytes are over the {self.settings.tenant_bytes} this tenant may store")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
