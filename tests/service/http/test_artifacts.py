import hashlib
from uuid import UUID

import pytest
from sqlalchemy import update

from service.store.base import new_id
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.tables import Artifact, Blob
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8192


@pytest.fixture
def artifact(ask: Asker, world: World, blobs: BlobStore, database: Database) -> UUID:
    """A stored picture of 2 MiB with a name that needs care."""
    audit = UUID(bodies.made(ask.post("/v1/audits", bodies.audit(*world.ready_pair()))))
    stored = blobs.put(ask.tenant, [CONTENT], most=len(CONTENT))
    row = Artifact(
        id=new_id(),
        tenant=ask.tenant,
        created_by=ask.principal,
        created_at=world.clock.now(),
        audit_id=audit,
        name='over "lay"; x=1\u2028.png',
        title="Overlay",
        media_type="image/png",
        digest=stored.digest,
        size=stored.size,
    )
    with database.session(ask.tenant) as session:
        session.add(row)
    return row.id


def test_an_artifact_comes_back_byte_by_byte(ask: Asker, artifact: UUID) -> None:
    answer = ask.get(f"/v1/artifacts/{artifact}")

    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == f'"sha256:{hashlib.sha256(CONTENT).hexdigest()}"'


def test_an_artifact_is_an_attachment_that_no_browser_runs(ask: Asker, artifact: UUID) -> None:
    headers = ask.get(f"/v1/artifacts/{artifact}").headers

    name = "over%20%22lay%22%3B%20x%3D1%E2%80%A8.png"
    assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_an_artifact_held_already_is_not_sent_again(ask: Asker, artifact: UUID) -> None:
    first = ask.get(f"/v1/artifacts/{artifact}")

    again = ask.get(f"/v1/artifacts/{artifact}", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_an_artifact_whose_bytes_are_gone_is_our_fault(ask: Asker, artifact: UUID, blobs: BlobStore) -> None:
    blobs.delete(ask.tenant, "sha256:" + hashlib.sha256(CONTENT).hexdigest())

    problem(ask.get(f"/v1/artifacts/{artifact}"), "internal")


def test_an_artifact_given_up_under_retention_says_so(ask: Asker, world: World, database: Database) -> None:
    model, dataset = world.ready_pair()
    audit = world.audit(model, dataset, kind="layer_conductance")
    digest = world.hold("arrays").digest
    row = Artifact(
        id=new_id(),
        tenant=ask.tenant,
        created_by=ask.principal,
        created_at=world.clock.now(),
        audit_id=audit,
        name="arrays.json",
        media_type="application/json",
        digest=digest,
        size=6,
    )
    with database.session(ask.tenant) as session:
        session.add(row)
        session.execute(update(Blob).where(Blob.digest == digest).values(deleted_at=world.clock.now()))

    refused = problem(ask.get(f"/v1/artifacts/{row.id}"), "gone")

    assert refused.detail == f"Its bytes were given up on 2026-03-01, when their time was over: {digest}."


def test_an_unknown_artifact_is_not_found(ask: Asker) -> None:
    problem(ask.get(f"/v1/artifacts/{NOBODYS}"), "not-found")
