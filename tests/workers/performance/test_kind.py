"""Does the kind say of models whose answers are known what follows by counting?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service.contracts.facts import Bounds, InputFacts, ModelFacts, OutputFacts
from service.contracts.section import Heat, Lines
from tests.workers.subjects import answer, context, subject
from workers.analyses.accuracy import KIND
from workers.kind import AnalysisError
from workers.subject.subject import Subject

N = 60


class Says(nn.Module):
    """Gives its inputs as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 1.0


def told(given: Tensor, labels: Tensor | None, *, kind: str = "probabilities", **declared: Any) -> Subject:
    """A model that answers with exactly these numbers."""
    width = given.shape[1]
    facts = ModelFacts(
        task=declared.pop("task", "classification"),
        input=InputFacts(kind="table", layout="NF", shape=(width,), bounds=Bounds(low=(-99.0,), high=(99.0,))),
        output=OutputFacts(kind=kind, classes=tuple(f"class {at}" for at in range(width))),
        **declared,
    )
    return subject(Says(), given, labels, facts)


@pytest.fixture
def sure() -> Subject:
    """Right three times of four, and 0.9 sure each time."""
    labels = torch.arange(N) % 3
    shown = torch.where(torch.arange(N) % 4 == 0, (labels + 1) % 3, labels)
    given = torch.full((N, 3), 0.05)
    given[torch.arange(N), shown] = 0.9
    return told(given, labels, accuracy=0.95)


def test_accuracy_scores_and_findings_follow_by_counting(sure: Subject) -> None:
    found = answer(KIND, sure)
    outcome = found.outcome
    assert outcome.accuracy.value == 0.75
    assert outcome.log_loss.value == pytest.approx(-(0.75 * np.log(0.9) + 0.25 * np.log(0.05)), rel=1e-6)
    assert outcome.calibration_error.value == pytest.approx(0.15, abs=1e-6)
    assert outcome.mean_confidence == pytest.approx(0.9, rel=1e-6)
    assert [each.accuracy.n for each in outcome.by_class] == [20, 20, 20]
    assert outcome.smallest_class == 20
    assert {each.code for each in outcome.findings} == {"below-declared", "few-examples"}
    points = {(each.metric, each.class_name): each.value for each in KIND.measurements(outcome)}
    assert points["accuracy_minus_declared", None] == pytest.approx(-0.2)
    assert points["clean_accuracy", "class 1"] == outcome.by_class[1].accuracy.value
    assert found.computed.arrays["predicted"].tolist() == [
        (label + 1) % 3 if at % 4 == 0 else label for at, label in enumerate(found.computed.arrays["label"].tolist())
    ]
    blocks = KIND.section(outcome).blocks
    assert {type(each) for each in blocks} >= {Lines, Heat}


def test_logits_are_made_probabilities_and_the_blocks_change_nothing(sure: Subject) -> None:
    given = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    of = told(given, torch.arange(N) % 4, kind="logits")
    whole = answer(KIND, of)
    small = answer(KIND, of, context(memory_bytes=1 << 14))
    assert torch.allclose(whole.computed.arrays["probability"], torch.softmax(given.double(), 1).float())
    assert small.outcome.log_loss == whole.outcome.log_loss


@pytest.mark.parametrize(
    ("given", "labels", "kind", "code"),
    [
        (torch.full((4, 2), 0.9), torch.zeros(4, dtype=torch.int64), "probabilities", "no-probabilities"),
        (torch.full((4, 2), float("nan")), torch.zeros(4, dtype=torch.int64), "logits", "not-finite"),
        (torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), "logits", "label-unknown"),
        (torch.zeros(4, 2), None, "logits", "not-applicable"),
        (torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), "values", "not-applicable"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(given: Tensor, labels: Tensor | None, kind: str, code: str) -> None:
    of, asked = told(given, labels, kind=kind), KIND.parameters()
    with pytest.raises(AnalysisError) as caught:
        KIND.compute(of, KIND.plan(of, asked, context())[0], asked, context())
    assert caught.value.code == code


def test_classes_without_examples_are_named() -> None:
    given = torch.eye(3).repeat(20, 1)
    found = answer(KIND, told(given, torch.zeros(60, dtype=torch.int64)))
    assert found.outcome.absent == ("class 1", "class 2")
    assert found.outcome.mistakes[0].count == 20


def test_other_tasks_are_not_applicable() -> None:
    of = told(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), task="regression")
    assert KIND.applies(of, KIND.parameters())[0].startswith("the model's task is regression")
