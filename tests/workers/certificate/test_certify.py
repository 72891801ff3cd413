"""A whole certificate: on networks of which the truth is known, and as the page shows it."""

from __future__ import annotations

import pytest
import torch

from tests import networks, planted
from tests.workers.certificate.conftest import gradient_x_input, hooks
from workers.certificate.certify import Effort, certify
from workers.certificate.definitions import DEFINITIONS

FEW = Effort(stages=2, shufflings=2, neighbours=2, perturbations=4, steps=4, orders=4)
PAGE = planted.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> list[planted.Row]:
    torch.set_num_threads(1)
    return list(planted.rows())


@pytest.mark.slow
def test_the_right_methods_rank_first_what_matters_and_their_certificates_pass(rows: list[planted.Row]):
    own = [row for row in rows if row.way == "its own" and row.method != "the input itself"]
    assert len(own) == 10
    for row in own:
        assert row.first, f"{row.network}, {row.method}: something else ranks first"
        assert row.certificate.usable, f"{row.network}, {row.method}: {row.certificate.because}"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["a random twin's", "units shuffled", "examples shuffled"])
def test_an_explanation_that_is_not_this_models_fails(rows: list[planted.Row], way: str):
    false = [row for row in rows if row.way == way]
    assert len(false) == 5
    for row in false:
        assert not row.certificate.usable, f"{row.network}: {way} passed"
        assert "identity" in row.certificate.because


@pytest.mark.slow
def test_an_explanation_that_looks_at_the_input_alone_fails_for_any_network(rows: list[planted.Row]):
    blind = [row for row in rows if row.method == "the input itself"]
    assert len(blind) == 5
    for row in blind:
        assert not row.certificate.usable
        assert "parameter_randomisation" in row.certificate.because


@pytest.mark.slow
def test_the_table_of_the_page_is_up_to_date(rows: list[planted.Row]):
    assert planted.written(PAGE, rows) == PAGE, "run python -m tests.planted"


def test_the_page_has_every_definition_and_is_up_to_date():
    assert planted.defined(PAGE) == PAGE, "run python -m tests.planted"
    assert all(f"| `{name}` |" in PAGE for name in DEFINITIONS)


def test_what_does_not_matter_has_an_attribution_of_exactly_zero():
    for each in planted.networks():
        for made in (planted.by_conductance(each), planted.by_gradient(each)):
            found = made(each.ready())
            for key, mask in each.truth.items():
                assert float(found[key].flatten(1)[:, ~mask.flatten()].abs().sum()) == 0, f"{each.name}, {key}"


def test_layers_without_inputs_get_what_applies_to_layers():
    ready = planted.prepared(networks.mlp(), networks.points(4, 6))
    made = planted.explain(planted.CONDUCTANCE, ("2", "3"), 1 << 28, 1, 1)
    certificate = certify(ready, made, made(ready), seed=1, effort=FEW).certificate
    about_inputs = {check.name for check in certificate.checks if check.place is None}
    assert about_inputs == {"deletion", "insertion", "infidelity", "infidelity_share", "max_sensitivity"}
    assert all("of layers" in check.because for check in certificate.checks if check.place is None)
    assert certificate.usable


def test_a_single_example_has_a_certificate_of_what_needs_no_interval():
    ready = planted.prepared(networks.mlp(), networks.points(1, 6))
    checks = certify(ready, gradient_x_input, gradient_x_input(ready), seed=1, effort=FEW).certificate.checks
    assert next(check for check in checks if check.name == "deletion").verdict == "not applicable"
    assert next(check for check in checks if check.name == "identity").verdict == "passed"
    assert all(check.low is None and check.high is None for check in checks)


def test_an_exception_between_checks_ends_it_and_leaves_no_hook():
    network = networks.mlp()
    ready = planted.prepared(network, networks.points(3, 6))
    told: list[tuple[float, str]] = []

    def stop(fraction: float, what: str) -> None:
        told.append((fraction, what))
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certify(ready, gradient_x_input, gradient_x_input(ready), seed=1, effort=FEW, on_check=stop)
    assert [fraction for fraction, _ in told] == [0.0, 0.1, 0.5]
    assert hooks(network) == 0


def test_the_same_seed_gives_the_same_certificate():
    ready = planted.prepared(networks.mlp(), networks.points(3, 6))
    one, again = (
        certify(ready, gradient_x_input, gradient_x_input(ready), seed=4, effort=FEW).certificate for _ in range(2)
    )
    assert one == again
