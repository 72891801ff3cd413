"""A check and its verdict, a certificate and whether it is usable."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from workers.certificate.checks import Certificate, Check, judged, measured, not_applicable
from workers.certificate.definitions import DEFINITIONS
from workers.numerics.intervals import Interval


def interval(value: float, low: float | None = None, high: float | None = None, n: int = 4) -> Interval:
    return Interval(value, low, high, n, 0.95, "student-t")


def completeness(value: float, place: str = "head") -> Check:
    return judged("completeness", interval(value), place, threshold=0.05)


def test_a_check_that_is_above_its_threshold_fails_and_says_so():
    check = judged("completeness", interval(0.2, 0.1, 0.3), "head", threshold=0.05)
    assert (check.verdict, check.necessary, check.threshold, check.n) == ("failed", True, 0.05, 4)
    assert check.because == "it is 0.2 and must be at most 0.05"


def test_a_gain_fails_only_when_its_whole_interval_is_below_zero():
    assert judged("deletion", interval(-0.2, -0.5, 0.1)).verdict == "passed"
    assert judged("deletion", interval(-0.2, -0.3, -0.1)).verdict == "failed"
    alone = judged("deletion", interval(-0.2, n=1))
    assert alone.verdict == "not applicable"
    assert "one example" in alone.because
    assert alone.value == -0.2


def test_what_has_no_threshold_has_no_verdict():
    check = judged("sparseness", interval(0.4, 0.3, 0.5))
    assert (check.verdict, check.threshold) == ("no threshold", None)


def test_bounds_stay_within_what_the_number_can_be():
    check = judged("sparseness", interval(0.9, 0.7, 1.1))
    assert (check.low, check.high) == (0.7, 1.0)


def test_examples_without_a_value_are_left_out():
    check = measured("sparseness", torch.tensor([0.2, torch.nan, 0.4]))
    assert check.n == 2
    assert check.value == pytest.approx(0.3)
    assert measured("sparseness", torch.full((3,), torch.nan)).verdict == "not applicable"
    assert measured("infidelity", torch.tensor([1.0, torch.inf])).verdict == "not applicable"


def test_a_verdict_without_a_number_is_refused():
    with pytest.raises(ValidationError, match="without a value"):
        Check(
            name="deletion", place=None, value=None, low=None, high=None, n=0, unit="", direction="higher is better",
            threshold=0.0, necessary=True, verdict="passed", because="",
        )  # fmt: skip


def test_one_necessary_failure_makes_the_certificate_unusable_and_is_named():
    made = Certificate.of([completeness(0.01, "body"), completeness(0.2)])
    assert not made.usable
    assert made.because == "completeness at head: it is 0.2 and must be at most 0.05"


def test_a_failure_that_is_not_necessary_leaves_it_usable():
    made = Certificate.of([completeness(0.01), judged("infidelity_share", interval(3.0))])
    assert made.usable
    assert "all 1 necessary" in made.because


def test_where_nothing_necessary_could_be_checked_nothing_speaks_for_it():
    made = Certificate.of([not_applicable("completeness", "reasons", "head"), judged("sparseness", interval(0.3))])
    assert not made.usable
    assert "nothing speaks for it" in made.because


def test_a_layer_has_a_certificate_of_its_own():
    made = Certificate.of([completeness(0.01, "body"), completeness(0.2), judged("deletion", interval(0.1, 0.0, 0.2))])
    assert made.at("body").usable
    assert len(made.at("body").checks) == 2
    assert not made.at("head").usable


def test_every_definition_says_what_where_and_after_whom():
    for name, each in DEFINITIONS.items():
        assert each.name == name
        assert each.source == "own" or "arXiv" in each.source or "doi" in each.source or "Hill" in each.source
        assert each.unit
        assert each.why
        assert not each.necessary or each.fails is not None


def test_a_certificate_survives_json():
    made = Certificate.of([completeness(0.01), not_applicable("deletion", "it is of layers")])
    assert Certificate.model_validate_json(made.model_dump_json()) == made
