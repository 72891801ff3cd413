"""Completeness, concentration, spread, agreement and identity: what passes, what fails, what cannot be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests import networks
from tests.planted import prepared
from tests.workers.certificate.conftest import gradient_x_input, only
from workers.certificate.agreement import agreements, disagreements
from workers.certificate.concentration import concentration
from workers.certificate.features import padding
from workers.certificate.identity import same_model
from workers.certificate.sensitivity import neighbour
from workers.certificate.spread import other_baselines, over_baselines, spread
from workers.certificate.sums import completeness
from workers.sweep.completeness import Endpoints
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


ENDS = Endpoints(torch.tensor([2.0, 4.0], dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64))


def test_completeness_is_the_gap_over_the_change():
    signed = {"head": torch.tensor([1.1, 2.0], dtype=torch.float64)}
    (check,) = completeness(signed, ENDS, tolerance=0.06, claimed={"head"})
    assert check.value == pytest.approx(0.1 / 3), "0.1 and 0 are missing of 1 and 2"
    assert check.verdict == "passed"
    (strict,) = completeness(signed, ENDS, tolerance=0.01, claimed={"head"})
    assert strict.verdict == "failed"
    assert strict.necessary


def test_completeness_is_asked_only_where_the_method_claims_it():
    (check,) = completeness({"side": torch.ones(2)}, ENDS, tolerance=0.01, claimed=())
    assert check.verdict == "not applicable"
    assert "no such claim" in check.because


def test_completeness_needs_a_change_and_finite_sums():
    still = Endpoints(ENDS.output, ENDS.output)
    (check,) = completeness({"head": torch.ones(2)}, still, tolerance=0.01, claimed={"head"})
    assert "the same at the inputs" in check.because
    (check,) = completeness({"head": torch.full((2,), torch.inf)}, ENDS, tolerance=0.01, claimed={"head"})
    assert "NaN or infinity" in check.because


def test_concentration_of_a_single_unit_in_four():
    sparseness, units = concentration({"head": row(0.0, 3.0, 0.0, 0.0)})
    assert (sparseness.value, units.value) == (0.75, 1.0)
    assert units.because.endswith("of 4 units")


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (1.0,), (1.0, float("inf"))])
def test_concentration_of_nothing_is_not_applicable(values: tuple[float, ...]):
    assert all(check.verdict == "not applicable" for check in concentration({"head": row(*values)}))


def test_the_same_attribution_from_every_baseline_has_no_spread():
    ours = {"head": torch.rand(4, 9, dtype=torch.float64)}
    totals, ranking = spread("baselines", [ours, ours, ours])
    assert totals.value == pytest.approx(0)
    assert ranking.value == pytest.approx(1)


def test_the_spread_of_one_and_three_is_their_deviation_over_their_mean():
    one = {"head": row(0.25, 0.5, 0.25)}
    totals, ranking = spread("seeds", [one, {"head": 3 * one["head"]}])
    assert totals.name == "spread_over_seeds"
    assert totals.value == pytest.approx(2**0.5 / 2)
    assert ranking.value == pytest.approx(1)


def test_spread_says_what_it_lacks():
    one = {"head": row(1.0, 2.0, 3.0)}
    assert "needs two" in spread("seeds", [one])[0].because
    assert "differ in shape" in spread("seeds", [one, {"head": row(1.0, 2.0)}])[0].because
    assert "NaN" in spread("seeds", [one, {"head": row(1.0, 2.0, torch.nan)}])[0].because
    nothing = {"head": row(0.0, 0.0, 0.0)}
    assert all("zero everywhere" in check.because for check in spread("seeds", [nothing, nothing]))


def test_examples_make_other_baselines_themselves():
    x = networks.points(4, 6)
    made = other_baselines(prepared(networks.mlp(), x), seed=1)
    assert torch.equal(made["mean"].origin[0], x.mean(0, keepdim=True))
    assert torch.equal(made["midpoint"].origin[0], (x.amin(0) + x.amax(0))[None] / 2)
    assert made["noise"].origin[0].shape == (1, 6)
    assert other_baselines(prepared(networks.mlp(), x[:1]), seed=1) == {}


def test_ids_keep_their_values_under_other_baselines():
    x, mask = networks.points(3, 6, 8), torch.ones(3, 6, dtype=torch.int64)
    ready = prepared(networks.ready(networks.Masked()), x, mask)
    for each in other_baselines(ready, seed=1).values():
        assert any(torch.equal(origin, mask) for origin in each.origin)


def padded(mask_of: list[list[int]], **changes: object) -> Prepared:
    """Vectors of six tokens, as an embedding gives them; where the mask is 0 they are their own baseline."""
    mask = torch.tensor(mask_of)
    x = networks.points(len(mask), 6, 8)
    start = torch.where(mask.bool()[:, :, None], torch.zeros_like(x), x)
    made = prepared(networks.ready(networks.Masked()), x, mask)
    return replace(made, origin=(start, mask), **changes)


ENDING = [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0]]


def test_padding_stays_where_it_is_under_other_baselines_and_in_neighbours_and_counts_for_neither():
    ready = padded(ENDING)
    x, still = ready.x[0], padding(ready, ["input"])
    assert still[0].squeeze(-1).tolist() == [[not each for each in row] for row in ENDING]
    for each in other_baselines(ready, 1, still).values():
        stays = (each.origin[0] == x).all(-1)
        assert stays.tolist() == [[not each for each in row] for row in ENDING]
    mean = other_baselines(ready, 1, still)["mean"].origin[0]
    torch.testing.assert_close(mean[1, 4], x[1:, 4].mean(0), rtol=0, atol=1e-12)
    moved = neighbour(ready, {"input": 0}, 1, 0, still)[0] != x
    assert moved.any(-1).tolist() == [[bool(each) for each in row] for row in ENDING]


def test_a_unit_that_equals_its_baseline_in_numbers_is_no_padding():
    x = networks.points(4, 6)
    x[0, 2] = 0.0
    ready = prepared(networks.mlp(), x)
    assert padding(ready, ()) == {}
    assert torch.equal(other_baselines(ready, 1)["mean"].origin[0], x.mean(0, keepdim=True))


def test_another_baseline_has_a_jump_of_its_own():
    ready = replace(prepared(networks.mlp(), networks.points(4, 6)), jump=0.9)
    assert all(each.jump < 0.01 for each in other_baselines(ready, seed=1).values())


def test_a_baseline_from_which_there_is_no_attribution_is_named_and_the_others_are_compared():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    others = other_baselines(ready, seed=1)

    def explain(of: Prepared) -> dict[str, Tensor]:
        if of is others["mean"]:
            raise SweepRefused("it begins with a jump")
        return gradient_x_input(of)

    first, _ = over_baselines(explain, gradient_x_input(ready), others)
    assert first.value is not None
    assert first.because.endswith("3 baselines; from the mean there is no attribution: it begins with a jump")
    alone = over_baselines(explain, gradient_x_input(ready), {"mean": others["mean"]})
    assert all("not applicable, because from the mean" in check.because for check in alone)


def test_a_method_agrees_with_itself_and_not_with_its_reverse():
    ours = torch.arange(1.0, 41.0, dtype=torch.float64).reshape(1, 40)
    (same,) = agreements({"one": {"head": ours}, "other": {"head": -ours}})
    assert (same.ranks.value, same.top.value, same.chance) == (pytest.approx(1), 1, 0.1)
    assert disagreements([same]) == []
    (reverse,) = agreements({"one": {"head": ours}, "other": {"head": ours.flip(1)}})
    assert (reverse.ranks.value, reverse.top.value) == (pytest.approx(-1), 0)
    (finding,) = disagreements([reverse])
    assert finding.layer == "head"
    assert "one and other" in finding.evidence


def test_every_pair_is_compared_where_both_have_numbers():
    ours = torch.rand(2, 5, dtype=torch.float64)
    found = agreements({"a": {"x": ours, "y": ours}, "b": {"x": ours}, "c": {"x": ours[:, :4]}})
    assert [(each.methods, each.place) for each in found] == [(("a", "b"), "x"), (("a", "c"), "x"), (("b", "c"), "x")]
    assert "differ in shape" in found[1].top.because
    assert found[1].chance is None


def test_what_the_model_gives_again_is_its_own():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    checks = same_model(gradient_x_input(ready), gradient_x_input, ready)
    assert [check.verdict for check in checks] == ["passed", "passed"]
    assert checks[0].value == 0


@pytest.mark.parametrize("change", ["another model", "units", "examples", "sign", "scale", "one number"])
def test_what_the_model_does_not_give_again_is_not_its_own(change: str):
    ready = prepared(networks.mlp(), networks.points(4, 6))
    ours = gradient_x_input(ready)["input"]
    spoilt = ours.clone()
    spoilt[2, 3] += 0.01 * ours.abs().max()
    presented = {
        "another model": gradient_x_input(prepared(networks.mlp(seed=9), networks.points(4, 6)))["input"],
        "units": ours.roll(1, 1),
        "examples": ours.roll(1, 0),
        "sign": -ours,
        "scale": 2 * ours,
        "one number": spoilt,
    }[change]
    check = only(same_model({"input": presented}, gradient_x_input, ready), "identity", "input")
    assert (check.verdict, check.necessary) == ("failed", True)


def test_a_layer_or_shape_that_the_model_does_not_have_is_not_its_own():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    missing, shape = (
        same_model(presented, gradient_x_input, ready)[0]
        for presented in ({"nowhere": torch.ones(4, 2)}, {"input": torch.ones(4, 2)})
    )
    assert missing.verdict == shape.verdict == "failed"
    assert "gives nothing there" in missing.because
    assert "(4, 6)" in shape.because


def test_rounding_of_float32_is_within_its_tolerance_and_float64_is_held_to_more():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    for dtype, verdict in ((torch.float32, "passed"), (torch.float64, "failed")):
        ours = {"input": (gradient_x_input(ready)["input"] * (1 + 1e-5)).to(dtype)}
        check = only(same_model(ours, gradient_x_input, ready), "identity", "input")
        assert check.verdict == verdict


def test_the_asker_says_what_random_draws_may_move():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    ours = {"input": gradient_x_input(ready)["input"] * 1.05}
    assert same_model(ours, gradient_x_input, ready, tolerance=0.1)[0].verdict == "passed"


def test_an_attribution_with_nan_is_not_compared():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    checks = same_model({"input": torch.full((4, 6), torch.nan)}, gradient_x_input, ready)
    assert all("NaN" in check.because for check in checks)
