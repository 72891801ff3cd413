"""A whole certificate: on networks of which the truth is known, and as the page shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lamina.zoo.families import FAMILIES as ZOO
from lamina.zoo.family import Family
from tests import networks, planted
from tests.workers.certificate.conftest import gradient_x_input, hooks
from workers.certificate.certify import Effort, certify
from workers.certificate.definitions import DEFINITIONS
from workers.certificate.randomisation import randomise
from workers.sweep.embedded import Ids
from workers.sweep.entered import entered
from workers.sweep.methods.conductance import Conductance
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.target import Target

CANNOT = ("exit_cond", "exit_if")  # what runs in them depends on values, which the probe refuses
FAMILIES = [family for family in ZOO.values() if family.name not in CANNOT]
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


@pytest.mark.parametrize("inputs", [True, False])
def test_effort_says_beforehand_what_it_takes(inputs: bool):
    network, examples, rows, explained = networks.mlp(), 3, 0, 0
    ready = planted.prepared(network, networks.points(examples, 6))

    def count(_module: object, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal rows
        rows += len(given[0])

    def explain(ready: Prepared) -> dict[str, torch.Tensor]:
        nonlocal explained, rows
        explained += len(ready)
        before = rows
        made = gradient_x_input(ready)["input"]
        rows = before
        return {"input" if inputs else "elsewhere": made}

    shown = explain(ready)
    explained = 0
    network[0].register_forward_pre_hook(count)
    certify(ready, explain, shown, seed=1, effort=FEW)
    assert explained == examples * FEW.explained(inputs=inputs, baseline=True)
    assert rows == examples * FEW.evaluated(inputs=inputs, baseline=True)


def test_neighbours_of_a_seeded_explanation_stand_in_the_places_of_their_examples():
    ready = planted.prepared(networks.mlp(), networks.points(3, 6))
    noise = torch.rand(64, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def by_place(ready: Prepared) -> dict[str, torch.Tensor]:
        return {"input": noise[: len(ready)]}

    def sensitivity(*, seeded: bool) -> float | None:
        made = certify(ready, by_place, by_place(ready), seed=1, effort=FEW, seeded=seeded)
        return next(check.value for check in made.certificate.checks if check.name == "max_sensitivity")

    assert sensitivity(seeded=True) == 0
    assert sensitivity(seeded=False) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_layer_of_a_network_of_the_zoo_is_taken_for_one_that_ignores_the_parameters(family: Family):
    ready = from_zoo(family)
    keys = tuple(tap.key for tap in ready.probe.taps if tap.status == "on_path" and tap.same_as is None)
    made = planted.explain(Conductance(steps=8), keys, 1 << 28, 1, 1)
    checks = randomise(ready, made, made(ready), stages=6, draws=3, seed=1).checks
    found = {check.place: check.value for check in checks if check.name == "parameter_randomisation" and check.value}
    assert found
    assert all(check.verdict != "failed" for check in checks)
    at_inputs = [value for key, value in found.items() if key in ready.probe.inputs]
    assert max(at_inputs, default=0) < 0.7
    assert max((value for key, value in found.items() if key not in ready.probe.inputs), default=0) < 0.5


def from_zoo(family: Family) -> Prepared:
    """The family's network in float64 and six examples, explained for what it predicts."""
    network = family.network().double()
    x = tuple(each.double() if each.is_floating_point() else each for each in family.prepared(family.examples(6)))
    starts = tuple(torch.zeros_like(each[:1]) if each.is_floating_point() else ids(each, family) for each in x)
    made = entered(network, x, starts, rows=family.batch)
    given = outputs(made.model, made.x, family.batch, Target.value())
    target = Target.value() if given[0].numel() == 1 else Target.classes(given.argmax(1))
    if given.ndim > 2:
        target = Target.element(*[0] * (given.ndim - 1))
    seen = replace(probe(made.model, made.x, made.origin, target, rows=family.batch), inputs=made.inputs)
    return Prepared(model=made.model, x=made.x, origin=made.origin, target=target, outputs=given, probe=seen)


def ids(given: torch.Tensor, family: Family) -> Ids:
    """A path from zero vectors."""
    return Ids(origin="zero", real=torch.ones_like(given, dtype=torch.bool), low=0, high=int(given.max()))


def test_the_same_seed_gives_the_same_certificate():
    ready = planted.prepared(networks.mlp(), networks.points(3, 6))
    one, again = (
        certify(ready, gradient_x_input, gradient_x_input(ready), seed=4, effort=FEW).certificate for _ in range(2)
    )
    assert one == again
