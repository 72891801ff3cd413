"""Does the kind say of a model where its prediction is decided, and refuse in words where it cannot?"""

from __future__ import annotations

import pytest
import torch

from lamina.zoo.families import FAMILIES
from lamina.zoo.family import facts, tokens
from service.contracts.section import Section
from service.contracts.vocabulary import METRICS
from tests.workers import subjects
from tests.workers.lens.networks import TOKENS, WORDS, Decides, of_family
from tests.workers.subjects import Answer, answer, context, subject
from workers.analyses.logit_lens import KIND
from workers.kind import Cancelled
from workers.subject.subject import Subject

pytestmark = pytest.mark.filterwarnings("ignore:::torch")
GPT = FAMILIES["gpt"]


def gpt(count: int = 4) -> Subject:
    return of_family(GPT, GPT.network(), examples=count)


def decides(ids: list[list[int]], *vectors: list[float], names: tuple[str, ...] = ()) -> Subject:
    declared = facts("next_token", tokens(TOKENS, WORDS))
    output = declared.output.model_copy(update={"classes": names})
    declared = declared.model_copy(update={"output": output})
    return subject(Decides(*vectors).eval(), torch.tensor(ids), None, declared)


def asked(one: Subject, **parameters: object) -> Answer:
    return answer(KIND, one, **parameters)


class TestRefusals:
    """What cannot be read is said in words."""

    def test_a_model_that_predicts_no_token(self):
        (why,) = KIND.applies(subjects.classifier(), KIND.parameters())
        assert "only models that predict a token" in why

    def test_an_unknown_block(self):
        (why,) = KIND.applies(gpt(), KIND.parameters(layers=("layers.9",)))
        assert "layers.9: no such layer ran" in why

    def test_a_layer_that_other_paths_pass_by(self):
        (why,) = KIND.applies(gpt(), KIND.parameters(layers=("layers.0.feed",)))
        assert "does not stand for the model there" in why

    def test_a_position_outside(self):
        (why,) = KIND.applies(gpt(), KIND.parameters(position="6"))
        assert "no position 6" in why

    def test_what_is_no_position(self):
        with pytest.raises(ValueError, match="position"):
            KIND.parameters(position="last")


def test_a_model_whose_decision_is_known():
    """Token 0 is ahead after the embedding, token 1 after block one, token 2 after block two; see test_lens."""
    one = decides([[1, 2, 0], [3, 3, 2]], [0, 2, 0, 0], [0, 0, 3, 0], names=("a", "b", "c", "d"))
    found = asked(one).outcome
    assert [stage.key for stage in found.stages] == ["words", "blocks.0", "blocks.1"]
    assert [stage.depth for stage in found.stages] == [0.0, 0.5, 1.0]
    assert [stage.first.value for stage in found.stages] == [0.5, 0.0, 1.0]
    assert [stage.decided for stage in found.stages] == [0, 0, 2]
    assert [stage.rank.value for stage in found.stages] == [1.5, 2.5, 1.0]
    assert found.decided.value == 1.0
    assert found.read[0].final.text == "c"
    assert [said.words[0].text for said in found.read[0].stages] == ["a", "b", "c"]
    assert [each.code for each in found.findings] == ["decided-by-the-last-block"]


def test_what_is_decided_early_is_said_so():
    found = asked(decides([[1, 2, 0], [3, 3, 0]], [1, 0, 0, 0], [1, 0, 0, 0])).outcome
    assert found.decided.value == 0.0
    assert found.stages[0].decided == 2
    assert found.findings == ()


def test_states_that_the_head_misreads_are_a_finding():
    """After the embedding token 0 stands at 40, and at the end token 1: further off than knowing nothing."""
    one = decides([[1, 2, 0], [3, 3, 0]], [40, 0, 0, 0], [-40, 40, 0, 0])
    found = asked(one).outcome
    assert [each.code for each in found.findings] == ["not-readable", "decided-by-the-last-block"]
    assert "not shown to be absent" in KIND.section(found).answer


def test_intervals_of_shares_stay_within_them():
    found = asked(gpt()).outcome
    for average in (found.decided, *(stage.probability for stage in found.stages)):
        assert 0 <= average.low <= average.value <= average.high <= 1


@pytest.mark.parametrize("name", ["gpt", "t5"])
def test_section_measurements_and_controls_of_the_zoo(name):
    one = of_family(FAMILIES[name], FAMILIES[name].network())
    ours = asked(one)
    section = KIND.section(ours.outcome)
    assert Section.model_validate_json(section.model_dump_json()) == section
    assert KIND.outcome.model_validate_json(ours.outcome.model_dump_json()) == ours.outcome
    assert [run.passed for run in ours.controls] == [True, True]
    layers = {layer.name for layer in one.manifest.layers}
    points = KIND.measurements(ours.outcome)
    assert {point.metric for point in points} == set(KIND.metrics) <= set(METRICS)
    assert all(point.layer is None or point.layer.partition("@")[0] in layers for point in points)
    lines = [point.model_dump_json(exclude={"value", "low", "high", "n"}) for point in points]
    assert len(set(lines)) == len(lines)


def test_small_batches_give_the_same_numbers():
    one = gpt()
    whole = asked(one)
    (part,) = KIND.plan(one, KIND.parameters(), context())
    assert part.plan["batch"] == 4
    cut = KIND.compute(
        one, type(part)(index=0, requests=(), plan={**part.plan, "batch": 3}), KIND.parameters(), context()
    )
    for name, array in whole.computed.arrays.items():
        torch.testing.assert_close(cut.arrays[name], array, rtol=1e-4, atol=1e-6, msg=name)


def test_a_budget_that_holds_no_example_is_refused():
    with pytest.raises(ValueError, match="raise the budget"):
        KIND.plan(gpt(), KIND.parameters(), context(memory_bytes=1000))


def test_it_stops_where_the_asker_cancels():
    one = gpt()
    (part,) = KIND.plan(one, KIND.parameters(), context())
    with pytest.raises(Cancelled):
        KIND.compute(one, part, KIND.parameters(), context(stop=lambda: True))


def test_a_model_whose_ids_reach_the_head_past_its_blocks_is_refused(monkeypatch):
    one = gpt()
    forward = type(one.model).forward
    monkeypatch.setattr(type(one.model), "forward", lambda self, ids: forward(self, ids) + self.words(ids)[..., :1])
    (why,) = KIND.applies(one, KIND.parameters())
    assert "does not stand for the model there" in why


class TestControls:
    """Each can fail."""

    def test_examples_that_differ_with_nothing_in_the_last_state_are_seen(self, monkeypatch):
        said = torch.tensor([[0.0, 1.0], [0.0, 1.1]])
        monkeypatch.setattr("workers.analyses.logit_lens.controls.after", lambda *_: said)
        runs = {run.name: run.passed for run in asked(gpt()).controls}
        assert runs["an empty state"] is False

    def test_one_example_alone_cannot_be_compared(self):
        runs = {run.name: run.passed for run in asked(gpt(1)).controls}
        assert runs == {"the last block": True, "an empty state": None}

    def test_a_state_that_does_not_come_back_is_seen(self, monkeypatch):
        monkeypatch.setattr("workers.lens.run._with", lambda tree, position, state: tree + 1)
        runs = {run.name: run.passed for run in asked(gpt()).controls}
        assert runs["the last block"] is False
