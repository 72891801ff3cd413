"""Does every form of answer survive the way to a reader?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from service.contracts.section import Lines, Section, Table
from tests.workers import subjects
from tests.workers.robustness.made import Linear, Number, asked, facts, picture
from workers.analyses.robustness import KIND
from workers.subject.subject import Subject


def inside(of: Subject) -> Subject:
    """With its examples within bounds of -1 to 1."""
    data = of.examples["evaluation"]
    return replace(of, examples={"evaluation": replace(data, inputs=data.inputs.clamp(-1, 1))})


def row() -> Subject:
    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(2))
    network = Linear(torch.tensor([1.0, 5.0, 1.0]), -3.5)
    return subjects.subject(network, inputs, network(inputs).argmax(1), facts((3,), "table", "NF"))


def number() -> Subject:
    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(1))
    return subjects.subject(Number(torch.ones(3)), inputs, None, facts((3,), "table", "NF", "regression"))


def wrong() -> Subject:
    of = picture(8)
    data = of.examples["evaluation"]
    assert data.labels is not None
    return replace(of, examples={"evaluation": replace(data, labels=1 - data.labels)})


FORMS: dict[str, Callable[[], Subject]] = {
    "picture": picture, "row": row, "number": number, "series": lambda: inside(subjects.series()),
    "tokens": subjects.speaks, "black box": lambda: replace(picture(6), black_box=True), "wrong everywhere": wrong,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_section_survives_json_and_no_two_points_are_on_one_line(form: str) -> None:
    made = asked(FORMS[form](), compare=["auto"], checks="quick").outcome
    section = KIND.section(made)
    text = section.model_dump_json()
    json.loads(text, parse_constant=pytest.fail)
    assert Section.model_validate_json(text) == section
    lines = [each.model_dump_json(exclude={"value", "low", "high", "n"}) for each in KIND.measurements(made)]
    assert len(set(lines)) == len(lines)
    assert KIND.outcome.model_validate_json(made.model_dump_json()) == made


def test_what_is_shown_of_a_row_is_what_was_changed_in_raw_units() -> None:
    of = row()
    made = asked(of, epsilons=[2.0])
    one = made.outcome.worst[0]
    stored = made.computed.arrays
    place = stored["index"].tolist().index(one.index)
    named = {each.name: each for each in one.changes}
    for feature in range(3):
        before, after = of.examples["evaluation"].inputs[one.index, feature], stored["made"][place, feature]
        if before != after:
            assert named[f"feature {feature}"].before == pytest.approx(float(before))
            assert named[f"feature {feature}"].after == pytest.approx(float(after))
    titles = [each.title for each in KIND.section(made.outcome).blocks if isinstance(each, Table)]
    assert f"What breaks example {one.index}" in titles


def test_what_is_shown_of_a_series_is_its_channel_before_and_after() -> None:
    of = inside(subjects.series())
    made = asked(of, epsilons=[3.0]).outcome
    assert made.worst
    for one in made.worst:
        assert one.line is not None
        channel = int(one.line.name.removeprefix("channel "))
        assert list(one.line.before) == of.examples["evaluation"].inputs[one.index, :, channel].tolist()
    figures = [each for each in KIND.section(made).blocks if isinstance(each, Lines)]
    assert len(figures) == 1 + len(made.worst)
