"""Does `lamina model show` print the tree with its verdicts, and save the page?"""

import os
from pathlib import Path

import httpx
import pytest

from lamina.client import Client
from tests.lamina.answers import ID, MODEL, Service, page, routes
from tests.lamina.typed import lamina
from tests.service.report.test_inspection import LAYERS, manifest


@pytest.fixture(autouse=True)
def _wide_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("LAMINA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "200")
    found = {**MODEL, "manifest": manifest(*LAYERS).model_dump(mode="json")}
    saved = httpx.Response(200, content=b"<!doctype html>", headers={"Content-Type": "text/html"})
    answers = [("GET /v1/models", page(found)), (f"GET /v1/models/{ID}/inspection", saved)]
    service = Service(routes(answers))
    monkeypatch.setattr(Client, "from_home", classmethod(lambda _class, _home=None: service.client()))


def test_the_tree_is_printed_with_signs_and_their_reasons() -> None:
    result = lamina("model", "show", "m@1")
    assert result.exit_code == 0, result.output
    lines = [
        [cell.strip() for cell in line.strip("┃│").replace("┃", "│").split("│")] for line in result.stdout.splitlines()
    ]
    heads = "layer|type|output, each call|calls|parameters|FLOPs|values|gradients|maps|rules"
    assert heads.split("|") in lines
    assert ["stem", "Conv2d", "N × 16 × 8 × 8", "1", "1\u202f000", "500\u202fk", "●", "●", "●", "– a"] in lines
    assert "  a  a function is not a module" in result.stdout.splitlines()
    assert "● auditable   ◐ forward only   ○ not reached   – not applicable" in result.stdout
    assert any(line.startswith("│   inner.deep") for line in result.stdout.splitlines())


def test_warnings_and_what_was_changed_are_told() -> None:
    result = lamina("model", "show", "m@1")
    assert "warning (static-batch): exported with 3 rows" in result.stderr
    assert "what to do: Nothing need be done." in result.stderr
    assert "changed on the way in: dropout was switched off" in result.stdout
    assert "exit.early: taken by 13 of 64, 0.20 [0.12, 0.32]" in result.stdout
    assert "output 1: float32, N × 10, analysed" in result.stdout


def test_the_page_is_saved(tmp_path: Path) -> None:
    result = lamina("model", "show", "m@1", "--html", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "page.html").read_bytes() == b"<!doctype html>"
    assert "written to" in result.stderr
