from tests.service.http.asking import Asker, problem


def test_every_kind_is_listed_with_the_schema_of_its_parameters(ask: Asker) -> None:
    listed = ask.get("/v1/kinds").json

    assert listed is not None
    assert [kind["name"] for kind in listed["items"]] == ["layer_conductance", "other_kind"]
    assert listed["items"][0]["parameters"]["properties"]["steps"]["default"] == 50
    assert listed["next"] is None


def test_a_kind_is_shown_by_name(ask: Asker) -> None:
    answer = ask.get("/v1/kinds/layer_conductance")

    assert answer.json is not None
    assert answer.json["question"] == "How much flows through each layer?"
    assert ask.get("/v1/kinds/layer_conductance", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_an_unknown_kind_is_not_found(ask: Asker) -> None:
    for name in ("nonsense", "UPPER", "%00", "a%2fb"):
        problem(ask.get(f"/v1/kinds/{name}"), "not-found")
