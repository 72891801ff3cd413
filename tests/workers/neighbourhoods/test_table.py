"""Columns are drawn as the background has them, the network reads just that, and what cannot be drawn is refused."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from service.contracts.facts import Column
from tests.workers.neighbourhoods.pictures import asked as pictured
from tests.workers.neighbourhoods.tables import Reads, Sums, asked, bent, skewed
from workers.kind import AnalysisError
from workers.neighbourhoods.table import table
from workers.neighbourhoods.table_background import TableBackground, TableSettings
from workers.surrogate.explain import explain
from workers.surrogate.settings import Settings

SAMPLINGS = ("quartile", "decile", "entropy", "continuous")
COLOUR = ("colour=red", "colour=blue", "colour=green")


def labelled(examples=80, columns=5, seed=0, **changes):
    rows = skewed(examples, columns, seed)
    return asked(bent(rows), rows, labels=(rows[:, 0] > rows[:, 0].median()).long(), **changes)


def coloured(examples=60, **changes):
    """An age, a colour in three inputs, and a code of 0, 1 or 2."""
    draw = np.random.RandomState(0)
    hot = np.eye(3)[draw.choice(3, examples, p=[0.6, 0.3, 0.1])]
    rows = np.concatenate([draw.gamma(2, 10, (examples, 1)), hot, draw.randint(0, 3, (examples, 1))], axis=1)
    return asked(Sums(), torch.from_numpy(rows).float(), names=("age", *COLOUR, "code"), **changes)


HOT = TableSettings(categories=("code",), one_hot=(COLOUR,))


# --- what the network reads


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_first_sample_is_the_example_bit_for_bit(sampling, paired, precision):
    preprocessing = {"mean": [0.1, 0.2, 0.3, 0.4, 0.5], "std": [3.0, 0.7, 0.3, 7.0, 0.1]}
    asks = labelled(precision=precision, declared={"preprocessing": preprocessing})
    around = table(asks, 1, TableSettings(sampling=sampling))
    samples = around.stream(5, paired).take(9)
    (made,) = around.inputs(samples)
    assert made.dtype == asks.x[0].dtype
    assert torch.equal(made[:1], asks.x[0][1:2])
    assert samples.distances[0] == 0
    assert (samples.distances[1:] > 0).all()
    assert not (made[1:] == made[:1]).all(1).any()


@pytest.mark.parametrize("sampling", ["quartile", "decile", "entropy"])
def test_in_bins_a_feature_says_whether_its_number_is_in_the_bin_of_the_row_and_the_distance_counts_those_that_are_not(
    sampling,
):
    around = table(labelled(), 0, TableSettings(sampling=sampling))
    samples = around.stream(1, paired=False).take(500)
    for column, strata in around.background.strata.items():
        code = np.searchsorted(strata.borders, samples.drawn[:, column])
        assert (samples.z[:, column] == (code == strata.code(around.row[column]))).all()
    assert samples.distances == pytest.approx(np.sqrt((samples.z == 0).sum(1)))


def test_continuous_features_are_numbers_on_the_scale_of_the_background():
    asks = labelled()
    around = table(asks, 0, TableSettings(sampling="continuous"))
    rows = asks.subject.examples["evaluation"].inputs.double().numpy()
    samples = around.stream(1, paired=False).take(300)
    scaled = (samples.drawn - rows.mean(0)) / rows.std(0)
    assert samples.z == pytest.approx(scaled)
    assert samples.distances == pytest.approx(np.sqrt(np.square(scaled - scaled[0]).sum(1)))
    assert np.abs(samples.z[1:].mean(0)).max() < 0.3


def test_around_the_example_numbers_are_centred_at_it():
    around = table(labelled(), 1, TableSettings(sampling="continuous", around="example"))
    samples = around.stream(1, paired=True).take(201)
    assert samples.drawn[1:].mean(0) == pytest.approx(around.row)
    assert around.as_json()["around"] == "example"


def test_preprocessing_is_applied_to_what_is_drawn_and_other_inputs_repeat():
    ids = {"kind": "tokens", "layout": "NT", "shape": [2], "bounds": {"low": [0], "high": [9]}}
    preprocessing = {"mean": [10.0, 20.0, 30.0], "std": [2.0, 4.0, 5.0]}
    asks = asked(Sums(), skewed(30, 3), declared={"preprocessing": preprocessing},
                 further=(torch.arange(60).reshape(30, 2) % 9,), more=({"name": "mask", "input": ids},))  # fmt: skip
    around = table(asks, 1, TableSettings())
    samples = around.stream(0, paired=False).take(4)
    rows, mask = around.inputs(samples)
    assert rows.numpy() == pytest.approx((samples.drawn - [10, 20, 30]) / [2, 4, 5])
    assert mask.tolist() == [[2, 3]] * 4


def test_the_table_may_be_a_later_input():
    picture = {"kind": "image", "layout": "NCHW", "shape": [3, 4, 4]}
    other = {"name": "table", "input": {"kind": "table", "layout": "NF", "shape": [5],
                                        "bounds": {"low": [0.0], "high": [1.0]}}}  # fmt: skip

    class Flat(torch.nn.Module):
        def forward(self, x, *others):
            return x.flatten(1).sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).to(x)

    images, rows = torch.rand(2, 3, 4, 4), torch.rand(2, 5)
    around = table(pictured(Flat(), images, declared=picture, further=(rows,), more=(other,)), 0, TableSettings())
    made = around.inputs(around.stream(0, paired=False).take(3))
    assert around.position == 1
    assert torch.equal(made[0], images[:1].double().expand(3, 3, 4, 4))
    assert torch.equal(made[1][0], rows[0].double())


def test_a_table_of_several_axes_is_read_number_by_number():
    class Flat(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).to(x)

    declared = {"layout": "NRF", "shape": [2, 3], "preprocessing": {"mean": [1.0, 2.0, 3.0], "std": [2.0, 2.0, 4.0]}}
    asks = asked(Flat(), skewed(30, 6).reshape(30, 2, 3), declared=declared)
    around = table(asks, 0, TableSettings())
    samples = around.stream(0, paired=False).take(5)
    (made,) = around.inputs(samples)
    assert around.columns == tuple(f"column {at}" for at in range(6))
    assert torch.equal(made[0], asks.x[0][0])
    assert made.numpy() == pytest.approx((samples.drawn.reshape(5, 2, 3) - [1, 2, 3]) / [2, 2, 4])
    assert around.shares(torch.arange(6.0).reshape(2, 3)).tolist() == [0, 1, 2, 3, 4, 5]


# --- categories


def test_a_category_is_drawn_by_its_frequency_and_its_feature_is_1_where_it_is_that_of_the_row():
    for sampling in ("quartile", "continuous"):
        asks = coloured()
        around = table(asks, 0, replace(HOT, sampling=sampling))
        samples = around.stream(2, paired=False).take(20_000)
        rows = asks.subject.examples["evaluation"].inputs
        shares = [float((rows[:, 4] == code).double().mean()) for code in range(3)]
        assert [(samples.drawn[1:, 4] == code).mean() for code in range(3)] == pytest.approx(shares, abs=0.015)
        assert (samples.z[:, 2] == (samples.drawn[:, 4] == around.row[4])).all()


@pytest.mark.parametrize("sampling", ["quartile", "continuous"])
@pytest.mark.parametrize("paired", [True, False])
def test_one_hot_inputs_flip_together_and_are_one_feature(sampling, paired):
    asks = coloured()
    around = table(asks, 0, replace(HOT, sampling=sampling))
    samples = around.stream(2, paired).take(4001)
    hot = samples.drawn[:, 1:4]
    assert ((hot == 0) | (hot == 1)).all()
    assert (hot.sum(1) == 1).all()
    shares = asks.subject.examples["evaluation"].inputs[:, 1:4].double().mean(0).numpy()
    assert hot[1:].mean(0) == pytest.approx(shares, abs=0.04)
    assert (samples.z[:, 1] == (hot.argmax(1) == around.row[1:4].argmax())).all()
    assert around.columns == ("age", "colour", "code")
    assert around.kernel_width == pytest.approx(0.75 * np.sqrt(3))


def test_features_are_named_as_people_read_them():
    around = table(coloured(), 0, HOT)
    age, colour, code = around.names
    row = around.row
    assert "age" in age
    assert "<=" in age or ">" in age
    assert colour == f"colour = {('red', 'blue', 'green')[int(row[1:4].argmax())]}"
    assert code == f"code = {row[4]:g}"
    assert around.values == (f"age = {row[0]:.6g}", colour, code)
    assert table(coloured(), 0, replace(HOT, sampling="continuous")).names == ("age", colour, code)


def test_declared_columns_name_categories_and_give_missing_cells_a_bin_of_their_own():
    draw = np.random.RandomState(0)
    age = np.where(draw.rand(60) < 0.3, -1, draw.gamma(2, 10, 60))
    age[0] = -1
    rows = torch.from_numpy(np.stack([age, draw.randint(0, 2, 60)], axis=1)).float()
    columns = (Column(name="age", missing=-1.0), Column(name="member", type="boolean"))
    settings = TableSettings(columns=columns)
    around = table(asked(Sums(), rows), 0, settings)
    member = "true" if rows[0, 1] else "false"
    assert around.names == ("age = -1 (missing)", f"member = {member}")
    samples = around.stream(0, paired=False).take(5000)
    assert (samples.z[:, 0] == (samples.drawn[:, 0] == -1)).all()
    assert samples.z[1:, 0].mean() == pytest.approx((age == -1).mean(), abs=0.03)
    assert samples.drawn[samples.drawn[:, 0] != -1, 0].min() >= age[age != -1].min() - 1e-6
    with pytest.raises(AnalysisError, match="cells of 'age' are missing") as refused:
        table(asked(Sums(), rows), 0, replace(settings, sampling="continuous"))
    assert "quartile" in refused.value.remedy


def test_a_category_that_the_background_does_not_have_is_a_feature_that_no_sample_shares():
    training = torch.tensor([[0.0, 1], [1, 2], [1, 3], [2, 4]])
    rows = torch.tensor([[5.0, 1.5], [0.0, 2.0]])
    around = table(asked(Sums(), rows, roles={"training": training}), 0, TableSettings(categories=("column 0",)))
    samples = around.stream(0, paired=False).take(100)
    assert around.names[0] == "column 0 = 5"
    assert samples.z[0, 0] == 1
    assert not samples.z[1:, 0].any()


@pytest.mark.parametrize("sampling", ["quartile", "continuous"])
def test_what_no_row_of_the_background_shares_with_the_example_is_told_and_has_no_error(sampling):
    """Category 7 is new, and so is 1 between the quartiles 0 and 2.5 where no row is."""
    draw = np.random.RandomState(0)
    rows = np.stack([draw.randint(0, 3, 400), draw.normal(size=400), np.repeat([0, 10], [300, 100])], axis=1)
    given = torch.tensor([[7.0, 0.5, 1.0]] * 2)
    case = asked(Sums(), given, names=("code", "a", "b"), roles={"training": torch.from_numpy(rows).float()})
    around = table(case, 0, TableSettings(sampling=sampling, categories=("code",)))
    new = ["code = 7", "b = 1"] if sampling == "quartile" else ["code = 7"]
    (note,) = around.notes
    assert note == (
        "Drawn in no sample, because no row of the training data is in the same bin or category:"
        f" {', '.join(map(repr, new))}. Such a coefficient rests on the example alone."
    )
    (local, *_) = explain(around, case.at(0), Settings(), 0).labels
    assert [around.values[at] for at in np.flatnonzero(np.isinf(local.whole_errors))] == new
    assert np.isinf(local.errors[np.isinf(local.whole_errors)]).all()


def test_a_network_that_reads_whole_numbers_is_given_categories_alone():
    rows = torch.randint(0, 4, (40, 3), generator=torch.Generator().manual_seed(0))
    around = table(asked(Sums(), rows), 0, TableSettings())
    (made,) = around.inputs(around.stream(0, paired=False).take(300))
    assert made.dtype == torch.int64
    assert set(made.unique().tolist()) <= set(rows.unique().tolist())
    assert any("whole numbers" in note for note in around.notes)


# --- the background


def test_the_background_is_that_of_its_role_else_the_training_data_else_what_is_explained():
    rows = skewed(30, 3)
    roles = {"background": rows + 100, "training": rows + 50}
    for given, shift in ((roles, 100), ({"training": rows + 50}, 50), ({}, 0)):
        around = table(asked(Sums(), rows, roles=given), 0, TableSettings(sampling="continuous"))
        role = next(iter(given), "evaluation")
        assert around.background.scales.mean == pytest.approx((rows.double() + shift).mean(0).numpy(), rel=1e-6)
        assert around.as_json()["background"] == role
        assert any("no training data" in note for note in around.notes) == (not given)


def test_a_constant_column_is_no_feature_stays_as_it_is_and_is_told():
    training = skewed(40, 4)
    training[:, 2] = 7.0
    rows = skewed(3, 4, seed=1)
    for sampling in ("quartile", "continuous"):
        around = table(asked(Sums(), rows, roles={"training": training}), 0, TableSettings(sampling=sampling))
        samples = around.stream(0, paired=False).take(50)
        assert around.columns == ("column 0", "column 1", "column 3")
        assert samples.z.shape == (50, 3)
        assert (samples.drawn[:, 2] == around.row[2]).all()
        assert around.kernel_width == pytest.approx(1.5)
        assert around.notes == ("Constant in the training data, and so no features: 'column 2'.",)


def test_a_constant_column_moves_no_other_column_s_draws():
    training, rows = skewed(40, 4), skewed(3, 4, seed=1)
    held = training.clone()
    held[:, 3] = 7.0
    for sampling in ("quartile", "continuous"):
        settings = TableSettings(sampling=sampling)
        every, some = (
            table(asked(Sums(), rows, roles={"training": given}), 0, settings).stream(0, paired=False).take(50)
            for given in (training, held)
        )
        if sampling == "continuous":
            assert (every.drawn[:, :3] == some.drawn[:, :3]).all()
        assert (every.z[:, :3] == some.z).all()


@pytest.mark.parametrize("sampling", ["quartile", "continuous"])
def test_where_every_column_is_constant_nothing_can_be_drawn(sampling):
    with pytest.raises(AnalysisError, match="every column is constant in the evaluation data") as refused:
        table(asked(Sums(), torch.ones(5, 3)), 0, TableSettings(sampling=sampling))
    assert "training" in refused.value.remedy


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_with_its_column_in_the_background_and_in_the_row(wrong):
    training, rows = skewed(30, 3), skewed(2, 3)
    training[4, 1] = wrong
    with pytest.raises(AnalysisError, match="the training data: NaN or infinity stands in 'b'"):
        table(asked(Sums(), rows, names=("a", "b", "c"), roles={"training": training}), 0, TableSettings())
    rows[1, 2] = wrong
    asks = asked(Sums(), rows, names=("a", "b", "c"), roles={"training": skewed(30, 3)})
    assert table(asks, 0, TableSettings()).names
    with pytest.raises(AnalysisError, match="example 1: NaN or infinity stands in 'c'"):
        table(asks, 1, TableSettings())


def test_a_group_that_is_not_one_hot_is_refused():
    rows = torch.tensor([[1.0, 0, 3], [1, 1, 4]])
    with pytest.raises(AnalysisError, match="1 of 2 rows do not have exactly one 1"):
        table(asked(Sums(), rows), 0, TableSettings(one_hot=(("column 0", "column 1"),)))


def test_bins_by_entropy_need_labels_and_read_those_of_the_background():
    rows = skewed(30, 2)
    with pytest.raises(AnalysisError, match="the background has none"):
        table(asked(Sums(), rows), 0, TableSettings(sampling="entropy"))
    training = (rows, (rows[:, 1] > rows[:, 1].median()).long())
    around = table(asked(Sums(), rows, roles={"training": training}), 0, TableSettings(sampling="entropy"))
    assert len(around.background.strata[1].borders) == 1


def test_of_a_large_background_evenly_spaced_rows_are_read_and_that_is_told(monkeypatch):
    monkeypatch.setattr("workers.neighbourhoods.table_background._MOST_NUMBERS", 60)
    asks = labelled(examples=80, columns=5)
    made = TableBackground.of(asks, TableSettings(sampling="continuous"))
    rows = asks.subject.examples["evaluation"].inputs[::7].double()
    assert made.scales.mean == pytest.approx(rows.mean(0).numpy())
    assert (made.used, made.examples) == (12, 80)
    assert "12 evenly spaced rows of 80" in " ".join(made.notes)


def test_a_model_without_a_table_is_refused():
    asks = pictured(Sums(), torch.rand(2, 6), declared={"kind": "series", "layout": "NT", "shape": [6]})
    with pytest.raises(AnalysisError, match="it reads series NT"):
        table(asks, 0, TableSettings())


# --- streams


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("paired", [True, False])
def test_equal_seeds_give_equal_samples_and_others_give_others(sampling, paired):
    settings = TableSettings(sampling=sampling)
    first, again, other = (table(labelled(), 0, settings).stream(seed, paired).take(40) for seed in (3, 3, 4))
    assert first.z.tobytes() == again.z.tobytes()
    assert first.drawn.tobytes() == again.drawn.tobytes()
    assert (first.drawn[1:] != other.drawn[1:]).mean() > 0.9


def test_paired_samples_are_mirror_images_about_the_mean_and_blocks_change_nothing():
    around = table(coloured(), 0, replace(HOT, sampling="continuous"))
    whole = around.stream(9, paired=True).take(41)
    stream = around.stream(9, paired=True)
    parts = [stream.take(count) for count in (1, 4, 5, 1, 30)]
    for name in ("z", "distances", "drawn"):
        assert np.concatenate([getattr(each, name) for each in parts]).tobytes() == getattr(whole, name).tobytes()
    assert whole.z[1::2, 0] == pytest.approx(-whole.z[2::2, 0])
    assert around.as_json()["mirrored"] is True
    assert table(coloured(), 0, HOT).as_json()["mirrored"] is False


def test_a_later_block_holds_no_example():
    for sampling in ("quartile", "continuous"):
        stream = table(labelled(), 0, TableSettings(sampling=sampling)).stream(0, paired=False)
        assert len(stream.take(0)) == 0
        first, later = stream.take(10), stream.take(10)
        assert first.distances[0] == 0
        assert (later.distances > 0).all()
        assert len(np.unique(np.concatenate([first.drawn, later.drawn]), axis=0)) == 20


def test_many_columns_in_many_parts_are_drawn_as_in_one(monkeypatch):
    around = table(labelled(columns=12), 0, TableSettings())
    whole = around.stream(0, paired=False).take(200)
    monkeypatch.setattr("workers.neighbourhoods.table_streams._AT_ONCE", 700)
    parts = around.stream(0, paired=False).take(200)
    assert whole.drawn.tobytes() == parts.drawn.tobytes()
    assert whole.z.tobytes() == parts.z.tobytes()


# --- what comes of it


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_of_a_network_that_reads_two_columns_these_two_are_found_and_at_the_ends_the_surrogate_passes(sampling):
    """In bins, a row from the middle differs from what is above and below it alike, and of deciles one sample in ten is
    in its bin: no line tells much of that, and the verdict says so."""
    rows = skewed(200, 12, seed=3)
    rows = rows[Reads(rows, 4, 7)(rows.double())[:, 0].abs().argsort(descending=True)]
    ends = (rows[:, 4] > rows[:, 4].quantile(0.9)) & (rows[:, 7] < rows[:, 7].quantile(0.25))
    asks = asked(Reads(rows, 4, 7), rows, labels=(rows[:, 4] > rows[:, 4].median()).long(), examples=200)
    background = TableBackground.of(asks, settings := TableSettings(sampling=sampling))
    for index in (*torch.where(ends)[0][:3].tolist(), 100, 199):
        around = table(asks, index, settings, background)
        found = explain(around, asks.at(index), Settings(features=2), seed=index)
        for local in found.labels:
            assert {around.columns[at] for at in local.chosen} == {"column 4", "column 7"}
            if ends[index] and sampling != "decile":
                assert local.verdict in ("readable", "doubtful")


def test_an_attribution_is_summed_over_the_inputs_of_each_feature():
    around = table(coloured(), 0, HOT)
    assert around.shares(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [1, 9, 5]


def test_settings_and_the_way_rows_are_drawn_are_plain_values():
    settings = replace(HOT, columns=(Column(name="age"),))
    assert settings.as_json()["columns"][0]["name"] == "age"
    assert settings.as_json()["one_hot"] == [list(COLOUR)]
    assert hash(settings) == hash(replace(settings))
    assert table(coloured(), 0, HOT).as_json() == {
        "kind": "table", "input": 0, "mirrored": False, "sampling": "quartile", "background": "evaluation",
        "background_examples": 60, "background_rows_read": 60, "columns": 3, "features": 3, "categories": 2,
        "one_hot": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_drawing_imports_nothing_that_was_not_there():
    code = """
import sys
import numpy as np
from tests.workers.neighbourhoods.test_table import SAMPLINGS, labelled
from workers.neighbourhoods.table import table
from workers.neighbourhoods.table_background import TableSettings
asks = labelled()
before = set(sys.modules)
for sampling in SAMPLINGS:
    around = table(asks, 0, TableSettings(sampling=sampling))
    around.inputs(around.stream(0, True).take(30))
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip() == "[]"


def with_columns(case, **roles):
    examples = {role: replace(data, columns=roles.get(role, ())) for role, data in case.subject.examples.items()}
    return replace(case, subject=replace(case.subject, examples=examples))


def test_columns_are_those_that_the_dataset_declares():
    rows = torch.tensor([[1.0, 30.0], [0.0, 40.0], [1.0, 50.0], [0.0, 60.0]])
    columns = (Column(name="colour", type="category", categories=("red", "blue")), Column(name="age"))
    declared = with_columns(asked(Sums(), rows), evaluation=columns)
    assert table(declared, 0, TableSettings()).names[0] == "colour = blue"
    other = with_columns(asked(Sums(), rows, roles={"training": rows}), evaluation=columns)
    assert table(other, 0, TableSettings()).names[0] == "colour = blue"


def test_codes_that_mean_different_things_in_two_datasets_are_refused():
    rows = torch.tensor([[1.0, 30.0], [0.0, 40.0], [1.0, 50.0], [0.0, 60.0]])
    here, there = (
        (Column(name="colour", type="category", categories=names), Column(name="age"))
        for names in (("red", "blue"), ("blue", "red"))
    )
    both = with_columns(asked(Sums(), rows, roles={"training": rows}), evaluation=here, training=there)
    with pytest.raises(AnalysisError, match=r"the training data declare other columns.*'colour'") as refused:
        table(both, 0, TableSettings())
    assert "same order" in refused.value.remedy
