"""Does `lamina zoo` show what it found, and refuse names it does not know?"""

import json

import pytest
from typer.testing import CliRunner

from lamina.cli import app

pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::captum")


def run(*words: str):
    return CliRunner().invoke(app, ["zoo", *words])


def test_a_family_from_export_to_every_kind():
    result = run("int8", "--format", "pt2", "--json")
    assert result.exit_code == 0, result.output
    cells = json.loads(result.stdout)
    assert {cell["state"] for cell in cells} == {"ok", "not applicable"}
    assert {"intake", "outputs", "layer_conductance"} <= {cell["column"] for cell in cells if cell["state"] == "ok"}
    assert all(cell["reason"] for cell in cells if cell["state"] != "ok")


def test_a_refusal_is_shown_with_its_reason_and_is_no_failure():
    result = run("exit_if", "--format", "pt2")
    assert result.exit_code == 0
    assert "refused" in result.stdout
    assert "torch.where" in result.output


@pytest.mark.parametrize(("words", "said"), [(["zebra"], "no family 'zebra'"), (["mlp", "--format", "h5"], "'h5'")])
def test_an_unknown_name_is_refused_with_those_there_are(words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.output
    assert "mlp" in result.output or "pt2" in result.output
