from uuid import UUID

from service.contracts.outcome import Measurement
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World


def analysed(ask: Asker, world: World) -> str:
    """The id of an analysis that succeeded, with one artifact."""
    audit = ask.post("/v1/audits", bodies.audit(*world.ready_pair())).json
    assert audit is not None
    held = world.claim_subject(UUID(audit["analyses"][0]["id"]))
    assert held is not None
    world.succeed(held, Measurement(metric="layer_total", layer="a", value=1.5, n=3), files=("arrays.json",))
    return str(audit["analyses"][0]["id"])


def test_an_analysis_shows_what_came_of_it(ask: Asker, world: World) -> None:
    analysis = analysed(ask, world)

    shown = ask.get(f"/v1/analyses/{analysis}").json

    assert shown is not None
    assert (shown["state"], shown["kind"], shown["outcome"]) == ("succeeded", "layer_conductance", {"answer": 42})
    assert shown["section"]["answer"] == "Yes."
    assert shown["provenance"]["sandbox_level"] == "full"
    assert [artifact["name"] for artifact in shown["artifacts"]] == ["arrays.json"]


def test_an_analysis_that_has_not_ended_has_nothing_to_show_yet(ask: Asker, world: World) -> None:
    audit = ask.post("/v1/audits", bodies.audit(*world.ready_pair())).json
    assert audit is not None

    shown = ask.get(f"/v1/analyses/{audit['analyses'][0]['id']}").json

    assert shown is not None
    assert (shown["state"], shown["outcome"], shown["section"], shown["provenance"]) == ("queued", None, None, None)


def test_an_unknown_analysis_is_not_found(ask: Asker) -> None:
    problem(ask.get(f"/v1/analyses/{NOBODYS}"), "not-found")
