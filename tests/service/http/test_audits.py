from uuid import UUID

import pytest

from service.contracts.outcome import Measurement
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World


def test_an_audit_is_accepted_and_queued(ask: Asker, world: World) -> None:
    model, dataset = world.ready_pair()

    answer = ask.post("/v1/audits", bodies.audit(model, dataset, title="before release"))

    assert answer.status_code == 202
    assert answer.json is not None
    assert answer.headers["Location"] == f"/v1/audits/{answer.json['id']}"
    assert answer.headers["Retry-After"] == "1"
    shown = answer.json
    assert (shown["title"], shown["state"], shown["counts"]) == ("before release", "queued", {"queued": 1})
    assert (shown["model_name"], shown["model_version"], shown["report_ready"]) == ("net", "1", False)
    assert shown["inputs"] == [{"role": "evaluation", "dataset": str(dataset), "analysis": None, "name": "table 1"}]
    # Defaults are filled in, since they are part of what is computed.
    assert shown["analyses"][0]["parameters"] == {"steps": 8, "rule": "trapezoid", "scale": 1.0}
    assert ask.get(answer.headers["Location"]).json == shown


def test_analyses_wait_for_a_model_that_is_still_inspected(ask: Asker, world: World) -> None:
    model, dataset = world.model(), world.dataset()
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(model, dataset)))

    before = ask.get(f"/v1/audits/{audit}").json
    world.inspect(model)
    world.inspect(dataset)
    after = ask.get(f"/v1/audits/{audit}").json

    assert before is not None
    assert after is not None
    assert (before["state"], before["counts"]) == ("queued", {"waiting": 1})
    assert (after["state"], after["counts"]) == ("queued", {"queued": 1})


def test_an_audit_is_followed_to_its_end(ask: Asker, world: World) -> None:
    model, dataset = world.ready_pair()
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(model, dataset)))
    first = ask.get(f"/v1/audits/{audit}").json
    assert first is not None
    held = world.claim_subject(UUID(first["analyses"][0]["id"]))
    assert held is not None

    running = ask.get(f"/v1/audits/{audit}").json
    world.succeed(held, Measurement(metric="layer_total", layer="a", value=1.0, n=3))
    finished = ask.get(f"/v1/audits/{audit}").json

    assert running is not None
    assert finished is not None
    assert (running["state"], running["analyses"][0]["attempt"]) == ("running", 1)
    assert (finished["state"], finished["progress"], finished["counts"]) == ("finished", 1.0, {"succeeded": 1})
    assert finished["closed_at"] is not None


def test_all_faults_of_an_audit_come_at_once_at_their_places(ask: Asker) -> None:
    body = {
        "model": str(NOBODYS),
        "inputs": {"training": {"dataset": str(NOBODYS)}},
        "analyses": [
            {"kind": "layer_conductanse"},
            {"kind": "layer_conductance", "parameters": {"steps": 0, "ruel": "captum"}},
        ],
    }

    found = problem(
        ask.post("/v1/audits", body),
        "invalid",
        "/model",
        "/inputs/training/dataset",
        "/inputs/evaluation",
        "/analyses/0/kind",
        "/analyses/1/parameters/steps",
        "/analyses/1/parameters/ruel",
    )

    said = {fault.pointer: fault.detail for fault in found.errors}
    assert "did you mean layer_conductance?" in said["/analyses/0/kind"]
    assert "did you mean rule?" in said["/analyses/1/parameters/ruel"]


def test_faults_of_form_come_at_once_at_their_places(ask: Asker) -> None:
    body = {"model": "x", "inputs": {"judge": {}}, "analyses": [{"kind": "A b"}], "titel": "?"}

    problem(
        ask.post("/v1/audits", body),
        "invalid",
        "/model",
        "/inputs/judge",
        "/analyses/0/kind",
        "/titel",
    )


def test_another_tenants_model_and_dataset_do_not_exist(stranger: Asker, world: World) -> None:
    model, dataset = world.ready_pair()

    refused = problem(
        stranger.post("/v1/audits", bodies.audit(model, dataset)), "invalid", "/model", "/inputs/evaluation/dataset"
    )
    unknown = problem(stranger.post("/v1/audits", bodies.audit(NOBODYS, NOBODYS)), "invalid")

    assert refused.errors == unknown.errors


@pytest.mark.parametrize("steps", ["8", 8.5, True, None, [8], 1e9])
def test_a_parameter_of_the_wrong_type_is_a_fault_of_that_parameter(ask: Asker, world: World, steps: object) -> None:
    model, dataset = world.ready_pair()
    analyses = [{"kind": "layer_conductance", "parameters": {"steps": steps}}]

    answer = ask.post("/v1/audits", bodies.audit(model, dataset, analyses=analyses))

    problem(answer, "invalid", "/analyses/0/parameters/steps")


def test_a_whole_number_may_be_written_with_a_point(ask: Asker, world: World) -> None:
    model, dataset = world.ready_pair()
    analyses = [{"kind": "layer_conductance", "parameters": {"steps": 8.0}}]

    answer = ask.post("/v1/audits", bodies.audit(model, dataset, analyses=analyses))

    assert answer.json is not None
    assert repr(answer.json["analyses"][0]["parameters"]["steps"]) == "8"


def test_open_work_is_capped_and_the_cap_says_when_to_ask_again(ask: Asker, world: World) -> None:
    model, dataset = world.ready_pair()
    asked = [{"kind": "layer_conductance", "parameters": {"steps": n}} for n in range(1, 6)]
    assert ask.post("/v1/audits", bodies.audit(model, dataset, analyses=asked[:4])).status_code == 202

    answer = ask.post("/v1/audits", bodies.audit(model, dataset, analyses=asked[4:]))

    assert not problem(answer, "too-much-open-work").permanent
    assert int(answer.headers["Retry-After"]) > 0


def test_a_cancelled_audit_says_so_and_cancelling_again_changes_nothing(ask: Asker, world: World) -> None:
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(*world.ready_pair())))

    once, again = ask.delete(f"/v1/audits/{audit}"), ask.delete(f"/v1/audits/{audit}")

    assert (once.status_code, again.status_code) == (202, 202)
    assert once.json is not None
    assert (once.json["state"], once.json["counts"]) == ("cancelled", {"cancelled": 1})
    assert once.json["analyses"][0]["reason"]["code"] == "cancelled"
    assert again.json == once.json


def test_cancelling_what_does_not_exist_is_not_found(ask: Asker) -> None:
    problem(ask.delete(f"/v1/audits/{NOBODYS}"), "not-found")


def test_audits_are_filtered_by_state_and_by_model(ask: Asker, world: World) -> None:
    model, dataset = world.ready_pair()
    other = world.model(version="2")
    first = bodies.made(ask.post("/v1/audits", bodies.audit(model, dataset)))
    second = bodies.made(ask.post("/v1/audits", bodies.audit(other, dataset)))
    ask.delete(f"/v1/audits/{first}")

    def ids(query: str) -> list[str]:
        found = ask.get(f"/v1/audits?{query}").json
        assert found is not None
        return [item["id"] for item in found["items"]]

    assert ids("") == [second, first]
    assert ids("state=cancelled") == [first]
    assert ids("state=queued") == [second]
    assert ids("state=finished") == []
    assert ids(f"model={other}") == [second]
    assert ids(f"model={NOBODYS}") == []


def test_an_audit_that_has_not_changed_is_not_sent_again(ask: Asker, world: World) -> None:
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(*world.ready_pair())))
    first = ask.get(f"/v1/audits/{audit}")

    same = ask.get(f"/v1/audits/{audit}", headers={"If-None-Match": first.headers["ETag"]})
    ask.delete(f"/v1/audits/{audit}")
    changed = ask.get(f"/v1/audits/{audit}", headers={"If-None-Match": first.headers["ETag"]})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_nothing_waits_for_a_broker_that_is_not_there(ask: Asker, world: World) -> None:
    # The fixture's broker does not exist: what is submitted is in the database all the same.
    assert ask.post("/v1/audits", bodies.audit(*world.ready_pair())).status_code == 202
