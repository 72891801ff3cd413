"""Another tenant's things do not exist: over every endpoint with an id, with the very text of an unknown id."""

import json
from typing import Any
from uuid import UUID

import pytest

from service.contracts.outcome import Measurement
from service.http.endpoint import Endpoint
from service.http.examples import EXAMPLES
from service.http.resources import RESOURCES
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, ApiKey, Artifact
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem, sent
from tests.service.http.conftest import MakeAsker
from tests.service.work.world import World

BY_ID = [
    endpoint
    for resource in RESOURCES
    for endpoint in resource.endpoints
    if endpoint.parameters and resource.tag != "kinds"
]
LOG = ("get_log_head", "get_inclusion_proof", "get_consistency_proof")
OF_A_MODEL = ("list_series", "read_buckets", "read_rollup", "compare_versions", "list_regressions")
LISTS = [
    endpoint
    for resource in RESOURCES
    for endpoint in resource.endpoints
    if endpoint.method == "GET" and endpoint.path.startswith("/v1/") and not endpoint.parameters
    if endpoint.name not in ("list_kinds", "list_controls", "whoami", *LOG, *OF_A_MODEL)
]
MADE_LATER = ("/report", "/file", "/export", "/revisions", "/replay")
UNKNOWN_DIGEST = "sha256:" + "0" * 64
Ids = dict[str, str]


@pytest.fixture
def ids(ask: Asker, make_asker: MakeAsker, world: World, database: Database) -> Ids:
    """One id of everything the asker's tenant has, by what it is."""
    model, dataset = world.ready_pair()
    audit = UUID(bodies.made(ask.post("/v1/audits", bodies.audit(model, dataset))))
    with system_session(database) as session:
        analysis = session.query(Analysis.id).filter_by(audit_id=audit).scalar()
        key = session.query(ApiKey.id).filter_by(tenant=ask.tenant).scalar()
    held = world.claim_subject(analysis)
    assert held is not None
    world.succeed(held, Measurement(metric="layer_total", layer="a", value=1.0, n=3), files=("arrays.json",))
    with system_session(database) as session:
        artifact = session.query(Artifact.id).filter_by(audit_id=audit).scalar()
    normal = {"model_name": "net", "audit": str(audit), "reason": "read by others"}
    found = {"model": model, "dataset": dataset, "audit": audit, "analysis": analysis, "artifact": artifact}
    later = {"expires_at": "2026-05-01T00:00:00Z"}
    month = {"model_name": "net", "window_from": "2026-02-01T00:00:00Z", "window_to": "2026-03-01T00:00:00Z"}
    return {
        **{what: str(value) for what, value in found.items()},
        "policy": bodies.made(ask.post("/v1/policies", EXAMPLES["create_policy"]), 201),
        "waiver": bodies.made(ask.post("/v1/waivers", EXAMPLES["create_waiver"]), 201),
        "attestation": bodies.made(ask.post("/v1/attestations", EXAMPLES["create_attestation"] | later), 201),
        "baseline": bodies.made(make_asker(ask.tenant, "carol").post("/v1/baselines", normal), 201),
        "legal hold": bodies.made(ask.post("/v1/holds", {"audit": str(audit), "reason": "a claim"}), 201),
        "schedule": bodies.made(ask.post("/v1/schedules", EXAMPLES["create_schedule"]), 201),
        "webhook": (hook := bodies.made(ask.post("/v1/webhooks", EXAMPLES["create_webhook"]), 201)),
        "mail recipient": bodies.made(ask.post("/v1/mail-recipients", EXAMPLES["create_recipient"]), 201),
        "delivery": (message := bodies.made(ask.send("POST", f"/v1/webhooks/{hook}/test"))),
        "alert": str(sent(ask.get(f"/v1/deliveries/{message}"))["alert"]),
        "compliance report": bodies.made(ask.post("/v1/compliance-reports", month)),
        "blob": bodies.upload(ask, "weights"),
        "principal": str(ask.principal),
        "key": str(key),
    }


def path_of(endpoint: Endpoint, value: str) -> str:
    (parameter,) = endpoint.parameters
    return endpoint.path.replace(f"{{{parameter.name}}}", value)


def body_of(endpoint: Endpoint) -> dict[str, Any]:
    """A body that is right in itself, so that only the id can be wrong."""
    if not endpoint.takes_json:
        return {}
    return {"data": json.dumps(EXAMPLES[endpoint.name]), "content_type": "application/json"}


@pytest.mark.parametrize("endpoint", BY_ID, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_anothers_id_reads_like_an_unknown_one(endpoint: Endpoint, stranger: Asker, ask: Asker, ids: Ids) -> None:
    what = endpoint.parameters[0].what
    unknown = UNKNOWN_DIGEST if what == "blob" else str(NOBODYS)
    sent: dict[str, Any] = {"headers": {"Accept": "text/html"}, **body_of(endpoint)}

    theirs = problem(stranger.send(endpoint.method, path_of(endpoint, ids[what]), **sent), "not-found")
    nobodys = problem(stranger.send(endpoint.method, path_of(endpoint, unknown), **sent), "not-found")

    assert theirs.model_copy(update={"request_id": ""}) == nobodys.model_copy(update={"request_id": ""})
    if what not in ("artifact", "key") and not endpoint.takes_json and not endpoint.path.endswith(MADE_LATER):
        assert ask.send(endpoint.method, path_of(endpoint, ids[what])).status_code in (200, 202)


@pytest.mark.parametrize("endpoint", BY_ID, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_what_is_no_id_reads_like_an_unknown_one(endpoint: Endpoint, ask: Asker) -> None:
    for value in ("0", "x" * 300, "..", "%2e%2e%2f", "{}", str(NOBODYS)[:-1], "{" + str(NOBODYS) + "}", "%00"):
        sent: dict[str, Any] = {"headers": {"Accept": "text/html"}, **body_of(endpoint)}
        answer = ask.send(endpoint.method, path_of(endpoint, value), **sent)
        assert answer.status_code == 404, (value, answer.text)
        problem(answer, "not-found")


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.path)
def test_lists_show_nothing_of_another_tenant(endpoint: Endpoint, stranger: Asker, ask: Asker, ids: Ids) -> None:
    mine, theirs = stranger.get(endpoint.path), ask.get(endpoint.path)

    assert theirs.json is not None
    assert theirs.json["items"] != []
    for value in (*ids.values(), str(ask.tenant)):
        assert value not in mine.text


def test_every_endpoint_under_v1_needs_a_key(nobody: Asker) -> None:
    for resource in RESOURCES:
        for endpoint in resource.endpoints:
            if endpoint.path.startswith("/v1/"):
                value = UNKNOWN_DIGEST if "digest" in endpoint.path else str(NOBODYS)
                path = path_of(endpoint, value) if endpoint.parameters else endpoint.path
                problem(nobody.send(endpoint.method, path), "unauthenticated")
