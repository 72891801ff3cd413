"""What all attributions share: certificate, classes, steps by tolerance, maps, controls, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from service.contracts.vocabulary import METRICS
from tests import networks
from tests.workers import subjects
from tests.workers.subjects import answer
from workers.analyses import KINDS
from workers.attribution.certificate import _EFFORTS, _features
from workers.attribution.controls import _grown
from workers.attribution.findings import NOT_USABLE
from workers.attribution.measurements import _CHECKED
from workers.attribution.totals import averages, classes_of
from workers.certificate.definitions import DEFINITIONS
from workers.sweep import run
from workers.sweep.methods.unit_sums import UnitEnds

CONDUCTANCE, GRADIENTS = KINDS["layer_conductance"], KINDS["integrated_gradients"]
ATTRIBUTIONS = [kind for kind in KINDS.values() if kind.page and kind.family == CONDUCTANCE.family]
ROOT = Path(__file__).parents[3]
MESSAGES = ("ignore:TF32 acceleration on top of oneDNN",)


def reader(examples: int = 4) -> subjects.Subject:
    """A network on ids and a mask."""
    ids = torch.randint(0, 10, (examples, 6), generator=torch.Generator().manual_seed(0))
    network = networks.ready(networks.Reader()).float()
    return subjects.subject(network, ids, further=(torch.ones_like(ids),), facts=subjects.masked().facts)


# --- the certificate


def test_a_failed_necessary_check_is_a_failure_and_the_answer_begins_with_it():
    made = answer(CONDUCTANCE, subjects.images(), steps=1, tolerance=1e-4).outcome
    assert made.usable is False
    assert made.tolerance_met is False
    assert set(made.missed) <= {layer.key for layer in made.own}
    (found,) = (each for each in made.findings if each.code == NOT_USABLE)
    assert found.severity == "failure"
    assert CONDUCTANCE.section(made).answer.startswith("Not usable in a report: completeness at ")
    (failed,) = (each for each in CONDUCTANCE.measurements(made) if each.metric == "failed_checks")
    assert failed.value >= 1


def test_a_sound_attribution_is_usable_and_its_checks_are_shown():
    made = answer(CONDUCTANCE, subjects.classifier()).outcome
    assert made.usable is True
    assert not made.findings
    section = CONDUCTANCE.section(made)
    table = next(block for block in section.blocks if block.block == "table" and block.title == "Certificate")
    assert len(table.rows) == len(made.certified.certificate.checks)
    assert "Not" not in section.answer[:4]


def test_without_a_certificate_the_answer_says_so():
    made = answer(CONDUCTANCE, subjects.classifier(), certificate="none").outcome
    assert made.certified is None
    assert CONDUCTANCE.section(made).answer.startswith("Not certified")


def test_a_full_certificate_takes_more_stages_and_places_than_a_quick_one():
    of = subjects.images()
    quick, full = (
        answer(CONDUCTANCE, of, certificate=effort, steps=20).outcome.certified for effort in ("quick", "full")
    )
    assert len(quick.stages) < len(full.stages)
    assert len(quick.places) == 8 < len(full.places)


def test_inputs_are_checked_by_deletion_and_slopes_are_not():
    of = subjects.images()
    names = {
        kind: {
            check.name: check.verdict for check in answer(KINDS[kind], of).outcome.certified.certificate.checks
        }
        for kind in ("integrated_gradients", "saliency")
    }  # fmt: skip
    assert names["integrated_gradients"]["deletion"] in ("passed", "failed")
    assert names["saliency"]["deletion"] == "not applicable"
    assert names["saliency"]["max_sensitivity"] == "no threshold"


def test_a_method_that_draws_is_compared_over_seeds():
    checks = answer(KINDS["smoothgrad"], subjects.classifier()).outcome.certified.certificate.checks
    assert {"spread_over_seeds", "ranks_over_seeds"} <= {check.name for check in checks}


def test_the_standard_errors_of_drawn_coalitions_are_in_the_outcome_and_of_all_coalitions_are_zero():
    of = subjects.classifier()
    drawn, every = (
        next(
            check
            for check in answer(KINDS["kernel_shap"], of, samples=samples).outcome.certified.certificate.checks
            if check.name == "standard_error"
        )
        for samples in (40, 64)
    )
    assert (drawn.place, drawn.verdict) == ("input", "no threshold")
    assert drawn.value > 0
    assert every.value == 0


def test_every_metric_of_a_check_has_its_direction():
    for check, metric in _CHECKED.items():
        assert METRICS[metric].direction == DEFINITIONS[check].direction


def test_the_inputs_of_a_unit_add_up_to_its_own_conductance_and_the_report_shows_both():
    made = answer(KINDS["neuron_conductance"], subjects.classifier(), layer="1", units=("3", "0"), steps=200).outcome
    assert [each.index for each in made.chosen_units] == [(3,), (0,)]
    checks = {check.name: check for check in made.certified.certificate.checks}
    assert checks["unit_conductance"].verdict == "passed"
    assert checks["unit_conductance"].threshold == 0.05
    assert checks["max_sensitivity"].verdict == "no threshold"
    for name in ("deletion", "insertion", "infidelity", "infidelity_share"):
        assert "the chosen units alone" in checks[name].because
    titles = {
        block.title: block for block in KINDS["neuron_conductance"].section(made).blocks if block.block == "table"
    }
    assert len(titles["The chosen units, found two ways"].rows) == 2


def test_units_whose_inputs_do_not_add_up_are_not_usable_and_a_finding_names_them(monkeypatch):
    monkeypatch.setattr(UnitEnds, "error", lambda ends: torch.full_like(ends.own, 0.2))
    made = answer(KINDS["neuron_conductance"], subjects.classifier(), layer="1", units=("3",)).outcome
    assert made.usable is False
    found = {each.code: each for each in made.findings}
    assert "unit_conductance" in found[NOT_USABLE].evidence
    assert found["unit-conductance-not-met"].evidence == "unit 3: 0.2, n = 6"


# --- totals


def test_totals_by_class_are_means_over_the_examples_of_each():
    arrays = {
        "signed/a": torch.tensor([1.0, 2.0, 3.0, 5.0]), "absolute/a": torch.tensor([1.0, 2.0, 3.0, 5.0]),
        "output": torch.zeros(4).double(), "baseline_output": torch.zeros(4).double(),
    }  # fmt: skip
    found = averages(arrays, ["a"], ["a"], classes_of(torch.tensor([0, 2, 0, -1]), ["cat", "dog", "cow"]))["a"]
    assert [(each.name, each.total.value, each.total.n) for each in found.classes] == [("cat", 2.0, 2), ("cow", 2.0, 1)]
    assert found.total.value == 2.75
    assert found.error is None, "the output does not change"


@pytest.mark.parametrize("name", ["layer_conductance", "saliency"])
def test_units_are_told_for_every_class_with_intervals_and_a_table_shows_them(name):
    of = subjects.classifier(40)
    made = answer(KINDS[name], of, certificate="none", examples=40)
    for each in made.outcome.own:
        unit = each.top_units[0]
        assert unit.mean.interval == unit.magnitude.interval == "poisson-bootstrap"
        assert abs(unit.mean.value) <= unit.magnitude.value
        assert unit.magnitude.low < unit.magnitude.value < unit.magnitude.high
        assert [len(found.top_units) > 0 for found in each.classes] == [True] * len(each.classes)
        weighed = sum(found.total.n * next(u.magnitude.value for u in found.top_units) for found in each.classes) / 40
        assert weighed >= unit.magnitude.value * (1 - 1e-9), "the largest of a class is no less than any unit there"
    tables = [block for block in KINDS[name].section(made.outcome).blocks if block.block == "table"]
    by_class = next(block for block in tables if "by class" in block.title and "strongest" in block.title)
    assert {row[1].value for row in by_class.rows} == {found.name for found in made.outcome.own[0].classes}


def test_an_outcome_stored_before_units_had_magnitudes_still_opens():
    made = answer(CONDUCTANCE, subjects.classifier(), certificate="none").outcome.model_dump(mode="json")
    for name in ("chosen_units", "unsummed"):
        del made[name]
    for layer in made["layers"]:
        for each in layer["classes"]:
            del each["top_units"]
        for unit in layer["top_units"]:
            del unit["magnitude"]
    opened = CONDUCTANCE.outcome.model_validate(made)
    assert opened.layers[0].top_units[0].magnitude is None
    assert CONDUCTANCE.section(opened).blocks


def test_intervals_of_many_examples_are_bootstrapped_and_hold_the_mean():
    draws = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    arrays = {
        "signed/a": draws,
        "absolute/a": draws.abs(),
        "output": draws,
        "baseline_output": torch.zeros(400).double(),
    }
    found = averages(arrays, ["a"], ["a"], None)["a"]
    assert found.total.interval == "poisson-bootstrap"
    assert found.total.low < float(draws.mean()) < found.total.high
    assert found.total.high - found.total.low == pytest.approx(2 * 1.96 * float(draws.std()) / 20, rel=0.25)
    assert found.error.value == 0.0


# --- steps by tolerance


@pytest.mark.parametrize("kind", [CONDUCTANCE, GRADIENTS], ids=["layers", "inputs"])
def test_a_tolerance_is_met_and_the_steps_are_told(kind):
    made = answer(kind, subjects.images(), most_steps=512, tolerance=0.01)
    assert made.outcome.tolerance_met is True
    assert made.outcome.unsettled == 0
    assert 8 <= made.outcome.mean_steps <= made.outcome.steps <= 512
    assert made.outcome.usable is True
    assert all(run.passed is not False for run in made.controls), made.controls
    assert "was enough for all" in kind.section(made.outcome).blocks[0].text


def test_a_budget_that_ends_is_told():
    made = answer(CONDUCTANCE, subjects.images(), most_steps=8, tolerance=1e-6).outcome
    assert made.steps == 8
    assert made.unsettled == made.examples
    assert "was not enough for 5" in CONDUCTANCE.section(made).blocks[0].text


# --- what is shown


def test_a_text_has_a_map_of_its_tokens_and_the_embedding_its_own_name():
    made = answer(CONDUCTANCE, reader())
    assert "input" not in {layer.layer for layer in made.outcome.layers}
    assert "words" in {layer.key for layer in made.outcome.own}
    section = CONDUCTANCE.section(made.outcome)
    assert any(block.block == "heat" for block in section.blocks)
    assert made.outcome.held == ("mask",)


def test_inputs_are_told_apart_in_history_by_a_facet_and_never_as_layers():
    made = answer(GRADIENTS, subjects.pairs()).outcome
    assert [each.key for each in made.inputs] == ["input", "input_right"]
    points = GRADIENTS.measurements(made)
    assert all(point.layer is None for point in points)
    assert {point.facets["input"] for point in points if point.metric == "input_total"} == {"input", "input_right"}


def test_a_container_asked_for_alone_is_shown_under_its_own_name():
    made = answer(CONDUCTANCE, subjects.images(), layers=("4",), steps=4).outcome
    assert [(layer.key, layer.same_as) for layer in made.own] == [("4", None)]
    assert CONDUCTANCE.section(made).answer


# --- controls


def test_an_error_grows_only_beyond_what_examples_differ_by():
    once = torch.tensor([1.0, 1.0, 1.0, 1.0])
    assert not _grown(once, once + torch.tensor([0.5, -0.4, 0.6, -0.3]))
    assert _grown(once, once + torch.tensor([0.5, 0.4, 0.6, 0.5]))
    assert not _grown(once, once)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 20])
def test_few_steps_over_a_small_change_raise_no_false_alarm(steps):
    for of in (subjects.classifier(), subjects.images(), subjects.pairs()):
        made = answer(CONDUCTANCE, of, steps=steps, tolerance=1e-6, certificate="none", verify=0)
        assert next(run for run in made.controls if run.name == "doubled steps").passed is not False, made.controls


@pytest.mark.parametrize("kind", ATTRIBUTIONS, ids=[kind.name for kind in ATTRIBUTIONS])
@pytest.mark.filterwarnings(*MESSAGES)
def test_every_kind_agrees_with_captum_in_double_precision(kind):
    of = subjects.images() if kind.name == "layer_gradcam" else subjects.classifier()
    made = answer(kind, of, verify=3, precision="float64", certificate="none").outcome
    compared = [check.difference for check in made.verified if check.difference is not None]
    assert compared, made.verified
    assert max(compared) < 1e-6


# --- a device without memory for a chunk


@pytest.mark.filterwarnings(*MESSAGES)
def test_chunks_that_had_to_be_halved_are_told(monkeypatch):
    real, failed = run.Watch.run, []

    def short_of_memory(watch, inputs):
        if len(inputs[0]) > 100 and not failed:
            failed.append(len(inputs[0]))
            raise torch.OutOfMemoryError("fake: CUDA out of memory")
        return real(watch, inputs)

    whole = answer(CONDUCTANCE, subjects.classifier(), certificate="none", verify=0).outcome
    monkeypatch.setattr(run.Watch, "run", short_of_memory)
    made = answer(CONDUCTANCE, subjects.classifier(), certificate="none", verify=0).outcome
    assert failed
    assert made.halved[0].start == 0
    assert made.halved[0].points * made.halved[0].examples < failed[0]
    assert "chunks-were-halved" in {each.code for each in made.findings}
    assert whole.halved == ()
    for one, other in zip(made.layers, whole.layers, strict=True):
        assert one.total.value == pytest.approx(other.total.value, rel=1e-4, abs=1e-6)


# --- what is one feature, and where no path is


def test_the_channels_of_one_place_are_one_feature_whatever_the_layout():
    def numbers(*shape, channels):
        few = SimpleNamespace(x=(torch.zeros(1, *shape),), probe=SimpleNamespace(inputs={"input": 0}))
        return _features(few, ("input",), {"input": channels})

    assert numbers(3, 8, 8, channels=0)["input"].unique().numel() == 64
    assert numbers(8, 8, 3, channels=2)["input"].unique().numel() == 64
    assert numbers(3, 16, channels=0)["input"].unique().numel() == 16
    assert numbers(16, 3, channels=1)["input"].unique().numel() == 16
    assert numbers(1, 16, channels=0)["input"].tolist() == [list(range(16))]
    assert numbers(5, channels=0) is None


def test_the_page_says_what_a_quick_certificate_takes():
    quick = _EFFORTS["quick"]
    page = " ".join((ROOT / "docs" / "certificate.md").read_text().split())
    assert (
        f"takes {quick.stages} stages, {quick.shufflings} shufflings, {quick.neighbours} neighbours and"
        f" {quick.perturbations} perturbations"
    ) in page
