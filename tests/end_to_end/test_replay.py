"""An analysis asked again comes out the same to the last bit, through every real process."""

from pathlib import Path

import pytest

from lamina.client import Client
from service.contracts.status import AnalysisState
from tests.end_to_end.material import PATIENCE, register

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("kind", ["layer_conductance", "lime_tabular", "robustness"])
def test_a_replay_gives_the_same_numbers_and_files(client: Client, tmp_path: Path, kind: str) -> None:
    ids = register(client, tmp_path, f"again-{kind}".replace("_", "-"))
    settings = {
        "layer_conductance": {"steps": 8},
        "lime_tabular": {"examples": 2, "samples": 200},
        "robustness": {"examples": 8, "queries": 100},
    }
    audit = client.submit_audit(
        model=ids.model, inputs={"evaluation": ids.dataset}, analyses={kind: settings[kind]}, title="first"
    )
    [first] = client.wait(audit.id, deadline=PATIENCE).analyses
    assert first.state is AnalysisState.SUCCEEDED, first.reason
    again = client.wait(client.replay(first.id).id, deadline=PATIENCE)
    assert again.analyses[0].state is AnalysisState.SUCCEEDED, again.analyses[0].reason
    [point] = [point for point in client.measurements(audit=again.id) if point.metric == "replay_mismatches"]
    assert point.facets == {"of": kind, "rule": "bitwise"}
    assert point.value == 0
    assert point.n > 2
