"""A tolerance in, steps out: it is met at every tap that must be complete, or the answer says that it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests import networks
from tests.workers.sweep.methods.made import CLASSES, attributed, ready
from workers.sweep.completeness import completeness
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.methods.within import LEAST_STEPS, ConductanceWithin, IntegratedGradientsWithin, Settled
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target


def given(count: int = 6):
    return ready(networks.mlp(), networks.points(count, 6, seed=3), Target.classes(1))


def test_the_tolerance_is_met_at_every_cut_by_every_example():
    of = given()
    method = ConductanceWithin(tolerance=0.02, most_steps=256)
    made = attributed(method, of)
    assert isinstance(made.ends, Settled)
    assert made.ends.missed(0.02) == ()
    cuts = [key for key in made.plan.taps if of.probe.tap(key).cut]
    assert set(made.ends.errors) == set(cuts)
    assert len(cuts) > 3
    for key in cuts:
        told = completeness(made.totals.signed(key), made.ends)
        torch.testing.assert_close(told.relative, made.ends.errors[key])
        assert float(told.relative.max()) <= 0.02
    assert len(set(made.ends.steps.tolist())) > 1  # some examples are easier than others


def test_each_example_has_the_numbers_of_the_steps_that_it_used_and_half_as_many_were_too_few():
    of = given()
    method = ConductanceWithin(tolerance=0.02, most_steps=256)
    made = attributed(method, of)
    for i, steps in enumerate(made.ends.steps.tolist()):
        one = of.examples(i, i + 1)
        alone = attributed(Conductance(steps=steps), one)
        for key in made.plan.taps:
            torch.testing.assert_close(made[key][i : i + 1], alone[key], rtol=1e-10, atol=1e-14)
        if steps > LEAST_STEPS:
            rough = attributed(Conductance(steps=steps // 2), one)
            errors = [float(completeness(rough.totals.signed(key), rough.ends).relative) for key in made.ends.errors]
            assert max(errors) > 0.02


@pytest.mark.parametrize(("points", "examples"), [(1, 1), (5, 2), (9, 6), (64, 4)])
def test_neither_chunks_nor_company_change_steps_or_numbers(points, examples):
    of = given()
    method = ConductanceWithin(tolerance=0.02)
    whole, cut = attributed(method, of), attributed(method, of, points=points, examples=examples)
    assert torch.equal(whole.ends.steps, cut.ends.steps)
    alone = attributed(method, of.examples(2, 4))
    assert torch.equal(whole.ends.steps[2:4], alone.ends.steps)
    for key in whole.plan.taps:
        torch.testing.assert_close(cut[key], whole[key], rtol=1e-9, atol=1e-13)
        torch.testing.assert_close(alone[key], whole[key][2:4], rtol=1e-9, atol=1e-13)


def test_a_budget_that_ends_first_is_said_with_the_taps_that_miss():
    made = attributed(ConductanceWithin(tolerance=1e-6, most_steps=32), given())
    assert made.ends.steps.tolist() == [32] * 6
    assert set(made.ends.missed(1e-6)) <= set(made.ends.errors)
    assert "0" in made.ends.missed(1e-6)


def test_the_budget_goes_where_the_output_hardly_changes():
    of = ready(networks.mlp(), networks.points(6, 6), Target.classes(1))
    made = attributed(ConductanceWithin(tolerance=0.02, most_steps=256), of)
    assert made.ends.steps.tolist().count(256) == 1
    assert int(made.ends.steps.argmax()) == int(made.ends.difference.abs().argmin())
    assert float(made.ends.difference.abs().min()) < 0.002


def test_a_budget_below_the_first_round_is_that_round():
    made = attributed(ConductanceWithin(tolerance=1e-9, most_steps=1), given())
    assert made.ends.steps.tolist() == [LEAST_STEPS] * 6


def test_an_example_that_equals_its_baseline_is_settled_at_once_with_zeros():
    x = networks.points(3, 6)
    x[1] = 0
    made = attributed(ConductanceWithin(tolerance=0.01), ready(networks.mlp(), x, Target.classes(1)))
    assert made.ends.steps[1] == LEAST_STEPS
    assert all(bool((each[1] == 0).all()) for each in made.of.values())
    assert all(float(error[1]) == 0 for error in made.ends.errors.values())


def test_integrated_gradients_need_fewer_steps_where_the_network_is_smooth():
    smooth, kinked = (
        ready(network, networks.points(3, 6), CLASSES) for network in (networks.smooth_mlp(), networks.mlp())
    )
    method = IntegratedGradientsWithin(tolerance=0.005, most_steps=2048)
    easy, hard = attributed(method, smooth), attributed(method, kinked)
    assert easy.ends.missed(0.005) == ()
    assert int(easy.ends.steps.max()) < int(hard.ends.steps.max())
    exact = attributed(IntegratedGradients(steps=int(easy.ends.steps[0])), smooth.examples(1))
    torch.testing.assert_close(easy["input"][:1], exact["input"])


def test_a_layer_that_paths_pass_by_has_no_error_to_meet():
    of = ready(networks.resnet(), networks.points(2, 3, 12, 12), Target.classes(1))
    with pytest.raises(SweepRefused, match="paths pass it by; name a number of steps"):
        ConductanceWithin(tolerance=0.01).plan(of, 1 << 30, 1, ("4.relu1",))


def test_progress_never_falls_and_ends_at_one():
    made = attributed(ConductanceWithin(tolerance=0.01), given(), examples=2)
    assert made.told == sorted(made.told)
    assert made.told[-1] == 1.0


def test_it_stops_when_it_is_told_to():
    of = given()
    method = ConductanceWithin(tolerance=1e-9)
    plan = method.plan(of, 1 << 30, 1, ())

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.attribute(of, replace(plan, examples=2), [], stop, 0)


def test_provenance_has_the_tolerance_and_both_bounds_on_the_steps():
    assert ConductanceWithin(tolerance=0.01, most_steps=64).as_json() == {
        "steps": "auto", "least_steps": LEAST_STEPS, "tolerance": 0.01, "most_steps": 64,
    }  # fmt: skip
