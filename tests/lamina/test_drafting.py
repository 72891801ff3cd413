"""A draft of facts says what the cells say, keeps the model's order and bounds, and names what to look at."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.drafting import draft
from lamina.failure import Usage
from service.contracts.facts import Column, DatasetFacts, ModelFacts

CHURN = "age,plan,active,income,churned\n31,basic,true,2100.5,no\n62,plus,false,1800,yes\n44,basic,true,-3e2,no\n"


def written(tmp_path: Path, text: str, name: str = "churn.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def model(names: tuple[str, ...] = ("income", "age"), classes: tuple[str, ...] = ("yes", "no")) -> ModelFacts:
    return ModelFacts.model_validate(
        {
            "task": "classification",
            "input": {
                "kind": "table", "layout": "NF", "shape": [2], "feature_names": list(names),
                "bounds": {"low": [-1000, 0], "high": [9000, 120]},
            },
            "output": {"kind": "logits", "classes": list(classes)},
        }
    )  # fmt: skip


def test_types_bounds_and_classes_are_those_of_the_cells(tmp_path):
    found = draft(written(tmp_path, CHURN), label="churned", model=None)
    assert found.facts.columns == (
        Column(name="age", type="integer"),
        Column(name="plan", type="category", categories=("basic", "plus")),
        Column(name="active", type="boolean"),
        Column(name="income", type="number"),
        Column(name="churned", role="label", type="category", categories=("no", "yes")),
    )
    assert found.facts.classes == ("no", "yes")
    assert found.facts.input.shape == (4,)
    assert found.facts.input.bounds.low == (31, 0, 0, -300)
    assert found.facts.input.bounds.high == (62, 1, 1, 2100.5)
    assert any("replace them by the legal ones" in remark for remark in found.remarks)
    assert any("alphabetical" in remark for remark in found.remarks)


def test_features_stand_in_the_models_order_with_its_bounds_and_classes(tmp_path):
    found = draft(written(tmp_path, CHURN), label="churned", model=model())
    assert [column.name for column in found.facts.columns] == ["income", "age", "churned"]
    assert found.facts.columns[-1].categories == ("yes", "no")
    assert found.facts.input == model().input
    assert found.remarks == ("not read: plan, active",)


@pytest.mark.parametrize(
    ("text", "label", "of", "said"),
    [
        (CHURN, "left", None, "no column 'left'"),
        (CHURN, "churned", model(("salary", "age")), "lacks the model's features 'salary'"),
        (CHURN, "churned", model((), ("yes", "no")), "4 columns besides the label and the model reads 2"),
        (CHURN, "churned", model(classes=("stays", "goes")), "which the model's classes lack"),
        ("a,b\n1,2,3\n", None, None, "row 2: 3 cells for 2 columns"),
        ("a,b\n", None, None, "no rows"),
        ("", None, None, "empty"),
        ("name\n" + "\n".join(f"word{at}" for at in range(60)), None, None, "more than 50 different words"),
    ],
)
def test_what_cannot_be_drafted_is_said(text, label, of, said, tmp_path):
    with pytest.raises(Usage, match=said):
        draft(written(tmp_path, text), label=label, model=of)


def test_json_lines_and_other_delimiters_read_the_same(tmp_path):
    comma = draft(written(tmp_path, CHURN), label="churned", model=None)
    semicolon = draft(written(tmp_path, CHURN.replace(",", ";"), "b.csv"), label="churned", model=None)
    lines = [
        '{"age": 31, "plan": "basic", "active": true, "income": 2100.5, "churned": "no"}',
        '{"age": 62, "plan": "plus", "active": false, "income": 1800, "churned": "yes"}',
        '{"age": 44, "plan": "basic", "active": true, "income": -3e2, "churned": "no"}',
    ]
    jsonl = draft(written(tmp_path, "\n".join(lines), "c.jsonl"), label="churned", model=None)
    assert comma.facts == semicolon.facts == jsonl.facts


def test_empty_cells_are_counted_and_left_to_be_declared(tmp_path):
    found = draft(written(tmp_path, "a,b\n1,\n,2\n3,\n"), label=None, model=None)
    assert any("'b' has 2 empty cells of 3" in remark for remark in found.remarks)


def test_the_command_writes_beside_the_file_and_does_not_overwrite(tmp_path):
    path = written(tmp_path, CHURN)
    runner = CliRunner()
    assert runner.invoke(app, ["dataset", "draft", str(path), "--label", "churned"]).exit_code == 0
    facts = DatasetFacts.model_validate_json((tmp_path / "churn.csv.facts.json").read_bytes())
    assert len(facts.columns) == 5
    assert runner.invoke(app, ["dataset", "draft", str(path), "--label", "churned"]).exit_code == 2
