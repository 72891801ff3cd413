"""Nodes and weights against numpy's, and against the integrals they must give exactly."""

import numpy as np
import pytest

from workers.numerics.quadrature import gauss_legendre, uniform


@pytest.mark.parametrize("n", [1, 2, 3, 11, 51, 201])
def test_gauss_legendre_equals_numpys(n):
    nodes, weights = np.polynomial.legendre.leggauss(n)
    made = gauss_legendre(n)
    np.testing.assert_allclose(made.nodes, 0.5 * (1 + nodes), rtol=0, atol=4e-16)
    np.testing.assert_allclose(made.weights, 0.5 * weights, rtol=1e-9)


def test_gauss_legendre_is_exact_for_polynomials_up_to_its_degree():
    made = gauss_legendre(4)
    for power in range(8):
        assert np.dot(made.weights, np.power(made.nodes, power)) == pytest.approx(1 / (power + 1), abs=1e-15)
    assert np.dot(made.weights, np.power(made.nodes, 8)) != pytest.approx(1 / 9, abs=1e-7)


def test_uniform_nodes_reach_both_ends_and_integrate_lines_exactly():
    made = uniform(5)
    assert made.nodes == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert made.weights == (0.125, 0.25, 0.25, 0.25, 0.125)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        gauss_legendre(0)
    with pytest.raises(ValueError, match="at least two"):
        uniform(1)
