import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.history.multiplicity import benjamini_hochberg, holm

PROBABILITIES = st.lists(st.floats(0, 1), max_size=30)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, then 0.04 may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochberg_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4/1, 4/2, 4/3, 4/4: 0.02, 0.02, 0.04, 0.04.
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_the_example_of_benjamini_and_hochberg() -> None:
    """Fifteen probabilities of their section 3.2: at 0.05 they reject four, Holm three."""
    given = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    given += [0.7590, 1.0000]
    assert sum(p <= 0.05 for p in benjamini_hochberg(given)) == 4
    assert sum(p <= 0.05 for p in holm(given)) == 3


def test_one_question_needs_no_adjustment_and_none_has_none() -> None:
    assert holm([0.03]) == benjamini_hochberg([0.03]) == [0.03]
    assert holm([]) == benjamini_hochberg([]) == []


@given(PROBABILITIES)
def test_what_is_adjusted_keeps_its_order_and_stays_a_probability(given: list[float]) -> None:
    for adjusted in (holm(given), benjamini_hochberg(given)):
        assert all(p <= q <= 1 for p, q in zip(given, adjusted, strict=True))
        by_p = sorted(zip(given, adjusted, strict=True))
        assert [q for _, q in by_p] == sorted(adjusted)
    pairs = zip(holm(given), benjamini_hochberg(given), strict=True)
    assert all(q <= p * (1 + 1e-12) for p, q in pairs)
