from typing import Any

import pytest

from service.contracts.problem import Reason
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Model
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World


def test_a_model_is_registered_and_its_inspection_queued(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")

    answer = ask.post("/v1/models", bodies.model(digest))

    assert answer.status_code == 202
    assert answer.json is not None
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Location"] == f"/v1/models/{answer.json['id']}"
    shown = {name: answer.json[name] for name in ("name", "version", "state", "source_digest", "manifest", "refusal")}
    assert shown == {
        "name": "net",
        "version": "1",
        "state": "received",
        "source_digest": digest,
        "manifest": None,
        "refusal": None,
    }
    assert answer.json["created_by"] == str(ask.principal)
    assert ask.get(answer.headers["Location"]).json == answer.json


def test_an_inspected_model_shows_its_manifest(ask: Asker, world: World) -> None:
    model = world.model()
    world.inspect(model)

    shown = ask.get(f"/v1/models/{model}").json

    assert shown is not None
    assert shown["state"] == "ready"
    assert shown["manifest"]["format"] == "pt2"
    assert shown["canonical_digest"] == shown["manifest"]["canonical_digest"]


def test_a_refused_model_says_why(ask: Asker, world: World, database: Database) -> None:
    model = world.model()
    reason = Reason(code="opaque-constant", detail="holds a pickled object", remedy="export it again")
    with system_session(database) as session:
        session.get_one(Model, model).refusal = reason.model_dump(mode="json")

    shown = ask.get(f"/v1/models/{model}").json

    assert shown is not None
    assert (shown["state"], shown["refusal"]["detail"]) == ("refused", "holds a pickled object")


def test_bytes_that_are_not_here_are_a_fault_of_the_blob(ask: Asker) -> None:
    problem(ask.post("/v1/models", bodies.model("sha256:" + "0" * 64)), "invalid", "/blob")


def test_a_name_and_version_are_taken_once(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    assert ask.post("/v1/models", bodies.model(digest)).status_code == 202

    assert "'1'" in problem(ask.post("/v1/models", bodies.model(digest)), "conflict").detail
    assert ask.post("/v1/models", bodies.model(digest, version="2")).status_code == 202


def test_a_version_follows_one_that_exists(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    first = bodies.made(ask.post("/v1/models", bodies.model(digest)))

    second = ask.post("/v1/models", bodies.model(digest, version="2", follows=first))

    assert second.json is not None
    assert second.json["follows"] == first
    unknown = ask.post("/v1/models", bodies.model(digest, version="3", follows=str(NOBODYS)))
    problem(unknown, "invalid", "/follows")


def test_models_are_listed_newest_first_page_by_page(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    ids = [bodies.made(ask.post("/v1/models", bodies.model(digest, version=str(v)))) for v in range(5)]

    seen, path, pages = [], "/v1/models?limit=2", 0
    while path:
        answer = ask.get(path)
        assert answer.json is not None
        seen += [item["id"] for item in answer.json["items"]]
        link = answer.headers.get("Link", "")
        assert (answer.json["next"] is None) == (link == "")
        path, pages = link.removeprefix("<").removesuffix('>; rel="next"'), pages + 1

    assert (seen, pages) == (ids[::-1], 3)


def test_models_are_filtered_by_name(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    ask.post("/v1/models", bodies.model(digest, name="a & b"))
    ask.post("/v1/models", bodies.model(digest, name="c"))

    found = ask.get("/v1/models", query_string={"name": "a & b"}).json

    assert found is not None
    assert [item["name"] for item in found["items"]] == ["a & b"]


HOSTILE = ("<script>alert(1)</script>", "'; DROP TABLE model; --", "../../etc/passwd", "{{7*7}}", "%00%0a", "𝕏\u202e")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(ask: Asker, name: str) -> None:
    digest = bodies.upload(ask, "weights")

    answer = ask.post("/v1/models", bodies.model(digest, name=name))

    assert answer.json is not None
    assert (answer.status_code, answer.json["name"]) == (202, name)
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("name", ["", "a" * 129, "line\nbreak", "nul\0", "tab\t", "\x7f"])
def test_names_without_text_or_with_control_characters_are_refused(ask: Asker, name: str) -> None:
    problem(ask.post("/v1/models", bodies.model("sha256:" + "0" * 64, name=name)), "invalid", "/name")


def test_all_faults_of_a_body_come_at_once_at_their_places(ask: Asker) -> None:
    facts: dict[str, Any] = {
        "task": "painting",
        "input": {"kind": "table", "layout": "NF", "shape": [True], "bounds": {"low": [1], "high": [0]}},
        "output": {"kind": "logits", "classes": ["a", 5]},
        "a/b~c": 1,
    }

    answer = ask.post("/v1/models", {"version": "?", "blob": "sha256:xyz", "facts": facts, "follows": "me"})

    problem(
        answer,
        "invalid",
        "/name",
        "/version",
        "/blob",
        "/facts/task",
        "/facts/input/shape/0",
        "/facts/input/bounds",
        "/facts/output/classes/1",
        "/facts/a~1b~0c",
        "/follows",
    )


def test_whole_numbers_may_be_written_with_a_point(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    body = bodies.model(digest)
    body["facts"]["input"] = {**bodies.TABLE, "shape": [2.0]}

    assert ask.post("/v1/models", body).status_code == 202
