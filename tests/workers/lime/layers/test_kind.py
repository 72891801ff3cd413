"""Does the kind choose layers, refuse in words, lose nothing of the rest, and keep to its plan?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from tests import networks
from tests.workers import subjects
from tests.workers.facts import model_facts
from tests.workers.lime.layers.networks import eye
from tests.workers.subjects import answer, context, subject
from workers.analyses.lime_layers import KIND
from workers.kind import AnalysisError, Cancelled
from workers.lime.layers.chosen import MOST_LAYERS, thinned
from workers.results import check_png

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")


def refusals(of, **parameters) -> tuple[str, ...]:
    return KIND.applies(of, KIND.parameters.model_validate(parameters))


class TestRefusals:
    """What cannot be read is said in words."""

    def test_a_black_box(self):
        (why,) = refusals(replace(subjects.classifier(), black_box=True))
        assert "a black box shows only its outputs; send a .pt2" in why

    def test_a_layer_that_is_not_there(self):
        (why,) = refusals(subjects.classifier(), layers=("hidden",))
        assert "hidden: no such layer ran; the nearest are" in why

    def test_a_target_that_does_not_fit(self):
        (why,) = refusals(subjects.classifier(), target="class:nobody")
        assert "no class 'nobody'" in why

    def test_more_surrogates_than_an_answer_holds(self):
        vectors = tuple({"layer": "0", "name": f"c{at}", "vector": (1.0, float(at))} for at in range(200))
        (why,) = refusals(subjects.classifier(64), readings=("concept",), concepts=vectors, examples=64)
        assert why.startswith("up to 201 readings of 64 examples are 12864 surrogates; 10000 are the most")

    def test_fewer_than_four_segments(self):
        network = networks.cnn().float()
        picture = torch.zeros(1, 1, 12, 12)
        of = subject(network, picture, torch.tensor([0]), model_facts((1, 12, 12), classes=5))
        (why,) = refusals(of, segmentation="felzenszwalb")
        assert why.startswith("example 0: ")
        assert "gives 1 segment" in why

    def test_an_input_of_another_kind(self):
        of = subjects.classifier()
        other = of.facts.input.model_copy(update={"kind": "video"})
        (why,) = refusals(replace(of, facts=of.facts.model_copy(update={"input": other})))
        assert "this model reads video" in why


class TestLayers:
    """Each tensor once, in order of running; what is left out is named."""

    def keys(self, of, **parameters) -> list[str]:
        return [layer.key for layer in answer(KIND, of, samples=100, examples=1, **parameters).outcome.layers]

    def test_a_container_that_passes_on_another_layers_tensor_is_not_read_twice(self):
        keys = self.keys(subjects.images())
        assert "4.relu2" in keys
        assert "4" not in keys

    def test_calls_of_one_module_are_layers_of_their_own(self):
        of = subject(networks.ready(networks.Reused()).float(), networks.points(4, 6).float(), torch.arange(4) % 3)
        assert self.keys(of) == ["first", "shared@0", "relu@0", "shared@1", "relu@1", "head"]

    def test_those_named_alone_by_layer_or_key(self):
        assert self.keys(subjects.images(), layers=("5", "4.conv1")) == ["4.conv1", "5.relu2"]

    def test_a_unit_asked_for_alone_is_read_in_its_layer_alone(self):
        assert self.keys(subjects.images(), readings=("unit:4.conv1:2",)) == ["4.conv1"]

    def test_an_unknown_name_among_known_ones_is_not_applicable(self):
        made = answer(KIND, subjects.classifier(), layers=("1", "hidden"), samples=100, examples=1)
        assert [layer.key for layer in made.outcome.layers] == ["1"]
        assert "no such layer ran" in made.outcome.not_applicable[0].because

    def test_of_many_layers_those_that_all_passes_through_come_first(self):
        assert thinned([True, False, False, True, False, True], 4) == (0, 3, 4, 5)
        assert thinned([True] * 5, 3) == (0, 2, 4)
        assert thinned([False, True], 9) == (0, 1)
        assert thinned([True] * 3, 1) == (2,)
        assert thinned([True], 0) == ()

    def test_of_very_many_layers_some_are_left_out_and_named(self):
        deep = nn.Sequential(*(nn.Tanh() for _ in range(MOST_LAYERS + 6)), nn.Linear(6, 3))
        made = answer(
            KIND, subject(deep.eval(), networks.points(2, 6).float(), torch.arange(2)), samples=100, examples=1
        )
        assert len(made.outcome.layers) == MOST_LAYERS
        (left,) = made.outcome.not_applicable
        assert "7 of 71 layers are left out" in left.because


class Fragile(nn.Module):
    """Raises where both first features are large; `ratio` divides by nothing where the last is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.ratio, self.last = nn.Linear(6, 4), Ratio(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if bool(((x[:, 0] > 1.2) & (x[:, 1] > 1.2)).any()):
            raise ValueError("both are large")
        return self.last(self.first(x)) + 0 * torch.nan_to_num(self.ratio(x)).sum(1, keepdim=True)


class Ratio(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1 / x


def fragile():
    torch.manual_seed(0)
    rows = (0.9 + 0.4 * torch.rand(12, 6)).clamp(max=1.3)
    rows[:2], rows[2:5, 5] = 0.95, 0.0
    return answer(
        KIND, subject(Fragile().eval(), rows, torch.arange(12) % 3, model_facts((6,))), samples=300, examples=1,
        readings=("direction", "norm"), sampling="quartile",
    )  # fmt: skip


def test_samples_at_which_the_network_raises_are_lost_and_counted():
    made = fragile()
    (example,) = made.outcome.explained
    assert 0 < example.lost < example.samples / 2
    assert "both are large" in example.lost_because
    (finding,) = [each for each in made.outcome.findings if each.code == "samples-lost"]
    assert f"example 0: {example.lost} of {example.samples}" in finding.evidence


def test_a_layer_that_is_not_finite_at_some_samples_is_left_out_and_costs_the_others_nothing():
    made = fragile()
    assert {each.key for each in made.outcome.at} == {"first", "last"}
    reasons = {each.subject: each.because for each in made.outcome.not_applicable}
    assert reasons["norm of ratio"] == "at some samples it is not finite, though the target is"


class Sparse(nn.Module):
    """Each row goes through one of two experts, which sees these rows alone."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts, self.last = (
            nn.Linear(6, 2),
            nn.ModuleList((nn.Linear(6, 4), nn.Linear(6, 4))),
            nn.Linear(4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        chosen, made = self.gate(x).argmax(1), torch.zeros(len(x), 4)
        for at, expert in enumerate(self.experts):
            made[chosen == at] = expert(x[chosen == at])
        return self.last(made)


def test_experts_that_see_some_rows_only_are_left_out_and_the_others_are_read():
    torch.manual_seed(1)
    made = answer(
        KIND, subject(Sparse().eval(), networks.points(6, 6).float(), torch.arange(6) % 3), samples=200, examples=3
    )
    assert {"gate", "last"} >= {each.key for each in made.outcome.at} >= {"last"}
    assert any("experts" in each.subject for each in made.outcome.not_applicable)
    assert {run.passed for run in made.controls} == {True}


def test_an_example_without_a_neighbourhood_is_listed_and_the_others_go_on():
    blocks = networks.points(1, 1, 3, 3).float().tanh().repeat_interleave(4, 2).repeat_interleave(4, 3)
    pictures = torch.cat([torch.zeros(1, 1, 12, 12), blocks])
    of = subject(networks.cnn().float(), pictures, torch.arange(2), model_facts((1, 12, 12), classes=5))
    made = answer(KIND, of, samples=100, examples=2, segmentation="felzenszwalb")
    assert [each.index for each in made.outcome.explained] == [1]
    (missing,) = made.outcome.not_applicable
    assert missing.subject == "example 0"
    assert "gives 1 segment" in missing.because


def test_a_language_model_is_read_at_its_embedding_and_blocks():
    family = FAMILIES["gpt"]
    of = subject(family.network(), family.examples(3)[0], None, family.facts)
    made = answer(KIND, of, target="next", samples=200, examples=2)
    keys = [layer.key for layer in made.outcome.layers]
    assert {"words", "layers.0", "layers.1", "norm", "head"} <= set(keys)
    assert [layer.key for layer in made.outcome.layers if layer.cut][-2:] == ["norm", "head"]
    assert all(each.key is not None for each in made.outcome.visible)
    assert sorted(made.computed.pictures) == ["layers-0.png", "layers-1.png"]


class Beside(nn.Module):
    """`side` runs, and the output does not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = nn.Linear(6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.side(x)
        return self.main(x)


def test_directions_are_of_layers_that_the_target_depends_on():
    of = subject(Beside().eval(), networks.points(4, 6).float(), torch.arange(4) % 3)
    made = answer(KIND, of, samples=100, readings=("direction", "norm"))
    read = {(each.key, each.reading) for each in made.outcome.at}
    assert ("side", "norm") in read
    assert ("side", "direction") not in read
    (why,) = [each for each in made.outcome.not_applicable if each.subject == "direction of side"]
    assert why.because == "the target does not depend on it"


def test_the_output_has_the_surrogate_that_it_has_when_no_layer_is_read():
    of = subjects.images()
    few = answer(KIND, of, layers=("0",), samples=300, examples=1).computed.arrays
    many = answer(KIND, of, readings=("direction", "norm"), samples=300, examples=1).computed.arrays
    for name in ("whole/0", "errors/0"):  # but for rounding: matrices of another size are added up in another order
        torch.testing.assert_close(few[name][0], many[name][0], rtol=1e-10, atol=1e-14)


def test_blocks_of_other_sizes_give_the_same_within_rounding():
    one, other = (
        answer(KIND, subjects.images(), rows=rows, samples=200, examples=1).computed.arrays["whole/0"]
        for rows in (7, 200)
    )
    assert one == pytest.approx(other, abs=1e-4 * float(other.abs().max()))


def test_every_example_seeds_its_own_samples_whatever_the_others_are():
    alone = answer(KIND, subjects.images(), samples=100, examples=1).computed.arrays["whole/0"]
    among = answer(KIND, subjects.images(), samples=100, examples=3).computed.arrays["whole/0"]
    assert torch.equal(alone, among)


def test_it_stops_when_it_is_cancelled():
    with pytest.raises(Cancelled):
        answer(KIND, subjects.images(), context(stop=lambda: True))


def test_where_nothing_can_be_read_the_reasons_are_given():
    with pytest.raises(AnalysisError, match="no example could be explained") as raised:
        answer(KIND, subjects.classifier(), readings=("unit:1:99",), samples=100, examples=1)
    assert "none of them is 99" in raised.value.detail
    assert "no layer has a number to explain" in raised.value.detail


def test_a_concept_and_a_unit_of_one_layer_come_from_the_same_samples():
    vector = (0.0, 0.0, 1.0, 0.0)
    made = answer(
        KIND, eye(), readings=("concept", "unit:act1:2"), segmentation="grid", cells=4, samples=200,
        concepts=({"layer": "act1", "name": "line", "vector": vector},),
    )  # fmt: skip
    whole = made.computed.arrays["whole/0"]
    assert [each.reading for each in made.outcome.at] == ["concept line", "unit 2"]
    assert torch.allclose(whole[1], whole[2], rtol=1e-6)
    assert made.outcome.visible == ()
    assert "surrogates of layers may be read" in KIND.section(made.outcome).answer


def test_the_pictures_of_each_kind_of_input_are_pictures():
    made = {
        name: answer(KIND, getattr(subjects, name)(), samples=100, examples=2)
        for name in ("images", "classifier", "series")
    }
    assert sorted(made["images"].computed.pictures) == ["layers.png"]
    for name in ("classifier", "series"):
        assert sorted(made[name].computed.pictures) == ["layers-0.png", "layers-1.png"]
    for each in made.values():
        for png in each.computed.pictures.values():
            check_png(png)
