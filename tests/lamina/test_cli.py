"""The command says what it found, ends with the code of what happened, and names what is not installed."""

import importlib.metadata
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.main import get_command

from lamina.cli import app
from lamina.client import Client
from lamina.requirement import Requirement
from tests.lamina.answers import (
    DATASET,
    DIGEST,
    FACTS,
    ID,
    MODEL,
    NOW,
    OTHER,
    POINT,
    Service,
    analysis,
    answer,
    audit,
    page,
    problem,
    routes,
)
from tests.lamina.typed import lamina

ROOT = Path(__file__).parents[2]
SUBMIT = [*("audit", "submit", "--model", "m@1", "--input", "evaluation=d"), "--analysis", "layer_conductance"]
FOUND: tuple[tuple[str, Any], ...] = (
    ("GET /v1/models", page({**MODEL, "version": "2", "id": OTHER}, MODEL)),
    ("GET /v1/datasets", page(DATASET)),
    ("POST /v1/audits", answer(audit("queued", analysis("queued")), 202)),
    (f"GET /v1/audits/{ID}", audit()),
    ("GET /v1/measurements", page(POINT)),
)


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("LAMINA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "200")


def told(monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, Any]) -> Service:
    """Let the command talk to a service that answers FOUND, changed."""
    service = Service(routes([*FOUND, *changes]))
    monkeypatch.setattr(Client, "from_home", classmethod(lambda _class, _home=None: service.client()))
    return service


# Exit codes


def test_the_help_and_the_page_state_every_exit_code() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    shown = " ".join(lamina("--help").output.split())
    assert "0 done; 1 the audit failed or a requirement was not met; 2 usage" in shown
    assert "3 the service refused or was unreachable; 4 not done in the time given" in shown
    assert re.findall(r"^\| ([0-4]) \|", page, re.MULTILINE) == ["0", "1", "2", "3", "4"]


def test_the_page_lists_every_command_and_no_other() -> None:
    group: Any = get_command(app)
    commands = {
        f"{name} {inner}" if inner else name
        for name, command in group.commands.items()
        for inner in getattr(command, "commands", [""])
    }
    page = (ROOT / "docs" / "commands.md").read_text()
    assert set(re.findall(r"^\| `lamina ([a-z -]*[a-z])`", page, re.MULTILINE)) == commands


def test_every_command_has_a_sentence() -> None:
    group: Any = get_command(app)
    inner = [command for outer in group.commands.values() for command in getattr(outer, "commands", {}).values()]
    assert [command.name for command in (*group.commands.values(), *inner) if not command.help] == []


def test_an_audit_that_succeeds_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    service = told(monkeypatch)
    result = lamina(*SUBMIT)
    assert result.exit_code == 0, result.output
    sent = json.loads(service.requests[2].content)
    assert (sent["model"], sent["inputs"]) == (ID, {"evaluation": {"dataset": OTHER, "analysis": None}})
    assert "succeeded" in result.output


def test_an_audit_that_fails_ends_with_1_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = {"code": "input-shape", "detail": "Shapes differ.", "remedy": "Export again.", "permanent": True}
    told(monkeypatch, (f"GET /v1/audits/{ID}", audit("finished", analysis("failed", reason=reason))))
    result = lamina("audit", "wait", ID)
    assert result.exit_code == 1
    assert "layer_conductance failed (input-shape): Shapes differ. What to do: Export again." in result.stderr


@pytest.mark.parametrize(("requirement", "code"), [("completeness_error<=0.05", 0), ("completeness_error<=0.01", 1)])
def test_a_requirement_decides_the_exit_code(monkeypatch: pytest.MonkeyPatch, requirement: str, code: int) -> None:
    told(monkeypatch)
    result = lamina(*SUBMIT, "--require", requirement)
    assert result.exit_code == code, result.output
    assert ("completeness_error at fc1 is 0.02, and must be <= 0.01" in result.stderr) == (code == 1)


def test_a_requirement_on_what_was_not_measured_is_not_met(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch)
    result = lamina("audit", "wait", ID, "--require", "clean_accuracy>=0.9")
    assert result.exit_code == 1
    assert "clean_accuracy was not measured" in result.stderr


@pytest.mark.parametrize("text", ["completeness_error", "error==1", "error<=", "<=1", "error<=1.2.3", "error<=nan"])
def test_a_requirement_that_is_none_is_usage(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    service = told(monkeypatch)
    assert lamina(*SUBMIT, "--require", text).exit_code == 2
    assert service.requests == []


def test_a_requirement_reads_back_as_it_was_written() -> None:
    assert str(Requirement.read(" clean_accuracy >= 9e-1 ")) == "clean_accuracy>=0.9"


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "show", "not-an-id"],
        ["audit", "list", "--state", "done"],
        ["report", ID, "--format", "pdf"],
        ["audit", "submit", "--model", "m@9", "--input", "evaluation=d", "--analysis", "layer_conductance"],
        ["audit", "submit", "--model", "m", "--input", "evaluation", "--analysis", "layer_conductance"],
        ["audit", "submit", "--model", "m", "--input", "evaluation=d", "--analysis", "layer_conductance=[1]"],
        ["audit", "submit", "--model", "m", "--input", "evaluation=d", "--analysis", "layer_conductance={"],
        ["audit", "submit", "--model", "m", "--input", "evaluation=d", "--analysis", "Not A Kind"],
        ["model", "add", "nowhere.pt2", "--name", "m", "--version", "1", "--facts", "nowhere.json"],
        ["key", "create", "ada", "--scope", "all"],
        ["nonsense"],
    ],
)
def test_wrong_arguments_end_with_2(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    told(monkeypatch)
    result = lamina(*words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)


def test_a_refusal_ends_with_3_and_lists_the_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = problem("invalid", 422, ("/analyses/0/parameters/steps", "must be at most 1024"))
    told(monkeypatch, ("POST /v1/audits", answer(refusal, 422)))
    result = lamina(*SUBMIT)
    assert result.exit_code == 3
    assert "/analyses/0/parameters/steps: must be at most 1024" in result.stderr


def test_a_service_that_is_not_there_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(httpx.ConnectError("refused"))
    monkeypatch.setattr(Client, "from_home", classmethod(lambda _class, _home=None: service.client()))
    result = lamina("model", "list")
    assert result.exit_code == 3
    assert "lamina up" in result.stderr


def test_what_is_late_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, (f"GET /v1/audits/{ID}", audit("running", analysis("running"))))
    result = lamina("audit", "wait", ID, "--deadline", "0")
    assert result.exit_code == 4


def test_without_address_and_key_it_ends_with_2_and_says_how_to_give_them(tmp_path: Path) -> None:
    result = lamina("model", "list", "--home", tmp_path)
    assert result.exit_code == 2
    assert "LAMINA_URL and LAMINA_API_KEY" in result.stderr


# What is shown


def test_a_model_is_added_with_its_facts_after_the_version_it_follows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blob = {"digest": DIGEST, "size": 3, "created_at": NOW}
    stored = ("GET /v1/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", blob)
    made = {**MODEL, "version": "3", "state": "received"}
    service = told(monkeypatch, stored, ("POST /v1/models", answer(made, 202)), (f"GET /v1/models/{ID}", MODEL))
    (tmp_path / "model.pt2").write_bytes(b"abc")
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    words = ["--name", "m", "--version", "3", "--follows", "m@1", "--facts", str(tmp_path / "facts.json")]
    result = lamina("model", "add", tmp_path / "model.pt2", *words)
    assert result.exit_code == 0, result.output
    [sent] = [json.loads(request.content) for request in service.requests if request.method == "POST"]
    assert (sent["follows"], sent["blob"]) == (ID, DIGEST)
    assert "ready" in result.stdout


def test_facts_that_are_none_are_listed_by_pointer_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = told(monkeypatch)
    (tmp_path / "model.pt2").write_bytes(b"abc")
    (tmp_path / "facts.json").write_text('{"task": "guessing", "input": {"kind": "table"}}')
    words = ["--name", "m", "--version", "1", "--facts", str(tmp_path / "facts.json")]
    result = lamina("model", "add", tmp_path / "model.pt2", *words)
    assert result.exit_code == 2
    for pointer in ("/task:", "/input/layout:", "/output:"):
        assert pointer in result.stderr
    assert service.requests == []


def test_a_refused_model_ends_with_1_and_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusal = {"code": "pickle", "detail": "It is a pickle.", "remedy": "Export it.", "permanent": True}
    refused = {**DATASET, "state": "refused", "refusal": refusal}
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    told(
        monkeypatch,
        (f"GET /v1/blobs/sha256:{digest}", {"digest": DIGEST, "size": 3, "created_at": NOW}),
        ("POST /v1/datasets", answer(DATASET, 202)),
        (f"GET /v1/datasets/{OTHER}", refused),
    )
    (tmp_path / "data.npz").write_bytes(b"abc")
    (tmp_path / "facts.json").write_text(json.dumps(DATASET["facts"]))
    words = ["--name", "d", "--facts", str(tmp_path / "facts.json")]
    result = lamina("dataset", "add", tmp_path / "data.npz", *words)
    assert result.exit_code == 1
    assert "It is a pickle." in result.stderr
    assert "Export it." in result.stderr


@pytest.mark.parametrize(
    ("words", "members"),
    [
        (["model", "list"], {"name", "version", "state", "facts"}),
        (["dataset", "list"], {"name", "version", "state", "facts"}),
        (["history", "m"], {"metric", "value", "low", "high", "n", "series_key"}),
        (["audit", "show", ID], {"title", "state", "analyses"}),
        (["model", "show", "m@1"], {"name", "version"}),
    ],
)
def test_what_is_read_can_be_had_as_json(monkeypatch: pytest.MonkeyPatch, words: list[str], members: set[str]) -> None:
    told(monkeypatch)
    result = lamina(*words, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert members <= set(shown[0] if isinstance(shown, list) else shown)


def test_a_name_alone_is_the_newest_version(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {**MODEL, "version": "2", "id": OTHER, "created_at": "2026-11-23T12:00:00Z"}
    told(monkeypatch, ("GET /v1/models", page(MODEL, newer)))
    assert json.loads(lamina("model", "show", "m", "--json").stdout)["version"] == "2"
    assert json.loads(lamina("model", "show", "m@1", "--json").stdout)["version"] == "1"


def test_history_shows_each_point_with_interval_and_marks_a_changed_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {**POINT, "model_version": "2", "dataset_changed": True}
    service = told(monkeypatch, ("GET /v1/measurements", page(POINT, changed)))
    result = lamina("history", "m", "--metric", "completeness_error")
    assert result.exit_code == 0
    assert "0.01 to 0.03" in result.stdout
    assert result.stdout.count("changed") == 1
    assert dict(service.requests[0].url.params)["model_name"] == "m"


def test_a_customers_name_is_text_and_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, ("GET /v1/models", page({**MODEL, "name": "[red]m[/red][/]"})))
    result = lamina("model", "list")
    assert result.exit_code == 0, result.output
    assert "[red]m[/red][/]" in result.stdout


def test_a_title_is_text_and_never_markup_also_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, (f"GET /v1/audits/{ID}", audit(title="a [/] b")))
    result = lamina("audit", "wait", ID)
    assert result.exit_code == 0, result.output
    assert "a [/] b" in result.stdout


def test_a_report_is_written_where_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told(monkeypatch, (f"GET /v1/audits/{ID}/report", httpx.Response(200, content=b"<html>")))
    target = tmp_path / "new" / "report.html"
    result = lamina("report", ID, "--out", target)
    assert result.exit_code == 0
    assert target.read_bytes() == b"<html>"
    assert lamina("report", ID, "--out", "-").stdout == "<html>"


def test_the_version_is_the_installed_one() -> None:
    assert lamina("--version").stdout == f"lamina {importlib.metadata.version('lamina')}\n"
