"""Columns are what is declared of them; a name that fits nothing is refused with what there is."""

import numpy as np
import pytest

from service.contracts.facts import Column, InputFacts
from workers.kind import AnalysisError
from workers.neighbourhoods.columns import columns_of, listed

HOT = ("colour=red", "colour=blue", "colour=green")


def facts(*names, count=None):
    return InputFacts.model_validate(
        {"kind": "table", "layout": "NF", "shape": [count or len(names)], "feature_names": names,
         "bounds": {"low": [0.0], "high": [1.0]}}
    )  # fmt: skip


def columns(of, declared=(), categories=(), one_hot=(), whole=False):
    return columns_of(of, declared, categories, one_hot, whole=whole)


def test_columns_have_the_names_of_the_features_and_are_numbers():
    made = columns(facts("age", "height"))
    assert [(each.name, each.places, each.labels) for each in made] == [("age", (0,), None), ("height", (1,), None)]
    assert made[0].worded(44.0) == "age = 44"


def test_a_table_without_names_counts_its_columns_from_0():
    assert [each.name for each in columns(facts(count=2))] == ["column 0", "column 1"]


def test_declared_types_give_categories_their_names_and_missing_numbers_their_word():
    declared = (
        Column(name="who", role="ignore", type="text"),
        Column(name="colour", type="category", categories=("red", "blue"), missing=-1.0),
        Column(name="member", type="boolean"),
        Column(name="rooms", type="integer", missing=-9.0),
        Column(name="price"),
    )
    colour, member, rooms, price = columns(facts(count=4), declared)
    assert [colour.worded(1.0), colour.worded(5.0)] == ["colour = blue", "colour = 5"]
    assert colour.worded(-1.0) == "colour = -1 (missing)"
    assert [member.worded(0.0), member.worded(1.0)] == ["member = false", "member = true"]
    assert rooms.labels is None
    assert [rooms.worded(3.0), rooms.worded(-9.0)] == ["rooms = 3", "rooms = -9 (missing)"]
    assert price.labels is None


def test_columns_named_as_categories_are_and_all_are_where_the_network_reads_whole_numbers():
    named = columns(facts("age", "code"), categories=("code",))
    assert [each.labels for each in named] == [None, ()]
    assert [each.labels for each in columns(facts("age", "code"), whole=True)] == [(), ()]


def test_one_hot_inputs_are_one_column_where_the_first_of_them_is_named_by_what_they_share():
    age, colour, height = columns(facts("age", *HOT, "height"), one_hot=(HOT,))
    assert [age.places, colour.places, height.places] == [(0,), (1, 2, 3), (4,)]
    assert colour.worded(1.0) == "colour = blue"
    rows = np.array([[7.0, 0, 0, 1, 8]])
    assert colour.read(rows).tolist() == [2]
    colour.write(rows, np.array([0.0]))
    assert rows.tolist() == [[7, 1, 0, 0, 8]]


@pytest.mark.parametrize(
    ("group", "name", "label"),
    [(("red", "blue"), "red or blue", "blue"), (("is_a", "is_b"), "is", "b"), (("x[a]", "x[b]"), "x", "b"),
     (("reddish", "redder"), "reddish or redder", "redder")],
)  # fmt: skip
def test_what_a_group_shares_ends_where_a_word_does(group, name, label):
    (made,) = columns(facts(*group), one_hot=(group,))
    assert made.worded(1.0) == f"{name} = {label}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"categories": ("size",)}, "no 'size'; it has 'age', 'height'"),
        ({"one_hot": (("age", "weight"),)}, "no 'weight'"),
        ({"one_hot": (("age",),)}, "no group"),
        ({"one_hot": (("age", "age"),)}, "no group"),
        ({"one_hot": (("age", "height"), ("height", "age"))}, "no group"),
        ({"declared": (Column(name="age"),)}, "1 columns are declared as features, and an example has 2 numbers"),
    ],
)  # fmt: skip
def test_what_fits_no_column_is_refused(given, said):
    with pytest.raises(AnalysisError, match=said) as refused:
        columns(facts("age", "height"), **given)
    assert refused.value.remedy


def test_a_long_list_of_names_is_cut():
    assert listed([f"c{at}" for at in range(13)]).endswith("'c9' and 3 more")
