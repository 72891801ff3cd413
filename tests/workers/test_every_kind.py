"""What every registered kind must keep to; a new kind costs nothing here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from service.contracts.outcome import Outcome
from service.contracts.section import Section
from service.contracts.vocabulary import METRICS
from tests.workers import subjects
from tests.workers.comparison.made import answered, pair
from tests.workers.subjects import Answer, answer, context
from workers.analyses import KINDS
from workers.catalog import document
from workers.results import check_png

ROOT = Path(__file__).parents[2]
SUBJECTS = {
    "classifier": subjects.classifier,
    "images": subjects.images,
    "series": subjects.series,
    "pairs": subjects.pairs,
    "masked": subjects.masked,
    "attends": subjects.attends,
    "speaks": subjects.speaks,
    "rows": subjects.rows,
    "two versions": lambda: pair(answered("1", [True] * 40), answered("2", [True, False] * 20)),
}
OF_FAMILY = {
    "two versions": ("comparison",),
    "attends": ("attention",),
    "speaks": ("attention", "lime", "robustness_text"),
    "rows": ("robustness",),
}
"""Subjects that only some kinds, or those of some families, are asked of: the others have enough in those above."""

# torch speaks of other accelerators when a recurrent layer is taken apart
pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
_ANSWERS: dict[tuple[str, str], Answer] = {}


IN_FULL, FEW = ("layer_conductance", "attention_rollout", "logit_lens"), 2
"""Kinds that every subject is asked about; the others, which share one frame, are asked about two in turn."""


def answers(kind: Any) -> Iterator[tuple[str, Answer]]:
    """What the kind says of subjects that it applies to, with default parameters; computed once."""
    names = [
        name for name in SUBJECTS if {kind.family, kind.name} & set(OF_FAMILY.get(name, (kind.family,)))
    ]  # fmt: skip
    first = 0 if kind.name in IN_FULL else list(KINDS).index(kind.name) % len(names)
    most = len(names) if kind.name in IN_FULL else FEW
    for name in (*names[first:], *names[:first]):
        if most == 0:
            return
        of = SUBJECTS[name]()
        if kind.applies(of, kind.parameters()) == () and set(kind.roles) <= set(of.examples):
            if (kind.name, name) not in _ANSWERS:
                _ANSWERS[kind.name, name] = answer(kind, of)
            most -= 1
            yield name, _ANSWERS[kind.name, name]


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema.get("properties", {}).items()


def test_every_file_of_the_analyses_is_registered():
    found = {
        path.stem
        for path in (ROOT / "workers" / "analyses").iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert found == set(KINDS)


@kinds
def test_defaults_validate_and_survive_json(kind):
    made = kind.parameters()
    assert kind.parameters.model_validate_json(made.model_dump_json()) == made


@kinds
def test_every_parameter_is_described_has_a_default_and_is_bounded_where_it_is_a_number(kind):
    for name, schema in properties(kind.parameters.model_json_schema()):
        assert schema.get("description"), name
        assert "default" in schema, name
        if schema.get("type") in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(schema), name
            assert {"maximum", "exclusiveMaximum"} & set(schema), name
        if schema.get("type") == "string":
            assert {"pattern", "enum", "maxLength"} & set(schema), name


@kinds
def test_unknown_parameters_are_refused(kind):
    with pytest.raises(ValueError, match="Extra inputs"):
        kind.parameters.model_validate({"no_such_parameter": 1})


@kinds
def test_it_applies_to_some_subject_of_the_tests(kind):
    assert list(answers(kind))


@kinds
def test_outcome_and_section_survive_json_without_nan(kind):
    for name, made in answers(kind):
        assert isinstance(made.outcome, Outcome)
        text = made.outcome.model_dump_json()
        json.loads(text, parse_constant=pytest.fail)
        assert kind.outcome.model_validate_json(text) == made.outcome, name
        section = kind.section(made.outcome)
        assert Section.model_validate_json(section.model_dump_json()) == section
        assert section.limits, "a section says what it does not show"
        assert section.title == kind.title
        assert section.source == kind.source


@kinds
def test_measurements_are_of_the_vocabulary_and_of_layers_that_exist(kind):
    assert set(kind.metrics) <= set(METRICS)
    for name, made in answers(kind):
        layers = {layer.name for layer in SUBJECTS[name]().manifest.layers}
        points = kind.measurements(made.outcome)
        assert points
        for point in points:
            assert point.metric in kind.metrics
            assert point.layer is None or point.layer.partition("@")[0] in layers
            assert (point.low is None) == (point.high is None)
        lines = [point.model_dump_json(exclude={"value", "low", "high", "n"}) for point in points]
        assert len(set(lines)) == len(lines), "two points of one analysis on one line of history"


@kinds
def test_pictures_are_pictures_and_arrays_are_finite(kind):
    for _, made in answers(kind):
        assert made.computed.arrays, "every analysis keeps what it found per example"
        for png in made.computed.pictures.values():
            check_png(png)
        for key, array in made.computed.arrays.items():
            assert not array.is_floating_point() or bool(torch.isfinite(array).all()), key


@kinds
def test_the_same_question_gives_the_same_answer(kind):
    for name, made in answers(kind):
        again = answer(kind, SUBJECTS[name]())
        assert again.outcome == made.outcome
        assert all(torch.equal(array, made.computed.arrays[key]) for key, array in again.computed.arrays.items())


@kinds
def test_controls_are_named_and_pass_on_sound_subjects(kind):
    assert kind.controls
    for _, made in answers(kind):
        assert [run.name for run in made.controls] == [control.name for control in kind.controls]
        assert [run.question for run in made.controls] == [control.question for control in kind.controls]
        assert all(run.passed is not False for run in made.controls), made.controls


@kinds
def test_some_control_can_be_decided(kind):
    runs = [run for _, made in answers(kind) for run in made.controls]
    assert any(run.passed is True for run in runs)


@kinds
def test_a_quote_is_a_positive_time_and_size(kind):
    for name, _ in answers(kind):
        quote = kind.quote(SUBJECTS[name](), kind.parameters(), 1 << 28)
        assert quote.seconds > 0
        assert 0 < quote.bytes < 1 << 40


@kinds
def test_plans_are_json_and_their_requests_are_values(kind):
    for name, _ in answers(kind):
        of, parameters = SUBJECTS[name](), kind.parameters()
        first, again = (kind.plan(of, parameters, context()) for _ in range(2))
        assert first == again
        for part in first:
            json.dumps([part.plan, *(request.plan() for request in part.requests)], allow_nan=False)
            assert len(set(part.requests)) == len(part.requests)


@kinds
def test_there_is_a_page_that_names_every_parameter_metric_control_and_the_source(kind):
    page = (ROOT / "docs" / "kinds" / f"{kind.name}.md").read_text(encoding="utf-8")
    for name, _ in properties(kind.parameters.model_json_schema()):
        assert f"`{name}`" in page, name
    for metric in kind.metrics:
        entry = METRICS[metric]
        assert f"`{metric}` | {entry.unit} | {entry.direction}" in page, metric
    for control in kind.controls:
        assert f"**{control.name}**" in page, control.name
    for heading in ("## Parameters", "## Outcome", "## Measurements", "## Controls", "## Limits", "## Source"):
        assert heading in page, heading
    arxiv = [word.strip(",.") for word in kind.source.split() if word.startswith("arXiv:")]
    assert all(word in page for word in arxiv)


def test_no_two_kinds_share_a_title():
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_the_catalogue_lists_every_kind_by_its_entry():
    listed = document()["kinds"]
    assert isinstance(listed, dict)
    assert list(listed) == list(KINDS)
    json.dumps(listed, allow_nan=False)
