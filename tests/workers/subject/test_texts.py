"""Does a model of texts, with a table of texts, go all the way from its files to an answer?"""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from service.contracts.base import digest_of_value
from service.contracts.facts import DatasetFacts
from service.contracts.job import (
    RESULT,
    Analyse,
    InspectDataset,
    Inspected,
    InspectModel,
    Member,
    StagedDataset,
    StagedModel,
    Succeeded,
)
from tests.workers.subject.huggingface.folders import eager, packed, saved, token_facts, wordpiece
from workers.analyses import KINDS
from workers.child import run
from workers.group import analyse
from workers.subject.staged import subject_of

pytestmark = pytest.mark.slow
KIND = KINDS["layer_conductance"]
FACTS = token_facts(kind="text")
TEXTS = ["the cat sat", "a dog ran far away", "the dog sat", "cat"]


class Line:
    """Nobody listens."""

    def progress(self, fraction: float, stage: str, **extra: Any) -> None: ...

    def say(self, message: dict[str, Any]) -> None: ...

    def cancelled(self) -> bool:
        return False


def inspected(folder: Path, source: Path, job: InspectModel | InspectDataset) -> Inspected:
    (folder / "inputs").mkdir(parents=True)
    source.rename(folder / "inputs" / "source")
    (folder / "job.json").write_text(job.model_dump_json())
    run(folder, Line())
    found = RESULT.validate_json((folder / "results" / "a" / "result.json").read_bytes())
    assert isinstance(found, Inspected), found
    return found


@pytest.fixture
def job(tmp_path) -> tuple[Analyse, Path]:
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    wordpiece(folder)
    source = packed(folder, tmp_path / "model.zip")
    model = inspected(tmp_path / "m", source, InspectModel(member="a", facts=FACTS))
    with (tmp_path / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "mood"], *((text, at % 3) for at, text in enumerate(TEXTS))])
    columns = [
        {"name": "text", "role": "text", "type": "text"},
        {"name": "mood", "role": "label", "type": "integer"},
    ]
    facts = DatasetFacts.model_validate(
        {"input": FACTS.input.model_dump(), "classes": FACTS.output.classes, "columns": columns}
    )
    data = inspected(tmp_path / "d", tmp_path / "texts.csv", InspectDataset(member="a", facts=facts))
    room = tmp_path / "analysis"
    for part in ("inputs", "results", "cancel"):
        (room / part).mkdir(parents=True)
    (tmp_path / "m" / "results" / "a" / model.canonical).rename(room / "inputs" / "model")
    (tmp_path / "d" / "results" / "a" / data.canonical).rename(room / "inputs" / "texts")
    digest = digest_of_value({"an": "analysis"})
    made = Analyse(
        members=(Member(id="a", kind=KIND.name, kind_version=KIND.version, parameters={}, digest=digest),),
        model=StagedModel(
            file="model", name="m", version="1", digest=model.manifest.canonical_digest, facts=FACTS,
            manifest=model.manifest,
        ),
        inputs={
            "evaluation": StagedDataset(
                file="texts", name="texts", digest=data.manifest.canonical_digest, facts=facts, manifest=data.manifest
            )
        },
        memory_bytes=1 << 28, sandbox_level="none",
    )  # fmt: skip
    return made, room


def test_texts_are_read_by_the_models_own_tokenizer(job, tmp_path):
    asked, room = job
    of = subject_of(asked, room / "inputs")
    data = of.examples["evaluation"]
    assert data.texts == tuple(TEXTS)
    assert [each.dtype for each in (data.inputs, *data.further)] == [torch.int64] * 2
    given = of.arguments(data, 1, 3)
    assert [len(each) for each in given] == [2, 2]
    stock = eager("bert", "BertForSequenceClassification", tmp_path / "folder")
    with torch.no_grad():
        expected = stock(input_ids=given[0], attention_mask=given[1]).logits
        assert float((of.model(*given) - expected).abs().max()) <= 3e-7


def test_the_conductance_of_a_text_is_told_token_by_token(job):
    """Ids have no path between them; what moves is what their embedding gives."""
    asked, room = job
    analyse(room, asked, Line(), KINDS)
    found = RESULT.validate_json((room / "results" / "a" / "result.json").read_bytes())
    assert isinstance(found, Succeeded), found
    outcome = KIND.outcome.model_validate(found.outcome)
    assert outcome.tolerance_met
    labels = outcome.sequence.labels
    assert labels[:2] == ("[CLS]", TEXTS[0].split()[0])
    assert labels[len(TEXTS[0].split()) + 1] == "[SEP]"
    assert {"heat"} <= {block.block for block in found.section.blocks}
