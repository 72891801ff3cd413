from math import erfc, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.history.difference import LEVEL, Estimate, Z, difference, magnitude, wilson

# Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: counts, then the interval of the first less the
# second, to four places.
PUBLISHED = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


def share(successes: int, n: int) -> Estimate:
    return Estimate(successes / n, *wilson(successes, n), n)


@pytest.mark.parametrize(("a", "m", "b", "n", "low", "high"), PUBLISHED)
def test_two_proportions_differ_as_newcombe_published(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = difference(share(b, n), share(a, m))
    assert found.how == "newcombe"
    assert found.value == pytest.approx(a / m - b / n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_s_interval_of_seven_in_ten() -> None:
    # z = 1.959964: centre (0.7 + 0.192073) / 1.384146, half 1.959964 / 1.384146 * sqrt(0.021 + 0.0096036).
    assert wilson(7, 10) == (pytest.approx(0.396778, abs=1e-6), pytest.approx(0.892209, abs=1e-6))
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_the_probability_belongs_to_the_interval(m: int, n: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    found = difference(share(a, m), share(b, n))
    assert found.p is not None
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.p <= 1.0
    if abs(found.p - (1 - LEVEL)) > 1e-9:
        assert (found.p < 1 - LEVEL) == (found.low > 0 or found.high < 0)
    back = difference(share(b, n), share(a, m))
    assert back.p == pytest.approx(found.p, abs=1e-9)
    assert (back.low, back.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_symmetric_intervals_are_the_normal_approximation() -> None:
    # Standard errors 0.3 and 0.4 make 0.5 together; a change of 1 is two of them.
    found = difference(Estimate(5.0, 5 - 0.3 * Z, 5 + 0.3 * Z, 50), Estimate(6.0, 6 - 0.4 * Z, 6 + 0.4 * Z, 50))
    assert found.how == "intervals"
    assert (found.value, found.low, found.high) == (1.0, pytest.approx(1 - 0.5 * Z), pytest.approx(1 + 0.5 * Z))
    assert found.p == pytest.approx(erfc(2 / sqrt(2)))


def test_a_lopsided_interval_counts_on_the_side_that_faces_the_other() -> None:
    before, after = Estimate(2.0, 1.0, 6.0, 9), Estimate(10.0, 7.0, 10.5, 9)
    found = difference(before, after)
    assert found.low == pytest.approx(8 - 5.0)  # 10 - 7 and 6 - 2: three and four
    assert found.high == pytest.approx(8 + sqrt(0.25 + 1))
    assert difference(after, before).p == pytest.approx(found.p)


def test_a_share_of_something_else_is_not_taken_for_a_proportion() -> None:
    """Its value times n is whole, but its interval is not Wilson's."""
    found = difference(Estimate(0.5, 0.4, 0.6, 10), Estimate(0.7, 0.6, 0.8, 10))
    assert found.how == "intervals"
    mixed = difference(share(5, 10), Estimate(0.7, 0.6, 0.8, 10))
    assert mixed.how == "intervals"


@pytest.mark.parametrize(
    "other", [Estimate(2.0, None, None, 5), Estimate(2.0, 2.0, 2.0, 5), Estimate(2.0, None, 3.0, 5)]
)
def test_without_an_interval_that_says_anything_numbers_are_compared_as_numbers(other: Estimate) -> None:
    found = difference(Estimate(1.0, 0.5, 1.5, 5), other)
    assert (found.value, found.low, found.high, found.p, found.how) == (1.0, None, None, None, "numbers")


def test_equal_estimates_have_probability_one() -> None:
    assert difference(share(3, 9), share(3, 9)).p == 1.0
    assert difference(Estimate(1.0, 0.5, 1.5, 5), Estimate(1.0, 0.5, 1.5, 5)).p == 1.0


def test_a_difference_past_all_doubt_has_probability_zero_and_no_error() -> None:
    found = difference(share(0, 10**7), share(10**7, 10**7))
    assert found.p == 0.0
    assert found.low is not None
    assert found.low > 0.99


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((-3.0, -4.0, -2.0), (3.0, 2.0, 4.0)),
        ((0.5, -1.0, 2.0), (0.5, 0.0, 2.0)),
        ((-0.5, -3.0, 2.0), (0.5, 0.0, 3.0)),
        ((2.0, None, None), (2.0, None, None)),
    ],
)
def test_what_should_be_close_to_zero_is_compared_by_its_distance_from_it(
    given: tuple[float, float | None, float | None], expected: tuple[float, float | None, float | None]
) -> None:
    found = magnitude(Estimate(*given, 7))
    assert (found.value, found.low, found.high) == expected
