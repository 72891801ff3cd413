"""What all LIME shares: what it refuses, loses and survives; what its parameters, plan and words promise."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from service.contracts.section import Bars
from tests.workers import subjects
from tests.workers.lime.made import Reads, black, ids, of_ids, pictures, reading, runs
from tests.workers.subjects import answer, context
from workers.analyses import KINDS
from workers.kind import AnalysisError, Cancelled
from workers.lime.findings import findings
from workers.lime.outcome import Verified
from workers.subject.onnx.runtime import RunFailed

IMAGE, TEXT, SERIES, TABLE = (KINDS[f"lime_{name}"] for name in ("image", "text", "series", "tabular"))
LIME = [kind for kind in KINDS.values() if kind.name in ("lime_image", "lime_tabular", "lime_text", "lime_series")]
CELLS = {"segmentation": "grid", "cells": 4}


def corner(x):
    """The mean of the second cell of the first row, of four by four on 16 pixels, in colour."""
    return x[:, :, 0:4, 4:8].abs().sum((1, 2, 3))


def codes(found):
    return {each.code for each in found.findings}


# --- what is refused


@pytest.mark.parametrize(
    ("kind", "of", "words"),
    [
        (IMAGE, subjects.series, "this model reads input of kind series, .* Ask for lime_series"),
        (SERIES, subjects.images, "this model reads input of kind image, .* Ask for lime_image"),
        (TEXT, subjects.classifier, "this model reads input of kind table, .* Ask for lime_tabular"),
    ],
)
def test_another_kind_of_input_is_refused_with_the_kind_that_fits(kind, of, words):
    (reason,) = kind.applies(of(), kind.parameters())
    assert re.search(words, reason)


def test_a_class_out_of_range_is_refused_by_its_name():
    (reason,) = IMAGE.applies(subjects.images(), IMAGE.parameters(targets=["class:class 9"]))
    assert "no class 'class 9'" in reason


def test_a_black_box_that_fails_on_the_examples_themselves_is_told_so():
    def fails(_):
        raise RunFailed("node Div failed")

    of = reading(corner, pictures())
    of = black(replace(of, model=Reads(fails)))
    (reason,) = IMAGE.applies(of, IMAGE.parameters())
    assert reason.startswith("the network fails at each of the 3 examples themselves: node Div failed. Give")


def test_an_example_at_which_a_black_box_fails_is_lost_with_its_reason_and_no_other():
    shown = pictures()
    shown[0, 0, 0, 0] = 1.0

    def fails(x):
        if bool((x[:, 0, 0, 0] == 1.0).any()):
            raise RunFailed("node Div failed")
        return corner(x)

    of = reading(corner, shown)
    made = answer(IMAGE, black(replace(of, model=Reads(fails))), **CELLS, verify=0).outcome
    assert [each.index for each in made.explained] == [1, 2]
    (missing,) = [each for each in made.not_applicable if each.subject == "example 0"]
    assert missing.because == "the network fails at example 0 itself: node Div failed. Leave that example out."


def test_a_target_named_twice_is_refused():
    with pytest.raises(ValueError, match="names one twice"):
        IMAGE.parameters(targets=["predicted", "predicted"])


def test_fewer_samples_at_most_than_at_first_are_refused():
    with pytest.raises(ValueError, match="most = 50 is less than samples = 100"):
        IMAGE.parameters(settle=True, samples=100, most=50)


def test_where_no_example_has_a_neighbourhood_all_reasons_are_told():
    flat = torch.zeros(2, 40, 2)
    reasons = SERIES.applies(reading(lambda x: x.sum((1, 2)), flat), SERIES.parameters())
    assert [reason.partition(":")[0] for reason in reasons] == ["example 0", "example 1"]
    assert all("0 segments" in reason for reason in reasons)


def test_more_features_than_a_surrogate_can_read_are_refused_with_what_to_ask_for():
    wide = torch.randn(2, 40, 60, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    of = reading(lambda x: x.sum((1, 2)), wide)
    reasons = SERIES.applies(of, SERIES.parameters(channels="apart"))
    assert "example 0 has 1200 segments; a surrogate reads at most 1024. Ask for larger ones" in reasons[0]
    assert SERIES.applies(of, SERIES.parameters()) == (), "of so many channels all are hidden together"


# --- what is lost, and what is not


def test_an_example_without_a_neighbourhood_loses_nothing_of_the_rest():
    inputs = runs()
    inputs[1] = 0
    made = answer(SERIES, reading(lambda x: x[:, 5:10, 1].sum(1), inputs)).outcome
    assert [each.index for each in made.explained] == [0, 2]
    assert made.not_applicable[0].subject == "example 1"
    assert "Ask for more segments, or leave that example out" in made.not_applicable[0].because


def test_an_example_at_which_the_network_gives_no_number_loses_nothing_of_the_rest():
    inputs = pictures()

    def broken(x):
        return torch.where(x[:, 0, 0, 0] == inputs[1, 0, 0, 0], torch.nan, corner(x))

    made = answer(IMAGE, reading(broken, inputs))
    assert [each.index for each in made.outcome.explained] == [0, 2]
    assert made.outcome.not_applicable[0].subject == "example 1"


def raising(x):
    """It cannot bear to miss the first pixel of the first example."""
    if bool((x[:, 0, 0, 0] != pictures()[:, 0, 0, 0, None]).all(0).any()):
        raise ValueError("the first pixel is missing")
    return corner(x)


def test_samples_at_which_the_network_raises_are_lost_and_counted_and_the_others_are_kept():
    made = answer(IMAGE, black(reading(raising, pictures())), **CELLS, samples=200, verify=3).outcome
    for each in made.explained:
        assert 0 < each.lost < each.samples
        assert each.lost_because == "the first pixel is missing"
        (one,) = each.explanations
        assert one.features[0].name == "row 0, column 1"
    (found,) = (each for each in made.findings if each.code == "samples-lost")
    assert "the first pixel is missing" in found.evidence
    assert all("are not finite, and lime takes all or none" in each.reason for each in made.verified)
    assert all(each.difference is None for each in made.verified)


def test_where_every_example_fails_the_analysis_fails_with_the_reasons():
    inputs = pictures()

    def only_examples(x):
        if not all(bool((inputs == each).flatten(1).all(1).any()) for each in x):
            raise ValueError("I know examples alone")
        return corner(x)

    with pytest.raises(AnalysisError, match=r"no example could be explained. example 0: .*I know examples alone"):
        answer(IMAGE, reading(only_examples, inputs), **CELLS, samples=50, most=50)


def test_an_asker_who_cancels_is_heard_at_the_end_of_a_block():
    passes = []

    def counted(x):
        passes.append(len(x))
        return corner(x)

    of = reading(counted, pictures())
    asked = IMAGE.parameters(**CELLS, rows=10, samples=400, verify=0)
    (part,) = IMAGE.plan(of, asked, context())
    passes.clear()
    with pytest.raises(Cancelled):
        IMAGE.compute(of, part, asked, context(stop=lambda: len(passes) >= 3))
    assert len(passes) == 3


def test_progress_rises_and_ends():
    told = []
    within = context()
    within.report = lambda fraction, stage: told.append((fraction, stage))
    answer(IMAGE, reading(corner, pictures()), within, **CELLS, rows=50, samples=200, verify=3)
    assert [each for each, _ in told] == sorted(each for each, _ in told)
    assert told[0] == (0.0, "example 1 of 3")
    assert told[-1][0] == pytest.approx(1.0)
    assert len(told) > 12


# --- what it says


def test_noise_draws_the_warning_and_the_answer_begins_with_it():
    def noise(x):
        weights = torch.arange(x[0].numel(), dtype=torch.float64).cos().reshape(x[0].shape)
        return torch.sin(1e4 * (x * weights).sum((1, 2, 3))).float()

    made = answer(IMAGE, reading(noise, pictures()), **CELLS)
    assert {one.verdict for _, one in made.outcome.each} == {"not locally linear"}
    assert codes(made.outcome) == {"not-locally-linear"}
    section = IMAGE.section(made.outcome)
    assert section.answer.startswith("Do not read 3 of 3 surrogates: 3 not locally linear here.")
    assert not any(isinstance(block, Bars) for block in section.blocks), "what must not be read is not drawn as if"
    (picture,) = (block for block in section.blocks if block.block == "picture")
    assert "Not to be read: example 0, predicted; example 1" in picture.caption
    assert made.outcome.summaries == ()
    assert made.outcome.picks == ()
    (legible,) = (each for each in IMAGE.measurements(made.outcome) if each.metric == "lime_legible")
    assert legible.value == 0


def test_a_constant_network_has_nothing_to_explain():
    made = answer(IMAGE, reading(lambda x: 0 * corner(x) + 3, pictures()), **CELLS).outcome
    assert {one.verdict for _, one in made.each} == {"nothing changes"}
    assert "nothing-changes" in codes(made)


def test_a_probability_is_explained_where_there_is_one_and_the_output_otherwise():
    assert answer(IMAGE, subjects.images()).outcome.unit == "probability"
    made = answer(IMAGE, reading(corner, pictures()), **CELLS).outcome
    assert (made.scale, made.unit) == ("output", "points")


def test_several_targets_come_from_the_same_samples():
    of = subjects.images()
    both = answer(IMAGE, of, targets=["class:class 0", "class:class 3"], verify=0)
    alone = answer(IMAGE, of, targets=["class:class 3"], verify=0)
    for index in range(4):
        np.testing.assert_allclose(
            both.computed.arrays[f"whole/{index}"][1], alone.computed.arrays[f"whole/{index}"][0], rtol=1e-9
        )
    assert [one.class_name for _, one in both.outcome.each[:2]] == ["class 0", "class 3"]


def test_lime_itself_fits_the_same_samples_alike_whichever_engine_is_asked():
    of, given = subjects.images(), {"verify": 4, "targets": ["predicted", "label"], "features": 3, **CELLS}
    ours, theirs = (
        answer(IMAGE, of, engine=engine, paired=False, **given) for engine in ("lamina", "lime")
    )  # fmt: skip
    for made in (ours.outcome, theirs.outcome):
        assert len(made.verified) == 8
        assert max(each.difference for each in made.verified) < 1e-9
        assert max(each.score for each in made.verified) < 1e-9
        assert all(each.same_features for each in made.verified)
    for index in range(4):
        mine, other = (each.computed.arrays[f"coefficients/{index}"] for each in (ours, theirs))
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-12)


def test_another_answer_of_lime_is_a_failure_and_a_tie_is_a_note():
    made = answer(IMAGE, reading(corner, pictures()), **CELLS).outcome
    apart = Verified(index=0, target="predicted", difference=0.1, score=0.0, same_features=True, reason="")
    worse = made.model_copy(update={"verified": (apart,)})
    (found,) = (each for each in findings(_spec(), worse) if each.code == "lime-differs")
    assert found.severity == "failure"
    tied = made.model_copy(update={"verified": (apart.model_copy(update={"same_features": False}),)})
    (found,) = (each for each in findings(_spec(), tied) if each.code.startswith("lime"))
    assert (found.code, found.severity) == ("lime-chooses-otherwise", "note")
    shown = IMAGE.section(worse.model_copy(update={"findings": findings(_spec(), worse)}))
    assert shown.answer.startswith("Not to be relied on: Two implementations")


def _spec():
    class Spec:
        noun, nouns = "segment", "segments"

    return Spec


def test_attributions_beside_are_summed_over_the_features_and_disagreement_is_a_finding():
    class Steep(torch.nn.Module):
        """Where it is used it is flat at the example, and where it is steep it is hardly used."""

        def forward(self, x):
            used = torch.relu(1 - x[:, :, 0:4, 0:4].abs()).sum((1, 2, 3)) * 0
            return used + torch.round(8 * x[:, :, 0:8, 0:8]).sum((1, 2, 3)) + 1e-3 * x[:, :, 8:, 8:].sum((1, 2, 3))

    of = reading(Steep(), pictures())
    made = answer(IMAGE, of, **CELLS, features=4, beside="input_x_gradient").outcome
    assert len(made.compared) == 3
    assert all(each.top == 0 and each.chance == 0.25 for each in made.compared)
    (found,) = (each for each in made.findings if each.code == "methods-disagree")
    assert "predicted: 0 in common" in found.evidence
    agreed = answer(IMAGE, reading(corner, pictures()), **CELLS, features=1, beside="integrated_gradients").outcome
    assert all(each.top == 1 for each in agreed.compared)
    assert "methods-disagree" not in codes(agreed)


def test_a_black_box_is_explained_and_has_no_attributions_beside():
    made = answer(IMAGE, black(reading(corner, pictures())), **CELLS, beside="saliency").outcome
    assert made.compared == ()
    assert [each.subject for each in made.not_applicable] == ["saliency"]
    assert made.explained[0].explanations[0].features[0].name == "row 0, column 1"


def test_samples_are_appended_until_the_ranking_settles_or_the_budget_ends():
    of = subjects.images()
    open_ended = answer(IMAGE, of, settle=True, samples=50, most=4000, features=3, verify=0).outcome
    assert all(each.samples > 50 for each in open_ended.explained)
    for each in open_ended.explained:
        assert all(one.settled or each.samples == 4000 for one in each.explanations)
    short = answer(IMAGE, of, settle=True, samples=20, most=30, features=10, verify=0).outcome
    assert any(one.settled is False for _, one in short.each)
    assert "ranking-not-settled" in codes(short)


# --- what is promised


def test_the_plan_names_the_rows_and_a_replay_with_them_gives_the_same_bits():
    of = subjects.images()
    first = answer(IMAGE, of)
    (part,) = IMAGE.plan(of, IMAGE.parameters(), context())
    (request,) = part.requests
    rows = request.plan()["rows"]
    again = answer(IMAGE, subjects.images(), rows=rows)
    for name, array in first.computed.arrays.items():
        assert torch.equal(array, again.computed.arrays[name]), name
    other = answer(IMAGE, subjects.images(), rows=7)
    assert other.outcome.settings["rows"] == 7
    np.testing.assert_allclose(other.computed.arrays["whole/0"], first.computed.arrays["whole/0"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", LIME, ids=[kind.name for kind in LIME])
def test_every_kind_says_what_its_own_limits_are(kind):
    assert len(kind.page) > 2000
    assert "## The samples" in kind.page


def test_the_quote_grows_with_samples_and_examples():
    of = reading(corner, pictures(8))
    small = IMAGE.quote(of, IMAGE.parameters(**CELLS, examples=1, samples=100, verify=0), 1 << 28)
    large = IMAGE.quote(of, IMAGE.parameters(**CELLS, examples=8, samples=100_000, verify=0), 1 << 28)
    assert large.seconds > 4 * small.seconds
    assert large.bytes > small.bytes


# --- ids, series and pictures that are read in known places


@pytest.mark.slow
def test_only_what_is_read_is_found_in_every_kind_of_input():
    cell = answer(IMAGE, reading(corner, pictures()), **CELLS, features=1, verify=0).outcome
    assert [one.features[0].name for _, one in cell.each] == ["row 0, column 1"] * 3
    # steps 10 to 19 of channel 1 are five of twenty segments of two steps each
    stretch = answer(SERIES, reading(lambda x: x[:, 10:20, 1].abs().sum(1), runs()), features=5, verify=0).outcome
    wanted = {f"channel 1, steps {at}–{at + 1}" for at in range(10, 20, 2)}
    for _, one in stretch.each:
        assert {each.name for each in one.features if each.chosen} == wanted
    given = ids()
    words = answer(TEXT, of_ids(lambda x: x[:, 3].float() + 2.0 * x[:, 7].float(), given), features=2, verify=0).outcome
    for index, (_, one) in enumerate(words.each):
        chosen = {each.name for each in one.features if each.chosen}
        assert chosen == {f"position {at}: id {int(given[index, at])}" for at in (3, 7)}
    rows = torch.randn(60, 8, generator=torch.Generator().manual_seed(8)).clamp(-3, 3)
    linear = reading(lambda x: 3 * x[:, 1] - 2 * x[:, 4], rows)
    columns = answer(TABLE, linear, features=2, verify=0).outcome
    for _, one in columns.each:
        assert {each.feature for each in one.features if each.chosen} == {1, 4}
    assert {each.feature for each in columns.summaries[:2]} == {"column 1", "column 4"}
    # a row in a middle quartile differs from the others in both directions: what is linear is told on a linear scale
    binned = answer(TABLE, linear, features=2, verify=0, sampling="quartile").outcome
    assert "doubtful" in {one.verdict for _, one in binned.each}
    for made in (cell, stretch, words, columns):
        assert {one.verdict for _, one in made.each} == {"readable"}
        assert not codes(made) & {"not-locally-linear", "unstable-ranking"}
