import pytest

from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.http.conftest import MakeAsker


def test_a_principal_starts_untrusted_and_without_keys(ask: Asker) -> None:
    answer = ask.post("/v1/principals", {"name": "pipeline", "kind": "service"})

    assert answer.status_code == 201
    assert answer.json is not None
    assert (answer.json["name"], answer.json["kind"], answer.json["trusted"]) == ("pipeline", "service", False)
    assert ask.get(answer.headers["Location"]).json == answer.json
    keys = ask.get(f"/v1/keys?principal={answer.json['id']}").json
    assert keys is not None
    assert keys["items"] == []


def test_a_name_is_taken_once_in_a_tenant(ask: Asker, stranger: Asker) -> None:
    assert ask.post("/v1/principals", {"name": "pipeline"}).status_code == 201

    problem(ask.post("/v1/principals", {"name": "pipeline"}), "conflict")
    assert stranger.post("/v1/principals", {"name": "pipeline"}).status_code == 201


def test_trust_is_not_to_be_had_over_http(ask: Asker) -> None:
    problem(ask.post("/v1/principals", {"name": "pipeline", "trusted": True}), "invalid", "/trusted")


def test_principals_are_listed_newest_first(ask: Asker) -> None:
    for name in ("one", "two"):
        ask.post("/v1/principals", {"name": name})

    listed = ask.get("/v1/principals").json

    assert listed is not None
    assert [item["name"] for item in listed["items"]] == ["two", "one", "bob"]


@pytest.mark.parametrize("scopes", [["read"], ["submit"], ["read", "submit"]])
def test_it_needs_the_scope_admin(make_asker: MakeAsker, ask: Asker, scopes: list[str]) -> None:
    asker = make_asker(ask.tenant, "carol", scopes)

    problem(asker.get("/v1/principals"), "forbidden")
    problem(asker.post("/v1/principals", {"name": "x"}), "forbidden")


def test_an_unknown_principal_is_not_found(ask: Asker) -> None:
    problem(ask.get(f"/v1/principals/{NOBODYS}"), "not-found")
