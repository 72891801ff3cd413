"""The conductance of all layers as an analysis: refusals, numbers, controls, findings, and what is kept."""

from __future__ import annotations

import copy
import dataclasses
import io

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from tests import networks
from tests.workers import subjects
from tests.workers.facts import input_facts
from tests.workers.subjects import answer, context, subject
from workers.analyses.layer_conductance import KIND, ConductanceParameters
from workers.kind import Cancelled
from workers.numerics.intervals import mean_t
from workers.results import check_png
from workers.sweep.refusals import BudgetTooSmall


def regression(shape: tuple[int, ...], **changes: object) -> ModelFacts:
    facts = {"task": "regression", "input": input_facts(shape, 0, 4), "output": {"kind": "values", "unit": "price"}}
    return ModelFacts.model_validate(facts | changes)


def pair(**changes: object):
    """f(x) = relu(x1 - 1) - relu(x2) at (3, 1) and (3, 3): the units of `relu` give (2, -1) and (2, -3)."""
    inputs = torch.tensor([[3.0, 1.0], [3.0, 3.0]])
    return subject(networks.relu_pair().float(), inputs, facts=regression((2,), **changes))


# --- refusals


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"target": "class:nonsense"}, "no class 'nonsense'"),
        ({"target": "class:7"}, "no class '7'"),
        ({"target": "element:7"}, "outside"),
        ({"target": "element:1,1"}, "has axes"),
        ({"layers": ("nonsense",)}, "nonsense"),
    ],
)
def test_what_the_model_does_not_have_is_not_applicable_and_named(parameters, reason):
    (said,) = KIND.applies(subjects.classifier(), ConductanceParameters(**parameters))
    assert reason in said


def test_labels_that_are_not_there_cannot_be_the_target():
    unlabelled = subject(networks.smooth_mlp().float(), networks.points(3, 6).float())
    (said,) = KIND.applies(unlabelled, ConductanceParameters(target="label"))
    assert "no labels" in said
    assert 'Ask for target "predicted".' in said


def test_the_probability_of_a_value_is_refused():
    (said,) = KIND.applies(pair(), ConductanceParameters(scale="probability"))
    assert "no classes" in said


def test_the_probability_of_one_logit_is_refused():
    facts = {"task": "regression", "input": input_facts((2,), 0, 4), "output": {"kind": "logits"}}
    one = subject(networks.relu_pair().float(), torch.ones(2, 2), facts=ModelFacts.model_validate(facts))
    (said,) = KIND.applies(one, ConductanceParameters(scale="probability"))
    assert "one logit" in said


@pytest.mark.parametrize("target", ["label", "class:0"])
def test_one_number_has_no_classes(target):
    (said,) = KIND.applies(pair(), ConductanceParameters(target=target))
    assert "no classes" in said


def test_a_probability_over_axes_that_are_not_named_is_refused():
    steps = nn.Sequential(nn.Linear(5, 3)).eval()  # (N, 7, 5) to (N, 7, 3): classes last, not first
    of = subject(steps, torch.randn(2, 7, 5))
    (said,) = KIND.applies(of, ConductanceParameters(target="element:1,2", scale="probability"))
    assert "do not say where the classes" in said
    assert KIND.applies(of, ConductanceParameters(target="element:1,2")) == ()


def test_a_class_is_called_by_its_name_even_when_that_is_a_number():
    of = subjects.classifier()
    names = tuple(str(index + 1) for index in range(len(of.facts.output.classes)))
    facts = of.facts.model_copy(update={"output": of.facts.output.model_copy(update={"classes": names})})
    renamed = dataclasses.replace(of, facts=facts)
    assert KIND.applies(renamed, ConductanceParameters(target="class:0")) != ()
    second, named = (
        answer(KIND, one, target=target, steps=4, verify=0).outcome.output_change
        for one, target in ((of, "element:1"), (renamed, "class:2"))
    )
    assert second == named


def test_a_network_that_couples_its_examples_is_not_applicable():
    (said,) = KIND.applies(
        subject(networks.ready(networks.Counter()).float(), networks.points(3, 6).float()), ConductanceParameters()
    )
    assert "other examples of the batch" in said


def test_only_layers_off_the_path_is_not_applicable_and_says_why():
    def first(network: nn.Module) -> nn.Module:
        network.register_forward_hook(lambda module, given, output: output[0])
        return network

    branches = subject(first(networks.ready(networks.Branches()).float()), networks.points(2, 6).float())
    (said,) = KIND.applies(branches, ConductanceParameters(layers=("side",)))
    assert "does not depend" in said


def test_too_small_a_budget_is_refused_with_both_sizes():
    with pytest.raises(BudgetTooSmall, match="MiB"):
        KIND.plan(subjects.images(), ConductanceParameters(), context(memory_bytes=1 << 20))


@pytest.mark.parametrize("bad", [{"steps": 0}, {"baseline": "constant:"}, {"target": "class:"}, {"rule": "simpson"}])
def test_parameters_out_of_range_do_not_validate(bad):
    with pytest.raises(ValueError, match="validation error"):
        ConductanceParameters(**bad)


# --- numbers


def test_totals_of_a_relu_pair_are_its_signed_output_changes():
    made = answer(KIND, pair(), steps=3, verify=0).outcome
    layers = {layer.key: layer for layer in made.layers}
    relu, expected = layers["relu"], mean_t([1.0, -1.0])
    assert (relu.total.value, relu.total.low, relu.total.high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-6
    )
    assert relu.absolute_total.value == pytest.approx(4.0)
    assert [unit.mean.value for unit in relu.top_units] == pytest.approx([2.0, -2.0])
    assert [unit.share for unit in relu.top_units] == pytest.approx([0.5, 0.5])
    assert relu.completeness_error.value == pytest.approx(0.0, abs=1e-6)
    assert made.output_change.value == pytest.approx(0.0, abs=1e-6)
    assert made.unit == "price"


@pytest.mark.parametrize(
    ("baseline", "expected"), [("zero", 2.0), ("constant:2", 1.0), ("midpoint", 1.0), ("mean", 0.0)]
)
def test_baselines_are_in_raw_units(baseline, expected):
    halved = {"input": {**input_facts((2,), 0, 4), "preprocessing": {"mean": [1], "std": [2]}}}
    network = networks.relu_pair().float()
    with torch.no_grad():  # undoes the preprocessing, so that the pair sees raw numbers
        network[0].weight.mul_(2)
        network[0].bias.add_(1)
    inputs = torch.tensor([[3.0, 1.0], [3.0, 3.0]])
    made = answer(
        KIND, subject(network, inputs, facts=regression((2,), **halved)), steps=1, baseline=baseline, verify=0
    )
    # the first unit is relu(x1 - 1): from the baseline's x1 to 3 it changes by 2 - relu(b - 1)
    assert made.computed.arrays["unit_mean/relu"][0] == pytest.approx(expected, abs=1e-6)


def test_per_example_arrays_hold_what_the_averages_are_made_of():
    of = subjects.classifier()
    made = answer(KIND, of, steps=8)
    arrays = made.computed.arrays
    for layer in made.outcome.layers:
        assert layer.total.value == pytest.approx(float(arrays[f"signed/{layer.key}"].mean()))
        assert layer.total.n == 6
        assert arrays[f"unit_mean/{layer.key}"].shape == layer.shape
    with torch.no_grad():
        expected = of.model(of.examples["evaluation"].inputs).max(1).values.double()
    torch.testing.assert_close(arrays["output"], expected)


def test_the_label_and_a_class_by_name_are_targets():
    of = subjects.classifier()
    with torch.no_grad():
        given = of.model(of.examples["evaluation"].inputs).double()
    label = answer(KIND, of, steps=2, target="label", verify=0).computed.arrays["output"]
    torch.testing.assert_close(label, given[torch.arange(6), torch.arange(6) % 3])
    named = answer(KIND, of, steps=2, target="class:class 2", scale="probability", verify=0).computed.arrays["output"]
    torch.testing.assert_close(named, given.softmax(1)[:, 2], rtol=1e-5, atol=1e-6)


def test_examples_are_limited_and_both_numbers_are_told():
    made = answer(KIND, subjects.classifier(), steps=2, examples=4).outcome
    assert (made.examples, made.available) == (4, 6)
    assert "4 of 6 examples" in KIND.section(made).answer


def test_one_example_has_no_intervals_and_still_an_answer():
    made = answer(KIND, subjects.classifier(), steps=4, examples=1).outcome
    assert all(layer.total.low is None for layer in made.layers)
    assert KIND.section(made).blocks
    assert all(point.low is None for point in KIND.measurements(made) if point.metric == "layer_total")


def test_double_precision_is_closer_to_captum_and_leaves_the_model_as_it_is():
    of = subjects.images()
    rough, fine = (
        answer(KIND, of, steps=10, verify=100, precision=precision).outcome for precision in ("float32", "float64")
    )
    assert max(check.difference for check in fine.verified if check.difference is not None) < 1e-6
    assert len(rough.verified) == len(fine.verified) == len(fine.own)
    assert next(of.model.parameters()).dtype == torch.float32


def test_an_exported_network_can_be_computed_in_double_precision():
    x = networks.points(6, 6).float()
    batch = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(networks.mlp().float(), (x,), dynamic_shapes=batch)
    of = subject(torch.export.unflatten(exported), x)
    rough, fine = (answer(KIND, of, steps=8, precision=precision).outcome for precision in ("float32", "float64"))
    assert fine.output_change.value == pytest.approx(rough.output_change.value, rel=1e-5)


def test_two_outputs_of_a_recurrent_layer_and_calls_of_a_reused_one_are_told_apart():
    made = answer(KIND, subjects.series(), steps=4, verify=100).outcome
    (rnn, _) = made.layers
    assert (rnn.key, rnn.layer, rnn.output) == ("rnn:0", "rnn", 0)
    assert {entry.subject for entry in made.not_applicable} == {"rnn:1", "rnn:2"}
    assert all("its attribution is zero" in entry.because for entry in made.not_applicable)
    assert "gives 3 tensors" in made.verified[0].reason
    points = [point for point in KIND.measurements(made) if point.layer == "rnn"]
    assert {point.facets["output"] for point in points} == {"0"}
    reused = subject(networks.ready(networks.Reused()).float(), networks.points(3, 6).float())
    outcome = answer(KIND, reused, steps=4).outcome
    assert [layer.call for layer in outcome.layers if layer.layer == "relu"] == [0, 1]


# --- controls and findings


def test_every_control_passes_on_sound_subjects():
    for of in (pair(), subjects.classifier(), subjects.images(), subjects.series()):
        for run in answer(KIND, of, steps=20).controls:
            assert run.passed is not False, run


def test_the_controls_fail_where_attribution_is_broken(monkeypatch):
    class Leaking:
        """Gives every unit of every layer the same share, whatever flows through it."""

        def __init__(self, rule: str, total: Tensor, *, chunks: int) -> None:
            self.total = total

        def add(self, values: Tensor, gradients: Tensor) -> None:
            self.total.add_(0.1 * values.shape[0])

        def attribution(self, _change: Tensor | None) -> Tensor:
            return self.total

    of = subjects.classifier()
    parameters = ConductanceParameters(steps=8)
    monkeypatch.setattr("workers.sweep.run.PathSum", Leaking)
    runs = {control.name: control.run(of, parameters, context()) for control in KIND.controls}
    assert runs["a layer off the path"].passed is False
    assert runs["doubled steps"].passed is False


def test_too_few_steps_are_found_and_more_are_advised():
    rough = answer(KIND, subjects.images(), steps=1, tolerance=0.001).outcome
    found = [finding for finding in rough.findings if finding.code == "completeness-not-met"]
    assert found
    assert "more than 1 steps" in found[0].advice
    assert found[0].layer in {layer.key for layer in rough.layers}
    fine = answer(KIND, subjects.classifier(), steps=400, tolerance=0.05).outcome
    assert not fine.findings


def test_disagreement_with_captum_is_a_failure(monkeypatch):
    from workers.sweep import captum_check

    real = captum_check._captum
    monkeypatch.setattr(captum_check, "_captum", lambda *given: real(*given) * 1.01)
    made = answer(KIND, subjects.classifier(), steps=4, verify=2).outcome
    found = [finding for finding in made.findings if finding.code == "captum-disagrees"]
    assert [finding.severity for finding in found] == ["failure", "failure"]


def test_an_output_that_does_not_change_is_said():
    same = subject(networks.smooth_mlp().float(), torch.zeros(3, 6))
    made = answer(KIND, same, steps=4).outcome
    assert "output-does-not-change" in {finding.code for finding in made.findings}
    assert all(layer.absolute_total.value == 0 for layer in made.layers)


def test_it_stops_at_the_next_chunk_once_cancelled():
    within = context(stop=lambda: True)
    of, parameters = subjects.classifier(), ConductanceParameters(steps=4)
    (part,) = KIND.plan(of, parameters, within)
    with pytest.raises(Cancelled):
        KIND.compute(of, part, parameters, within)


def test_equal_passes_are_made_once_for_two_questions_that_need_them():
    of, within = subjects.classifier(), context()
    one = answer(KIND, of, within, steps=4, verify=0, tolerance=0.1)
    two = answer(KIND, of, within, steps=4, verify=0, tolerance=0.2)
    assert len(within.passes) == 1
    assert one.outcome.layers == two.outcome.layers
    answer(KIND, of, within, steps=5, verify=0)
    assert len(within.passes) == 2


def test_captum_is_compared_with_the_very_numbers_that_are_reported():
    of, within = subjects.classifier(), context()
    parameters = ConductanceParameters(steps=4, verify=3)
    (part,) = KIND.plan(of, parameters, within)
    made = within.run(part.requests[0], of)
    made.kept._blocks["2"][0].mul_(1.5)
    verified = {
        each["layer"]: each["difference"] for each in KIND.compute(of, part, parameters, within).values["verified"]
    }
    assert verified.pop("2", 0.5) == pytest.approx(0.5, rel=1e-3)
    assert all(difference < 1e-4 for difference in verified.values())


def test_the_same_question_gives_the_same_bits():
    first, second = (answer(KIND, subjects.images(), steps=6) for _ in range(2))
    assert first.outcome == second.outcome
    for name, array in first.computed.arrays.items():
        assert torch.equal(array, second.computed.arrays[name])
    assert first.computed.pictures == second.computed.pictures


# --- what a reader gets


def test_the_picture_shows_the_first_examples_and_layers_from_input_to_output():
    made = answer(KIND, subjects.images(), steps=6)
    (shown,) = made.outcome.pictures
    assert shown.artifact == "layers.png"
    png = made.computed.pictures["layers.png"]
    check_png(png)
    assert Image.open(io.BytesIO(png)).size[0] > 12 * 12
    maps = {name.removeprefix("map/"): each for name, each in made.computed.arrays.items() if name.startswith("map/")}
    assert next(iter(maps)) == "0"
    assert maps["0"].shape == (5, 12, 12)
    assert not answer(KIND, subjects.classifier(), steps=2).computed.pictures


def test_the_section_holds_the_numbers_of_the_outcome():
    made = answer(KIND, subjects.images(), steps=6).outcome
    section = KIND.section(made)
    bars = next(block for block in section.blocks if block.block == "bars")
    leaves = {layer.key: layer for layer in made.layers if not layer.container and layer.same_as is None}
    assert {bar.label: bar.value for bar in bars.bars} == {
        key: layer.absolute_total.value for key, layer in leaves.items()
    }
    assert len(bars.table.rows) == len(made.layers)
    picture = next(block for block in section.blocks if block.block == "picture")
    assert picture.artifact == "layers.png"


def test_history_has_a_point_per_layer_and_metric():
    made = answer(KIND, subjects.images(), steps=6, verify=1).outcome
    points = KIND.measurements(made)
    metrics = [point.metric for point in points]
    every = [point for point in points if point.class_name is None]
    for metric in ("layer_total", "layer_absolute_total"):
        assert [point.metric for point in every].count(metric) == len(made.own)
        assert metrics.count(metric) == len(made.own) * (1 + 5), "and one for each class"
    cuts = [layer for layer in made.own if layer.completeness_error is not None]
    assert metrics.count("completeness_error") == len(cuts) > 3
    assert metrics.count("captum_difference") == 1
    assert metrics.count("clean_accuracy") == 1
    assert {point.metric for point in points} <= set(KIND.metrics)


def test_every_floating_input_moves_from_its_own_baseline_in_its_own_units():
    of = subjects.pairs()
    found = answer(KIND, of, precision="float64", baseline="mean", target="label", verify=3).outcome
    left, right = of.examples["evaluation"].inputs.double(), of.examples["evaluation"].further[0].double()
    network = copy.deepcopy(of.model).double()
    with torch.no_grad():
        ends = [network(a, (b - 10) / 2) for a, b in ((left, right), (left.mean(0)[None], right.mean(0)[None]))]
    change = (ends[0] - ends[1])[torch.arange(4), torch.arange(4) % 3]
    assert found.output_change.value == pytest.approx(float(change.mean()))
    assert found.held == ()
    compared = [check for check in found.verified if check.difference is not None]
    assert compared
    assert max(check.difference for check in compared) < 1e-5
    assert all(run.passed for run in answer(KIND, of, steps=10).controls)


def test_a_mask_is_held_and_the_answer_says_so():
    found = answer(KIND, subjects.masked(), steps=5)
    assert found.outcome.held == ("mask",)
    assert all(run.passed for run in found.controls)
    assert "Held as they are, not moved: mask" in str(KIND.section(found.outcome).blocks[0])


def test_ids_move_as_what_their_embedding_gives_and_a_mask_is_held():
    network = networks.ready(networks.Reader()).float()
    ids = torch.randint(0, 10, (4, 6), generator=torch.Generator().manual_seed(0))
    of = subjects.subject(network, ids, further=(torch.ones_like(ids),), facts=subjects.masked().facts)
    made = answer(KIND, of)
    assert made.outcome.held == ("mask",)
    assert made.outcome.tolerance_met
    assert all(run.passed is not False for run in made.controls), made.controls
