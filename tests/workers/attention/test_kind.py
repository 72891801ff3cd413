"""Does the kind say of a network what its attention does, and refuse in words where it cannot?"""

from __future__ import annotations

from importlib import import_module
from math import log

import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.family import facts, series
from service.contracts.section import Section
from service.contracts.vocabulary import METRICS
from tests.workers import subjects
from tests.workers.attention.networks import TOKENS, WIDTH, Layers, Pooled, examples, made
from tests.workers.subjects import Answer, answer, context, subject
from workers.analyses.attention_rollout import KIND
from workers.attention.operators import Attend
from workers.kind import Cancelled
from workers.results import check_png
from workers.subject.subject import Subject

pytestmark = pytest.mark.filterwarnings("ignore:::torch")


def zoo(name: str, count: int = 4, batch: int | None = None) -> Subject:
    family = FAMILIES[name]
    first, *further = family.examples(count)
    return subject(family.network(), first, None, family.facts, batch, tuple(further))


def of(network: nn.Module, x: Tensor | None = None) -> Subject:
    """A network on sequences of 5 times 8 numbers."""
    declared = facts("classification", series(TOKENS, WIDTH))
    return subject(network.float().eval(), (examples() if x is None else x).float(), None, declared)


def asked(one: Subject, **parameters: object) -> Answer:
    return answer(KIND, one, **parameters)


class Looks(nn.Module):
    """Every token attends to the tokens that are marked in channel 0, alike; class 1 rises with their channel 1.

    Read at the first token; class 0 is half of the first token's own channel 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.inner(x)
        return torch.stack([x[:, 0, 2] / 2, mixed[:, 0, 1], 0 * mixed[:, 0, 0]], 1)


class Inner(nn.Module):
    """The attention of `Looks`."""

    def forward(self, x: Tensor) -> Tensor:
        query = torch.ones_like(x[..., :1]) + 0 * x[..., :1]
        scores = 50.0 * query @ x[..., :1].mT
        return torch.softmax(scores, -1) @ x


def marked(*at: int, count: int = 3) -> Tensor:
    """Examples whose tokens `at` are marked."""
    x = 0.1 * examples(count).float()
    x[:, :, 0] = 0.0
    x[:, at, 0] = 1.0
    return x


class TestRefusals:
    """What cannot be followed is said in words, with what to ask instead."""

    def test_a_network_without_attention(self):
        (why,) = KIND.applies(subjects.images(), KIND.parameters())
        assert "no attention was found" in why

    def test_a_decoder_asks_for_the_other_rule(self):
        (why,) = KIND.applies(zoo("t5"), KIND.parameters())
        assert 'ask for the rule "gradient"' in why
        assert KIND.applies(zoo("t5"), KIND.parameters(rule="gradient")) == ()

    def test_a_position_outside(self):
        (why,) = KIND.applies(zoo("gpt"), KIND.parameters(read="position:6"))
        assert "no position 6: the sequence has 6 tokens" in why

    def test_a_target_that_does_not_fit(self):
        (why,) = KIND.applies(zoo("vit"), KIND.parameters(target="class:unheard"))
        assert "no class 'unheard'" in why

    @pytest.mark.parametrize("read", ["second", "position:", "position:-1", "position:1234567"])
    def test_words_it_does_not_know(self, read):
        with pytest.raises(ValueError, match="read"):
            KIND.parameters(read=read)


class TestPlanted:
    """Networks in which it is known what is read."""

    def test_the_only_token_that_is_attended_to_is_found(self):
        found = asked(of(Looks(), marked(3)), target="class:middle").outcome
        shares = [each.share.value for each in found.positions]
        assert shares == pytest.approx([0.5, 0.0, 0.0, 0.5, 0.0], abs=1e-6)  # half by the residual connection
        assert found.depths[0].entropy.value == pytest.approx(log(2), abs=1e-5)

    def test_of_two_tokens_the_gradient_finds_the_one_that_raises_the_target(self):
        x = marked(1, 3)
        x[:, :, 1] = 0.0
        x[:, 1, 1], x[:, 3, 1] = 4.0, -4.0
        plain, weighted = (
            asked(of(Looks(), x), target="class:middle", rule=rule).outcome for rule in ("rollout", "gradient")
        )
        assert [each.share.value for each in plain.positions] == pytest.approx([0.5, 0.25, 0, 0.25, 0], abs=1e-5)
        assert [each.share.value for each in weighted.positions] == pytest.approx([0, 1, 0, 0, 0], abs=1e-5)

    def test_a_target_that_no_attention_raises_has_no_relevance_and_says_so(self):
        x = marked(1, 3)
        x[:, :, 1] = -1.0
        made = asked(of(Looks(), x), target="class:middle", rule="gradient").outcome
        assert made.irrelevant == 3
        assert made.positions == ()
        assert [each.code for each in made.findings] == ["no-relevance"]
        assert "no token has any relevance" in KIND.section(made).answer

    def test_a_target_that_attention_does_not_lead_to_is_refused(self):
        one = of(Looks(), marked(3))
        with pytest.raises(ValueError, match="does not depend on what the last attention"):
            asked(one, target="class:low")


def test_entropies_distances_and_positions_are_means_over_examples():
    ours = asked(zoo("transformer"))
    arrays, found = ours.computed.arrays, ours.outcome
    for at, each in enumerate(found.attentions):
        assert each.entropy.value == pytest.approx(float(arrays["attention_entropy"][:, at].mean()))
        assert each.distance.value == pytest.approx(float(arrays["attention_distance"][:, at].mean()))
    expected = arrays["rows"][:, -1].mean(0).tolist()
    assert [each.share.value for each in found.positions] == pytest.approx(expected, rel=1e-5)
    assert sum(each.share.value for each in found.positions) == pytest.approx(1)
    assert found.depths[-1].total.value == pytest.approx(1)


@pytest.mark.parametrize("rule", ["rollout", "gradient"])
def test_small_batches_give_the_same_numbers(rule):
    one = zoo("bert")
    whole = asked(one, rule=rule)
    case = KIND.plan(one, KIND.parameters(rule=rule), context())[0]
    assert case.plan["batch"] == 4
    part = type(case)(index=0, requests=(), plan={**case.plan, "batch": 1})
    cut = KIND.compute(one, part, KIND.parameters(rule=rule), context())
    for name, array in whole.computed.arrays.items():
        torch.testing.assert_close(cut.arrays[name], array, rtol=1e-4, atol=1e-6, msg=name)


def test_a_budget_that_holds_no_example_is_refused():
    with pytest.raises(ValueError, match="raise the budget"):
        KIND.plan(zoo("vit"), KIND.parameters(), context(memory_bytes=1000))


def test_rows_are_kept_as_far_as_they_fit(monkeypatch):
    module = import_module("workers.analyses.attention_rollout.compute")  # its package has a function of that name
    monkeypatch.setattr(module, "_ARTIFACT_BYTES", 3 * 2 * 6 * 4)
    one = zoo("gpt")
    (part,) = KIND.plan(one, KIND.parameters(), context())
    part = type(part)(index=0, requests=(), plan={**part.plan, "batch": 1})
    made = KIND.merge(one, KIND.parameters(), [KIND.compute(one, part, KIND.parameters(), context())], context())
    assert made.outcome.kept == len(made.arrays["rows"]) == 3
    assert len(made.arrays["row_total"]) == 4


def test_padding_is_no_token_that_leads_to_the_target():
    one = zoo("bert")
    (mask,) = one.examples["evaluation"].further
    assert asked(one).outcome.reached.value == pytest.approx(float(mask.sum(1).double().mean()))


def test_attention_that_pools_is_listed_as_not_followed():
    found = asked(of(made(Pooled()))).outcome
    assert [each.subject for each in found.not_applicable] == ["pool"]
    assert "count alike" in found.not_applicable[0].because


@pytest.mark.slow
def test_a_network_of_one_batch_size_is_followed_in_batches_of_that():
    family = FAMILIES["vit"]
    network = family.network()
    (x,) = family.examples(5)
    exported = torch.export.unflatten(torch.export.export(network, (family.prepared((x,))[0][:2],), strict=False))
    found = asked(subject(exported, x, None, family.facts, batch=2)).outcome
    plain = asked(subject(network, x, None, family.facts)).outcome
    for ours, theirs in zip(found.positions, plain.positions, strict=True):
        assert ours.share.value == pytest.approx(theirs.share.value, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "rule", "block"),
    [("vit", "rollout", "picture"), ("gpt", "rollout", "heat"), ("transformer", "gradient", "heat"),
     ("t5", "gradient", "heat"), ("bert", "gradient", "heat")],
)  # fmt: skip
def test_every_family_has_its_figure_and_a_section_that_survives_json(name, rule, block):
    one = zoo(name)
    ours = asked(one, rule=rule)
    section = KIND.section(ours.outcome)
    assert block in [each.block for each in section.blocks]
    assert Section.model_validate_json(section.model_dump_json()) == section
    assert KIND.outcome.model_validate_json(ours.outcome.model_dump_json()) == ours.outcome
    assert all(run.passed is not False for run in ours.controls)
    for png in ours.computed.pictures.values():
        check_png(png)
    layers = {layer.name for layer in one.manifest.layers}
    points = KIND.measurements(ours.outcome)
    assert {point.metric for point in points} == set(KIND.metrics)
    assert all(point.layer is None or point.layer.partition("@")[0] in layers for point in points)
    lines = [point.model_dump_json(exclude={"value", "low", "high", "n"}) for point in points]
    assert len(set(lines)) == len(lines)


def test_patches_of_a_picture_have_distances_on_its_grid():
    found = asked(zoo("vit")).outcome
    assert found.grid == (2, 2, 1)
    assert all(each.distance.value <= 2**0.5 for each in found.attentions)


class TestControls:
    """Each can fail."""

    def failed(self, ours: Answer) -> list[str]:
        return [run.name for run in ours.controls if run.passed is False]

    def test_attention_done_otherwise_than_the_network_does_it_is_seen(self, monkeypatch):
        one = of(made(Layers(2, "fused")))
        assert self.failed(asked(one)) == []
        right = Attend.weights
        monkeypatch.setattr(Attend, "weights", lambda self: right(self).flip(-1))
        assert self.failed(asked(one)) == ["the same answer"]

    def test_rows_that_are_not_one_whole_are_seen(self, monkeypatch):
        one = of(made(Layers(2)))
        monkeypatch.setattr("workers.attention.rollout.with_residual", lambda attention: attention)
        assert self.failed(asked(one)) == ["even attention"]
        monkeypatch.setattr("workers.attention.rollout.with_residual", lambda attention: 0.9 * attention)
        assert self.failed(asked(one)) == ["one whole", "even attention"]

    def test_a_decoder_leaves_even_attention_undecided(self):
        runs = {run.name: run for run in asked(zoo("t5"), rule="gradient").controls}
        assert runs["even attention"].passed is None
        assert runs["the same answer"].passed is True


def test_it_stops_where_the_asker_cancels():
    one = zoo("gpt")
    (part,) = KIND.plan(one, KIND.parameters(), context())
    with pytest.raises(Cancelled):
        KIND.compute(one, part, KIND.parameters(), context(stop=lambda: True))


def test_even_shares_and_a_token_that_holds_most_are_findings():
    even = asked(zoo("transformer")).outcome
    assert [each.code for each in even.findings] == ["nearly-even"]
    sink = of(Looks(), marked(0))
    assert "one-position-holds-most" in [each.code for each in asked(sink, target="class:middle").outcome.findings]


def test_its_metrics_are_in_the_vocabulary():
    assert set(KIND.metrics) <= set(METRICS)
