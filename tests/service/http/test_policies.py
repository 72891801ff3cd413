from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service.compliance.load import shipped
from service.contracts.base import digest_of_value
from service.contracts.policies import PolicyContent
from service.store.database import Database
from service.store.ledger import evidence_digest, evidence_key
from service.store.system import system_session
from service.store.tables import Event
from service.store.tables_compliance import Policy
from tests.service.http.asking import Asker, problem, sent

OWN: dict[str, Any] = {
    "id": "ORG-01",
    "title": "Answers of the credit model repeat",
    "meaning": "A customer who asks twice must not be told two things.",
    "guard": "REP-01",
    "references": ["NIST.MS-2.5"],
    "requirements": [
        {
            "source": "measurement",
            "metric": "seed_ranks",
            "op": ">=",
            "threshold": 0.95,
            "rule": "ci",
            "n": 100,
            "fresh": 30,
            "basis": "O",
        }
    ],
}
OVERRIDE: dict[str, Any] = {"control": "XAI-06", "threshold": 0.9, "owner": "risk", "reason": "customers compare them"}


def post(ask: Asker, content: dict[str, Any], name: str = "credit") -> Any:
    return ask.post("/v1/policies", {"name": name, "content": content})


def test_revisions_are_added_and_never_changed(ask: Asker) -> None:
    answer = post(ask, {"overrides": [OVERRIDE]})
    first, second = sent(answer, 201), sent(post(ask, {"tier": "low"}), 201)

    assert (first["revision"], second["revision"]) == (1, 2)
    assert ask.get(answer.headers["Location"]).json == first
    assert sent(post(ask, {}, "other"), 201)["revision"] == 1
    listed = sent(ask.get("/v1/policies?name=credit"))
    assert [item["revision"] for item in listed["items"]] == [2, 1]


def test_the_library_is_pinned_and_the_digest_is_of_the_content(ask: Asker) -> None:
    made = sent(post(ask, {"overrides": [OVERRIDE]}), 201)

    assert made["library"] == made["content"]["library"] == shipped().name
    assert made["digest"] == digest_of_value(made["content"])
    content = PolicyContent.model_validate(made["content"])
    assert content.digest == made["digest"]


def test_a_policy_is_in_the_log_bound_to_its_row(ask: Asker, database: Database) -> None:
    made = sent(post(ask, {}), 201)

    with system_session(database) as session:
        (noted,) = session.scalars(select(Event).where(Event.subject_id == UUID(made["id"])))
        row = session.get_one(Policy, UUID(made["id"]))
        assert noted.action == "made"
        assert noted.detail["evidence"] == {evidence_key(row): evidence_digest(row)}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"library": "lamina-core 2020.1.0"}, "/content/library"),
    ({"frameworks": ["DOGS"]}, "/content/frameworks/0"),
    ({"tier": "huge"}, "/content/tier"),
    ({"overrides": [{**OVERRIDE, "control": "XAI-99"}]}, "/content/overrides/0/control"),
    ({"overrides": [{**OVERRIDE, "requirement": 2}]}, "/content/overrides/0/requirement"),
    ({"overrides": [{**OVERRIDE, "threshold": 1.5}]}, "/content/overrides/0/threshold"),
    ({"overrides": [{**OVERRIDE, "threshold": -1}]}, "/content/overrides/0/threshold"),
    ({"overrides": [{**OVERRIDE, "threshold": None}]}, "/content/overrides/0"),
    ({"overrides": [OVERRIDE, OVERRIDE]}, "/content/overrides/1"),
    ({"overrides": [{**OVERRIDE, "owner": ""}]}, "/content/overrides/0/owner"),
    ({"overrides": [{**OVERRIDE, "reason": "so"}]}, "/content/overrides/0/reason"),
    ({"overrides": [{**OVERRIDE, "fresh": 0}]}, "/content/overrides/0/fresh"),
    ({"owners": {"XAI-99": "risk"}}, "/content/owners/XAI-99"),
    ({"controls": [{**OWN, "id": "XAI-99"}]}, "/content/controls/0/id"),
    ({"controls": [OWN, OWN]}, "/content/controls/0"),
    ({"controls": [{**OWN, "guard": "ORG-02"}]}, "/content/controls/0"),
    ({"controls": [{**OWN, "references": ["NIST.NO-1"]}]}, "/content/controls/0"),
    ({"controls": [{**OWN, "applies": "family dogs"}]}, "/content/controls/0"),
    (
        {"controls": [{**OWN, "requirements": [{**OWN["requirements"][0], "metric": "happiness"}]}]},
        "/content/controls/0/requirements/0",
    ),
    (
        {"controls": [OWN], "overrides": [{**OVERRIDE, "control": "ORG-01"}]},
        "/content/overrides/0/control",
    ),
]


@pytest.mark.parametrize(("content", "pointer"), BAD, ids=[pointer for _, pointer in BAD])
def test_what_cannot_be_assessed_is_refused_at_its_place(ask: Asker, content: dict[str, Any], pointer: str) -> None:
    found = problem(post(ask, content), "invalid")

    assert pointer in {fault.pointer for fault in found.errors}, found.errors
    assert sent(ask.get("/v1/policies"))["items"] == []


def test_the_library_as_shipped_is_in_force_without_a_policy(ask: Asker) -> None:
    shown = sent(ask.get("/v1/controls"))

    assert (shown["library"], shown["policy"], len(shown["controls"])) == (shipped().name, "", 35)
    assert not any(each["own"] or each["overrides"] for each in shown["controls"])
    assert "claim" in shown["disclaimer"] or "conformity" in shown["disclaimer"]


def test_every_change_of_a_policy_is_visible(ask: Asker) -> None:
    sent(post(ask, {"overrides": [OVERRIDE], "controls": [OWN], "owners": {"ROB-01": "Security"}}), 201)

    shown = sent(ask.get("/v1/controls?policy=credit"))

    by_id = {each["control"]["id"]: each for each in shown["controls"]}
    assert shown["policy"] == "credit 1"
    assert by_id["ORG-01"]["own"]
    assert by_id["ROB-01"]["owner"] == "Security"
    (override,) = by_id["XAI-06"]["overrides"]
    assert (override["threshold"], override["owner"]) == (0.9, "risk")
    assert by_id["XAI-06"]["control"]["requirements"][0]["threshold"] == 0.8  # the library's stays to be seen
    problem(ask.get("/v1/controls?policy=nobodys"), "invalid", "?policy")


def test_a_waiver_may_be_for_a_control_of_ones_own(ask: Asker) -> None:
    wanted = {"control": "ORG-01", "reason": "because", "compensating": "nothing yet"}
    problem(ask.post("/v1/waivers", wanted), "invalid", "/control")
    sent(post(ask, {"controls": [OWN]}), 201)

    sent(ask.post("/v1/waivers", wanted), 201)
