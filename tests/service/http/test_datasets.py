from tests.service.http import bodies
from tests.service.http.asking import Asker, problem
from tests.service.work.world import World


def test_a_dataset_is_registered_and_its_inspection_queued(ask: Asker) -> None:
    digest = bodies.upload(ask, "examples")

    answer = ask.post("/v1/datasets", bodies.dataset(digest))

    assert answer.json is not None
    assert answer.status_code == 202
    assert (answer.json["name"], answer.json["version"], answer.json["state"]) == ("table", "1", "received")
    assert answer.headers["Location"] == f"/v1/datasets/{answer.json['id']}"
    assert ask.get(answer.headers["Location"]).json == answer.json


def test_an_inspected_dataset_shows_its_manifest(ask: Asker, world: World) -> None:
    dataset = world.dataset()
    world.inspect(dataset)

    shown = ask.get(f"/v1/datasets/{dataset}").json

    assert shown is not None
    assert (shown["state"], shown["manifest"]["examples"]) == ("ready", 3)


def test_a_name_and_version_are_taken_once(ask: Asker) -> None:
    digest = bodies.upload(ask, "examples")
    assert ask.post("/v1/datasets", bodies.dataset(digest)).status_code == 202

    problem(ask.post("/v1/datasets", bodies.dataset(digest)), "conflict")


def test_bytes_that_are_not_here_are_a_fault_of_the_blob(ask: Asker) -> None:
    problem(ask.post("/v1/datasets", bodies.dataset("sha256:" + "0" * 64)), "invalid", "/blob")


def test_datasets_are_listed_and_filtered_by_name(ask: Asker) -> None:
    digest = bodies.upload(ask, "examples")
    ids = [bodies.made(ask.post("/v1/datasets", bodies.dataset(digest, name=name))) for name in ("a", "b")]

    everything, some = ask.get("/v1/datasets").json, ask.get("/v1/datasets?name=a").json

    assert everything is not None
    assert some is not None
    assert [item["id"] for item in everything["items"]] == ids[::-1]
    assert [item["id"] for item in some["items"]] == ids[:1]
