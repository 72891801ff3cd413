"""What a customer may get wrong, or mean badly: each ends in words that name the part; the next audit goes through."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from lamina.client import Client
from service.contracts.facts import DatasetFacts
from service.contracts.problem import Problem
from service.contracts.status import IntakeState
from tests.end_to_end.material import (
    CLASSES,
    FEATURES,
    PATIENCE,
    dataset_facts,
    input_facts,
    model_facts,
    register,
    write_model,
)
from tests.stacks import Running

pytestmark = pytest.mark.stack
HTML = "<script>alert(1)</script><b>&amp;"


def npz(**arrays: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def good(examples: int = 4) -> dict[str, np.ndarray]:
    return {"inputs": np.zeros((examples, FEATURES), np.float32), "labels": np.zeros(examples, np.int64)}


def with_nan() -> bytes:
    arrays = good()
    arrays["inputs"][2, 3] = np.nan
    return npz(**arrays)


def terabytes() -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 6), }"
    header += b" " * (118 - len(header)) + b"\n"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inputs.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return target.getvalue()


def bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", npz(inputs=np.zeros(1)) + bytes(2**28))
    return target.getvalue()


DATASETS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a line of text": (lambda: b"hello", "column"),
    "cut short": (lambda: npz(**good())[:-40], "npz"),
    "empty file": (lambda: b"", "npz"),
    "no examples": (lambda: npz(**good(0)), "example"),
    "NaN": (with_nan, "2"),
    "wrong shape": (lambda: npz(inputs=np.zeros((4, 5), np.float32), labels=np.zeros(4, np.int64)), "5"),
    "wrong dtype": (lambda: npz(inputs=np.zeros((4, FEATURES), "U3"), labels=np.zeros(4, np.int64)), "inputs"),
    "pickled objects": (lambda: npz(inputs=np.array([{}] * 4), labels=np.zeros(4, np.int64)), "object"),
    "labels out of range": (lambda: npz(inputs=good()["inputs"], labels=np.full(4, len(CLASSES))), "label"),
    "outside the bounds": (
        lambda: npz(inputs=np.full((4, FEATURES), 99.0, np.float32), labels=np.zeros(4, np.int64)),
        "99",
    ),
    "array missing": (lambda: npz(other=good()["inputs"]), "inputs"),
    "terabytes claimed": (terabytes, "inputs"),
    "a bomb": (bomb, "inputs"),
}


def test_bad_datasets_are_refused_in_words_and_disturb_nothing(client: Client, tmp_path: Path) -> None:
    for name, (make, word) in DATASETS.items():
        (tmp_path / "data.npz").write_bytes(make())
        blob = client.upload(tmp_path / "data.npz")
        dataset = client.register_dataset(name=f"bad: {name}", blob=blob.digest, facts=dataset_facts())
        view = client.wait_for_dataset(dataset.id, deadline=PATIENCE)
        assert view.state is IntakeState.REFUSED, name
        assert view.refusal is not None
        assert word in view.refusal.detail, (name, view.refusal)
        assert view.refusal.remedy, name
    register(client, tmp_path, "after bad datasets")


def test_bad_models_are_refused_in_words_and_disturb_nothing(client: Client, tmp_path: Path) -> None:
    whole = write_model(tmp_path / "good.pt2").read_bytes()
    pickled = io.BytesIO()
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02.")
    cases = {
        "not a model": b"hello",
        "empty": b"",
        "cut short": whole[: len(whole) // 2],
        "a pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
        "a torch.save archive": pickled.getvalue(),
        "with bytes after its end": whole + b"\0" * 64,
    }
    for name, content in cases.items():
        (tmp_path / "model.pt2").write_bytes(content)
        blob = client.upload(tmp_path / "model.pt2")
        model = client.register_model(name=f"bad: {name}", version="1", blob=blob.digest, facts=model_facts())
        view = client.wait_for_model(model.id, deadline=PATIENCE)
        assert view.state is IntakeState.REFUSED, name
        assert view.refusal is not None
        assert view.refusal.remedy, name
    register(client, tmp_path, "after bad models")


def test_facts_that_contradict_the_network_are_refused(client: Client, tmp_path: Path) -> None:
    blob = client.upload(write_model(tmp_path / "m.pt2"))
    facts = model_facts()
    facts = facts.model_copy(update={"output": facts.output.model_copy(update={"classes": (*CLASSES, "fourth")})})
    model = client.register_model(name="four classes", version="1", blob=blob.digest, facts=facts)
    view = client.wait_for_model(model.id, deadline=PATIENCE)
    assert view.refusal is not None
    assert "4" in view.refusal.detail
    assert "3" in view.refusal.detail


def test_a_request_is_told_all_that_is_wrong_with_it(running: Running, client: Client, tmp_path: Path) -> None:
    ids = register(client, tmp_path, "asked badly")
    body = {
        "model": str(ids.model),
        "inputs": {"evaluation": {"dataset": "00000000-0000-7000-8000-000000000000"}},
        "analyses": [
            {"kind": "layer_conductance", "parameters": {"steps": 0, "stepz": 3}},
            {"kind": "layer_conductence"},
        ],
    }
    answer = httpx.post(f"{running.stack.url}/v1/audits", json=body, headers={"Authorization": f"Bearer {running.key}"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    pointers = {fault.pointer for fault in Problem.model_validate_json(answer.content).errors}
    assert {
        "/inputs/evaluation/dataset",
        "/analyses/0/parameters/steps",
        "/analyses/0/parameters/stepz",
        "/analyses/1/kind",
    } <= pointers


def test_an_analysis_that_cannot_be_done_says_so_and_its_neighbour_is_done(client: Client, tmp_path: Path) -> None:
    from service.contracts.api import AnalysisSubmission, AuditSubmission, InputSubmission

    ids = register(client, tmp_path, "half done")
    audit = client.submit(
        AuditSubmission(
            title="half",
            model=ids.model,
            inputs={"evaluation": InputSubmission(dataset=ids.dataset)},
            analyses=(
                AnalysisSubmission(kind="layer_conductance", parameters={"layers": ["no such layer"]}),
                AnalysisSubmission(kind="layer_conductance", parameters={"steps": 4, "verify": 0}),
            ),
        )
    )
    done = client.wait(audit.id, deadline=PATIENCE)
    assert [analysis.state for analysis in done.analyses] == ["failed", "succeeded"]
    assert done.analyses[0].reason is not None
    assert "no such layer" in done.analyses[0].reason.detail
    assert b"no such layer" in client.report(audit.id)


def test_names_full_of_html_come_out_as_text(client: Client, tmp_path: Path) -> None:
    facts = model_facts()
    hostile = tuple(f"{HTML}{index}" for index in range(len(CLASSES)))
    facts = facts.model_copy(update={"output": facts.output.model_copy(update={"classes": hostile}), "role": HTML})
    blob = client.upload(write_model(tmp_path / "m.pt2"))
    model = client.register_model(name=HTML, version="1", blob=blob.digest, facts=facts)
    np.savez(tmp_path / "d.npz", **good(8))
    table = client.upload(tmp_path / "d.npz")
    dataset = client.register_dataset(
        name=HTML, blob=table.digest, facts=DatasetFacts(input=input_facts(), classes=hostile)
    )
    assert client.wait_for_model(model.id, deadline=PATIENCE).state is IntakeState.READY
    assert client.wait_for_dataset(dataset.id, deadline=PATIENCE).state is IntakeState.READY
    audit = client.submit_audit(
        model=model.id, inputs={"evaluation": dataset.id}, analyses={"layer_conductance": {"steps": 4}}, title=HTML
    )
    client.wait(audit.id, deadline=PATIENCE)
    page = client.report(audit.id).decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
