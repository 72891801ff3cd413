"""Do corrupted inputs stay legal, and is an example corrupted alike whatever it is run with?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service.contracts.facts import Column, FurtherInput
from tests.workers import subjects
from tests.workers.corruption import made
from tests.workers.facts import input_facts
from tests.workers.lime.made import Reads
from workers.corruption.case import Case
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.spec import SEVERITIES
from workers.kind import AnalysisError
from workers.subject.subject import Subject

SIZES = {
    "NCHW": (3, 9, 14), "NHWC": (8, 10, 4), "NHW": (11, 8), "NTCHW": (2, 1, 8, 9), "NWHC": (8, 12, 1),
}  # fmt: skip


def total(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1, keepdim=True)


def pictures(layout: str, low: float = 0.0, high: float = 1.0, count: int = 3, **changes: Any) -> Subject:
    shape = SIZES[layout]
    x = low + (high - low) * torch.rand(count, *shape, generator=made.draws())
    given = {**made.image(shape, layout, low, high), "kind": "video" if "T" in layout else "image", **changes}
    return subjects.subject(Reads(total), x, None, made.facts("regression", given, kind="values", unit="points"))


def case_of(of: Subject, **asked: Any) -> Case:
    return Case.of(of, CorruptionParameters.model_validate(asked))


def raw(case: Case, x: Tensor) -> Tensor:
    preprocessing = case.subject.declared[0].preprocessing
    return x * preprocessing.std[0] + preprocessing.mean[0]


def refusal(of: Subject, **asked: Any) -> AnalysisError:
    with pytest.raises(AnalysisError) as refused:
        case_of(of, **asked)
    assert refused.value.remedy
    return refused.value


# --- pictures


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("layout", SIZES)
def test_every_corrupted_picture_is_legal_in_any_layout_and_unit(layout, low, high):
    of = pictures(layout, low, high, preprocessing={"mean": [low + 1], "std": [high - low]})
    case = case_of(of)
    assert len(case.corruptions) == 16
    own = of.examples["evaluation"].inputs
    for corruption in case.corruptions:
        for severity in SEVERITIES:
            found = case.source.rows(corruption, severity, range(3), "d")
            given = raw(case, found.x[0])
            assert given.shape == own.shape
            assert bool(torch.isfinite(given).all())
            assert float(given.min()) >= low - 1e-4 * (high - low)
            assert float(given.max()) <= high + 1e-4 * (high - low)
            away = ((given - own) / (high - low)).double().flatten(1).square().mean(1).sqrt()
            torch.testing.assert_close(found.distance, away, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", ["NHWC", "NHW", "NTCHW"])
def test_a_layout_changes_nothing_but_the_order_of_numbers(layout):
    of = pictures(layout)
    case = case_of(of)
    contrast = next(each for each in case.corruptions if each.name == "contrast")
    own = of.examples["evaluation"].inputs.double()
    axes = tuple(at + 1 for at, axis in enumerate(layout[1:]) if axis in "HW")
    mean = own.mean(axes, keepdim=True)
    found = case.source.rows(contrast, 2, range(3), "d").x[0]
    torch.testing.assert_close(found, (own + 0.5 * (mean - own)).float())


@pytest.mark.slow
def test_thousands_of_pictures_of_any_shape_and_bounds_of_each_channel_stay_legal():
    draws, cases = np.random.default_rng(0), 0
    while cases < 3000:
        channels, height, width = int(draws.integers(1, 5)), int(draws.integers(8, 20)), int(draws.integers(8, 20))
        low = draws.uniform(-300, 300, channels).round(3)
        high = low + draws.uniform(0.01, 500, channels).round(3) + 0.001
        count = int(draws.integers(1, 3))
        share = torch.from_numpy(draws.beta(0.4, 0.4, (count, channels, height, width)))
        ends = [torch.from_numpy(each).view(1, -1, 1, 1) for each in (low, high)]
        x = torch.lerp(ends[0], ends[1], share)
        bounds = {"low": low.tolist(), "high": high.tolist()}
        given = {**made.image((channels, height, width)), "bounds": bounds}
        of = subjects.subject(
            Reads(lambda x: total(x.double())), x, None, made.facts("regression", given, kind="values")
        )  # fmt: skip
        case = case_of(of, precision="float64")
        for corruption in case.corruptions:
            severity = int(draws.integers(1, 6))
            found = case.source.rows(corruption, severity, range(count), str(cases)).x[0]
            assert bool(((found >= ends[0]) & (found <= ends[1])).all()), (corruption.name, severity, x.shape)
            cases += count


def test_three_channels_are_saturated_and_others_quantised():
    names = [{each.name for each in case_of(pictures(layout)).corruptions} for layout in ("NCHW", "NHW")]
    assert names[0] - names[1] == {"saturate"}
    assert names[1] - names[0] == {"quantise"}
    assert [each.subject for each in case_of(pictures("NHW")).missing] == ["saturate"]


def test_what_is_asked_and_does_not_apply_is_named_with_its_reason():
    case = case_of(pictures("NHW"), corruptions=["fog", "saturate", "drift"])
    assert [each.name for each in case.corruptions] == ["fog"]
    assert [each.subject for each in case.missing] == ["saturate", "drift"]
    assert "image" in case.missing[1].because


def test_pictures_of_another_scale_than_declared_are_refused():
    of = pictures("NCHW", 0.0, 255.0, bounds={"low": [0.0], "high": [1.0]})
    refused = refusal(of)
    assert refused.code == "bounds"
    assert "3 of 3 images" in refused.detail


def test_pictures_below_eight_pixels_are_refused():
    of = subjects.subject(
        Reads(total), torch.rand(2, 1, 7, 9), None, made.facts("regression", made.image((1, 7, 9)), kind="values")
    )
    assert refusal(of).code == "image-size"


def test_a_picture_that_is_not_finite_is_refused():
    of = pictures("NHW")
    of.examples["evaluation"].inputs[1, 0, 0] = torch.nan
    assert refusal(of).code == "not-finite"


def test_pictures_of_whole_numbers_stay_whole_and_legal():
    x = torch.randint(0, 256, (3, 1, 8, 8), generator=made.draws(), dtype=torch.uint8)
    given = made.image((1, 8, 8), "NCHW", 0, 255)
    of = subjects.subject(
        Reads(lambda x: total(x.float())), x, None, made.facts("regression", given, kind="values")
    )  # fmt: skip
    case = case_of(of)
    for corruption in case.corruptions:
        found = case.source.rows(corruption, 3, range(3), "d")
        assert found.x[0].dtype == torch.uint8
        assert torch.equal(case.source.rows(corruption, 0, range(3), "d").x[0], x)
    brightness = next(each for each in case.corruptions if each.name == "brightness")
    expected = (x.double() + 0.2 * 255).clamp(max=255).round().to(torch.uint8)
    assert torch.equal(case.source.rows(brightness, 2, range(3), "d").x[0], expected)


# --- whatever the batch


@pytest.mark.parametrize("name", ["images", "classifier", "series", "pairs", "masked"])
def test_an_example_is_corrupted_alike_alone_and_among_others_and_at_any_place(name):
    case = case_of(getattr(subjects, name)())
    for corruption in case.corruptions:
        together = case.source.rows(corruption, 4, range(len(case)), "d").x
        backwards = case.source.rows(corruption, 4, range(len(case))[::-1], "d").x
        for index in range(len(case)):
            alone = case.source.rows(corruption, 4, [index], "d").x
            for all_, reverse, one in zip(together, backwards, alone, strict=True):
                assert torch.equal(all_[index], one[0])
                assert torch.equal(reverse[len(case) - 1 - index], one[0])


def test_another_analysis_draws_otherwise():
    case = case_of(pictures("NHW"))
    first, second = (case.source.rows(case.corruptions[0], 4, [0], digest).x[0] for digest in "ab")
    assert not torch.equal(first, second)


# --- series


def test_padding_stays_as_it_is_and_the_rest_moves():
    of = subjects.masked()
    case = case_of(of)
    mask = of.examples["evaluation"].further[0].bool()
    assert not bool(mask.all())
    own = case.x[0]
    for corruption in case.corruptions:
        found = case.source.rows(corruption, 5, range(4), "d").x
        assert torch.equal(found[0][~mask], own[~mask])
        assert not torch.equal(found[0][mask], own[mask])
        assert torch.equal(found[1], case.x[1])


@pytest.mark.parametrize("layout", ["NTC", "NCT", "NT"])
def test_a_series_is_corrupted_in_the_deviations_of_its_channels(layout):
    steps = torch.randn(40, 30, 2, generator=made.draws()) * torch.tensor([1.0, 10.0]) + torch.tensor([0.0, 50.0])
    x = {"NTC": steps, "NCT": steps.transpose(1, 2).contiguous(), "NT": steps[..., 1].contiguous()}[layout]
    shape = tuple(x.shape[1:])
    given = {"kind": "series", "layout": layout, "shape": list(shape), "bounds": {"low": [-500], "high": [500]}}
    of = subjects.subject(Reads(total), x, None, made.facts("regression", given, kind="values"))
    case = case_of(of)
    noise = next(each for each in case.corruptions if each.name == "series_noise")
    found = case.source.rows(noise, 4, range(40), "d")
    change = (found.x[0] - case.x[0]).double()
    change = change if layout == "NTC" else change.transpose(1, 2) if layout == "NCT" else change.unsqueeze(-1)
    deviations = change.flatten(0, 1).std(0) / torch.tensor([1.0, 10.0] if layout != "NT" else [10.0])
    assert deviations.tolist() == pytest.approx([0.7] * len(deviations), rel=0.08)
    assert float(found.distance.mean()) == pytest.approx(0.7, rel=0.05)
    lost = {each.subject for each in case.missing}
    assert lost == ({"channel_loss"} if layout == "NT" else set())


def test_a_series_never_leaves_bounds_that_it_keeps_itself():
    x = torch.rand(6, 20, 3, generator=made.draws()) * 2 - 1
    of = subjects.subject(Reads(total), x, None, made.facts("regression", input_facts((20, 3)), kind="values"))
    case = case_of(of)
    for corruption in case.corruptions:
        found = case.source.rows(corruption, 5, range(6), "d").x[0]
        assert float(found.min()) >= -1
        assert float(found.max()) <= 1


def test_series_beyond_their_bounds_are_told_of():
    assert any("outside the declared bounds" in note for note in case_of(subjects.series()).source.notes)


def test_a_channel_that_is_constant_gives_finite_numbers():
    x = torch.ones(3, 9, 2)
    of = subjects.subject(Reads(total), x, None, made.facts("regression", input_facts((9, 2)), kind="values"))
    case = case_of(of)
    for corruption in case.corruptions:
        assert bool(torch.isfinite(case.source.rows(corruption, 5, range(3), "d").x[0]).all())
    assert any("constant" in note for note in case.source.notes)


# --- tables


COLUMNS = (
    Column(name="age", type="integer"), Column(name="pay", missing=-1.0),
    Column(name="job", type="category", categories=("cook", "clerk", "judge")), Column(name="flag", type="boolean"),
)  # fmt: skip


def people(count: int = 60) -> Tensor:
    g = made.draws()
    age = torch.randint(18, 60, (count,), generator=g).float()
    pay = torch.randn(count, generator=g) * 10 + 40
    job, flag = (torch.randint(most, (count,), generator=g).float() for most in (3, 2))
    return torch.stack([age, pay, job, flag], dim=1)


def test_whole_numbers_stay_whole_and_categories_categories():
    case = case_of(made.table(total, people(), "regression", COLUMNS, kind="values"))
    for corruption in case.corruptions:
        found = case.source.rows(corruption, 5, range(60), "d").x[0].double()
        age = found[:, 0]
        assert bool((age == age.round()).all()), corruption.name
        assert set(found[:, 2].tolist()) <= {0.0, 1.0, 2.0}
        assert set(found[:, 3].tolist()) <= {0.0, 1.0}
        assert float((found - case.x[0]).abs().sum()) > 0


def test_an_empty_cell_is_filled_as_declared_or_by_the_mean_or_the_mode():
    rows = people()
    case = case_of(made.table(total, rows, "regression", COLUMNS, kind="values"))
    empty = next(each for each in case.corruptions if each.name == "missing")
    found = case.source.rows(empty, 5, range(60), "d").x[0]
    mode = float(torch.bincount(rows[:, 2].long()).argmax())
    expected = torch.tensor([round(float(rows[:, 0].double().mean())), -1.0, mode])
    for at in range(3):
        changed = found[:, at] != rows[:, at]
        assert bool(changed.any())
        assert set(found[changed, at].tolist()) == {float(expected[at])}
    assert bool(((found != rows).sum(1) <= 2).all())  # half of four columns


def test_a_one_hot_group_moves_together():
    g = made.draws()
    codes = torch.nn.functional.one_hot(torch.randint(3, (40,), generator=g), 3).float()
    rows = torch.cat([torch.randn(40, 1, generator=g), codes], dim=1)
    names = ["size", "hue=red", "hue=blue", "hue=green"]
    given = {
        "kind": "table", "layout": "NF", "shape": [4], "bounds": {"low": [-9], "high": [9]}, "feature_names": names,
    }  # fmt: skip
    of = subjects.subject(Reads(total), rows, None, made.facts("regression", given, kind="values"))
    case = case_of(of, one_hot=[names[1:]])
    for corruption in case.corruptions:
        found = case.source.rows(corruption, 5, range(40), "d").x[0][:, 1:]
        assert bool((found.sum(1) == 1).all())
        assert set(found.unique().tolist()) == {0.0, 1.0}


def test_the_background_tells_means_and_deviations():
    rows = torch.zeros(20, 2)
    of = made.table(total, rows, "regression", kind="values")
    background = dataclasses.replace(of.examples["evaluation"], inputs=torch.full((30, 2), 3.5))
    of = dataclasses.replace(of, examples={**of.examples, "background": background})
    case = case_of(of)
    empty = next(each for each in case.corruptions if each.name == "missing")
    found = case.source.rows(empty, 5, range(20), "d").x[0]
    assert set(found[found != 0].tolist()) == {3.5}
    assert "30 examples of the background data" in case.source.notes[0]


def test_a_table_that_is_not_finite_is_refused_with_its_columns():
    rows = people()
    rows[3, 1] = torch.nan
    refused = refusal(made.table(total, rows, "regression", COLUMNS, kind="values"))
    assert "'pay'" in refused.detail


def test_only_one_input_of_several_is_corrupted():
    of = subjects.pairs()
    case = case_of(of)
    found = case.source.rows(case.corruptions[0], 5, range(4), "d").x
    assert not torch.equal(found[0], case.x[0])
    assert torch.equal(found[1], case.x[1])


def test_an_input_of_pictures_is_found_behind_one_that_is_none():
    x = torch.ones(3, 4, dtype=torch.int64)
    picture = made.smooth(1, 9, 9).float().expand(3, 1, 9, 9)
    ids = {"kind": "tokens", "layout": "NT", "shape": [4], "bounds": {"low": [0], "high": [9]}}
    declared = made.facts("regression", ids, kind="values")
    further = FurtherInput.model_validate({"name": "picture", "input": made.image((1, 9, 9))})
    declared = declared.model_copy(update={"further_inputs": (further,)})

    class Second(nn.Module):
        def forward(self, _ids: Tensor, given: Tensor) -> Tensor:
            return total(given)

    case = case_of(subjects.subject(Second(), x, None, declared, further=(picture,)))
    found = case.source.rows(case.corruptions[0], 5, range(3), "d").x
    assert torch.equal(found[0], x)
    assert not torch.equal(found[1], picture)


# --- texts


TEXTS = (made.LETTERS, "the plot was good", "not bad, not great!", "it was very boring and the end was slow")


def test_texts_are_read_again_by_the_models_own_tokenizer():
    of = made.reads_texts(TEXTS)
    case = case_of(of)
    assert len(case.corruptions) == 8
    for corruption in case.corruptions:
        clean = case.source.rows(corruption, 0, range(4), "d")
        assert all(torch.equal(a, b) for a, b in zip(clean.x, case.x, strict=True))
        assert not bool(clean.distance.any())
        found = case.source.rows(corruption, 5, range(4), "d")
        again = [corruption.apply(each, 0.5, corruption.draws("d", at)) for at, each in enumerate(TEXTS)]
        expected = of.tokenizer.encode(again, 60)
        assert all(torch.equal(a, b) for a, b in zip(found.x, expected, strict=True))
        share = (found.x[0] != case.x[0]).double().mean(1)
        torch.testing.assert_close(found.distance, share)


def test_texts_that_are_not_those_of_the_ids_are_refused():
    of = made.reads_texts(TEXTS)
    data = dataclasses.replace(of.examples["evaluation"], texts=TEXTS[::-1])
    refused = refusal(dataclasses.replace(of, examples={"evaluation": data}))
    assert "other ids" in refused.detail


def test_a_model_without_its_tokenizer_is_refused():
    assert "tokenizer" in refusal(dataclasses.replace(made.reads_texts(TEXTS), tokenizer=None)).detail
    assert "tokenizer" in (refusal(subjects.speaks()).remedy or "")


def test_a_lower_cased_reading_does_not_see_letter_case():
    case = case_of(made.reads_texts(TEXTS))
    change = next(each for each in case.corruptions if each.name == "case")
    assert not bool(case.source.rows(change, 5, range(4), "d").distance.any())
    assert np.isfinite(float(case.clean.sum()))
