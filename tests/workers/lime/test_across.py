"""The pick of examples and the summaries of features, by hand."""

from __future__ import annotations

import pytest

from workers.lime.across import pick, picks, summaries
from workers.lime.outcome import Example, Explanation


def explanation(verdict="readable", class_name=None):
    return Explanation(
        target="predicted", class_name=class_name, features=(), chosen=0, intercept=0.0, r2=1.0, held_out=1.0,
        prediction=1.0, local=1.0, stable_features=1.0, stable_values=1.0, overlap=1.0, gap=None, gap_error=None,
        settled=None, widths=(), verdict=verdict, reason="",
    )  # fmt: skip


def example(index, verdict="readable", class_name=None):
    return Example(
        index=index, features=3, samples=10, distinct=10, lost=0, effective=10.0, kernel_width=1.0, neighbourhood={},
        explanations=(explanation(verdict, class_name),),
    )  # fmt: skip


def test_the_pick_covers_the_heaviest_features_first():
    # features weigh 4, 1, 1 over all examples: they count 2, 1 and 1, of 4 in all
    shown = {0: {"a": 2.0, "b": 1.0}, 1: {"a": 2.0}, 2: {"c": 1.0}}
    chosen, coverage = pick(shown, 2)
    assert [(each.index, each.gain) for each in chosen] == [(0, 0.75), (2, 0.25)]
    assert coverage == 1


def test_the_pick_ends_where_nothing_is_left_to_show():
    chosen, coverage = pick({0: {"a": 1.0}, 1: {"a": 5.0}}, 2)
    assert [each.index for each in chosen] == [0], "the first of equals, and the second adds nothing"
    assert coverage == 1


def test_nothing_is_picked_where_nothing_weighs():
    assert pick({0: {"a": 0.0}}, 3) == ((), 0.0)


def test_surrogates_that_may_not_be_read_are_not_picked():
    found, missing = picks(
        [example(0, "not locally linear"), example(1)], {0: [[9.0, 9.0]], 1: [[1.0, 0.0]]},
        {0: ("a", "b"), 1: ("a", "b")}, 3,
    )  # fmt: skip
    assert [each.index for each in found[0].picked] == [1]
    assert missing == ()


def test_features_of_one_example_alone_cannot_be_covered_by_another():
    found, missing = picks([example(0), example(1)], {}, {0: None, 1: None}, 3)
    assert found == ()
    assert "are not those of another" in missing[0].because


def test_features_that_are_the_same_thing_are_one():
    found, _ = picks([example(0), example(1)], {0: [[1.0, 3.0]], 1: [[1.0, 0.0]]}, {0: ("a", "a"), 1: ("b", "a")}, 1)
    # a weighs 1 + 3 + 0, b 1: they count 2 and 1
    assert [(each.index, each.gain) for each in found[0].picked] == [(0, pytest.approx(2 / 3))]


def test_summaries_are_means_by_class_over_the_examples_that_have_the_feature():
    made = summaries(
        [example(0, class_name="cat"), example(1, class_name="cat"), example(2, class_name="dog"),
         example(3, "nothing changes", "cat")],
        {0: [[1.0, -2.0]], 1: [[3.0]], 2: [[5.0]], 3: [[100.0]]},
        {0: ("a", "b"), 1: ("a",), 2: ("a",), 3: ("a",)},
    )  # fmt: skip
    found = {(each.class_name, each.feature): each for each in made}
    assert set(found) == {("cat", "a"), ("cat", "b"), ("dog", "a")}
    both = found["cat", "a"]
    assert (both.mean.value, both.absolute.value, both.mean.n) == (2.0, 2.0, 2)
    assert both.mean.low == pytest.approx(1.0)
    assert both.mean.high == pytest.approx(3.0)
    alone = found["cat", "b"]
    assert (alone.mean.value, alone.absolute.value) == (-2.0, 2.0)
    assert alone.mean.low is None
    assert [each.feature for each in made if each.class_name == "cat"] == ["a", "b"]
