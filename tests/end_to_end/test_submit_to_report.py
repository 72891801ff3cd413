"""One audit, from bytes to report, through every real process, on both databases."""

import json
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.transport import ApiProblem
from service.contracts.api import AnalysisSubmission, AuditSubmission, InputSubmission
from service.contracts.status import AnalysisState, AuditState
from tests.end_to_end.material import PATIENCE, register
from tests.stacks import Running

pytestmark = pytest.mark.stack
QUICK_RUN = {"steps": 16, "verify": 1}


def test_an_audit_ends_in_outcome_history_and_report(client: Client, tmp_path: Path) -> None:
    ids = register(client, tmp_path, "whole-flow")
    audit = client.submit_audit(
        model=ids.model, inputs={"evaluation": ids.dataset}, analyses={"layer_conductance": QUICK_RUN}, title="first"
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    assert audit.state is AuditState.FINISHED
    [analysis] = audit.analyses
    assert analysis.state is AnalysisState.SUCCEEDED, analysis.reason
    detail = client.analysis(analysis.id)
    assert detail.outcome is not None
    assert detail.provenance is not None
    assert detail.provenance["sandbox_level"] == "full"
    assert detail.provenance["analysis_digest"] == detail.digest
    names = {artifact.name for artifact in detail.artifacts}
    assert "arrays.safetensors" in names
    for artifact in detail.artifacts:
        assert len(client.artifact(artifact)) == artifact.size
    points = list(client.measurements(model_name="whole-flow", metric="layer_absolute_total"))
    assert {point.layer for point in points} >= {"0", "2", "4"}
    assert all(point.audit == audit.id and point.low is not None for point in points)
    html = client.report(audit.id).decode()
    twin = json.loads(client.report(audit.id, "json"))
    assert html.startswith(("<!DOCTYPE html>", "<!doctype html>"))
    assert twin["sections"][0]["kind"] == "layer_conductance"
    assert str(audit.id) in html


def test_the_same_analysis_twice_gives_the_same_numbers(client: Client, tmp_path: Path) -> None:
    ids = register(client, tmp_path, "twice")
    outcomes = []
    for title in ("one", "two"):
        audit = client.submit_audit(
            model=ids.model, inputs={"evaluation": ids.dataset}, analyses={"layer_conductance": QUICK_RUN}, title=title
        )
        [analysis] = client.wait(audit.id, deadline=PATIENCE).analyses
        detail = client.analysis(analysis.id)
        arrays = next(artifact for artifact in detail.artifacts if artifact.name == "arrays.safetensors")
        outcomes.append((detail.digest, detail.outcome, arrays.digest))
    assert outcomes[0] == outcomes[1]


def test_analyses_of_one_audit_share_a_child_and_keep_their_own_outcomes(client: Client, tmp_path: Path) -> None:
    ids = register(client, tmp_path, "group")
    steps = (8, 8, 16)
    audit = client.submit(
        AuditSubmission(
            title="three",
            model=ids.model,
            inputs={"evaluation": InputSubmission(dataset=ids.dataset)},
            analyses=tuple(
                AnalysisSubmission(kind="layer_conductance", parameters={"steps": one, "verify": 0}) for one in steps
            ),
        )
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    assert audit.counts.get("succeeded") == 3
    details = [client.analysis(analysis.id) for analysis in audit.analyses]
    assert details[0].outcome == details[1].outcome
    assert details[0].outcome != details[2].outcome


def test_an_audit_may_be_submitted_before_its_inputs_are_ready(client: Client, tmp_path: Path) -> None:
    from tests.end_to_end.material import dataset_facts, model_facts, write_dataset, write_model

    blob = client.upload(write_model(tmp_path / "m.pt2"))
    model = client.register_model(name="early", version="1", blob=blob.digest, facts=model_facts())
    table = client.upload(write_dataset(tmp_path / "d.npz", seed=5))
    dataset = client.register_dataset(name="early", blob=table.digest, facts=dataset_facts())
    audit = client.submit_audit(
        model=model.id, inputs={"evaluation": dataset.id}, analyses={"layer_conductance": QUICK_RUN}
    )
    assert client.wait(audit.id, deadline=PATIENCE).counts == {"succeeded": 1}


def test_an_audit_of_a_refused_dataset_fails_with_the_refusal(client: Client, tmp_path: Path) -> None:
    from tests.end_to_end.material import dataset_facts

    ids = register(client, tmp_path, "refused")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 not an archive")
    blob = client.upload(broken)
    dataset = client.register_dataset(name="broken", blob=blob.digest, facts=dataset_facts())
    audit = client.submit_audit(
        model=ids.model, inputs={"evaluation": dataset.id}, analyses={"layer_conductance": QUICK_RUN}
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    assert audit.counts == {"failed": 1}
    assert audit.analyses[0].reason is not None
    assert client.dataset(dataset.id).refusal is not None


def test_an_untrusted_principals_model_comes_in_where_the_sandbox_is_full(running: Running, tmp_path: Path) -> None:
    from tests.end_to_end.material import model_facts, write_model

    with running.rival() as rival:
        blob = rival.upload(write_model(tmp_path / "m.pt2"))
        model = rival.register_model(name="theirs", version="1", blob=blob.digest, facts=model_facts())
        view = rival.wait_for_model(model.id, deadline=PATIENCE)
    assert view.refusal is None
    assert view.manifest is not None


def test_a_rival_sees_nothing(running: Running, client: Client, tmp_path: Path) -> None:
    ids = register(client, tmp_path, "secret")
    audit = client.submit_audit(
        model=ids.model, inputs={"evaluation": ids.dataset}, analyses={"layer_conductance": QUICK_RUN}
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    with running.rival() as rival:
        for ask in (
            lambda: rival.model(ids.model),
            lambda: rival.dataset(ids.dataset),
            lambda: rival.audit(audit.id),
            lambda: rival.analysis(audit.analyses[0].id),
            lambda: rival.cancel(audit.id),
            lambda: rival.report(audit.id, deadline=1),
        ):
            with pytest.raises(ApiProblem) as refused:
                ask()
            assert refused.value.problem.status == 404
        assert list(rival.measurements(model_name="secret")) == []
