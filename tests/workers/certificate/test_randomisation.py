"""Cascading randomisation: what is shuffled, in which order, of whom, and what its correlations say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.planted import prepared
from tests.workers.certificate.conftest import gradient_x_input, hooks, only
from workers.certificate.randomisation import learnt, randomise, shuffle
from workers.numerics.determinism import NotFinite
from workers.sweep.ready import Prepared


def run(ready: Prepared, explain=gradient_x_input, **changes: int):
    return randomise(ready, explain, explain(ready), **{"stages": 6, "draws": 3, "seed": 1, **changes})


def test_the_network_is_as_before():
    network = networks.resnet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    asked = [parameter.requires_grad for parameter in network.parameters()]
    run(prepared(network, networks.points(2, 3, 12, 12)))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert [parameter.requires_grad for parameter in network.parameters()] == asked
    assert hooks(network) == 0


def test_stages_go_from_the_output_down_and_end_with_everything():
    stages = run(prepared(networks.mlp(depth=3), networks.points(4, 6))).stages
    assert [stage.modules for stage in stages] == [("6",), ("4",), ("2",), ("0",)]
    shares = [stage.share for stage in stages]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_many_modules_make_few_stages():
    stages = run(prepared(networks.resnet(), networks.points(2, 3, 12, 12)), stages=3).stages
    assert len(stages) == 3
    named = [name for stage in stages for name in stage.modules]
    assert len(named) == len(set(named))
    assert named[0] == "8"
    assert named[-1] == "0"


def test_numbers_of_a_tensor_change_places_and_statistics_stay():
    network = networks.resnet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    shuffle(list(learnt(network)), 1, 0)
    for key, value in network.state_dict().items():
        assert torch.equal(value.flatten().sort().values, before[key].flatten().sort().values)
        if "running" in key:
            assert torch.equal(value, before[key])
    assert not torch.equal(network[0].weight, before["0.weight"])


def test_an_explanation_that_ignores_the_parameters_fails():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    made = run(ready, lambda ready: {"input": ready.x[0]})
    check = only(made.checks, "parameter_randomisation", "input")
    assert (check.value, check.verdict, check.necessary) == (pytest.approx(1.0), "failed", True)
    assert all(stage.correlations["input"] == pytest.approx(1.0) for stage in made.stages)


def test_an_explanation_that_all_but_ignores_the_parameters_fails_however_alike_shuffled_networks_are():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    check = only(run(ready, _hardly).checks, "parameter_randomisation", "input")
    assert check.verdict == "failed"
    assert check.threshold == 0.95


def _hardly(ready: Prepared) -> dict[str, Tensor]:
    return {"input": ready.x[0] + 1e-3 * gradient_x_input(ready)["input"]}


def test_gradients_pass():
    made = run(prepared(networks.mlp(width=64), networks.points(8, 6)))
    check = only(made.checks, "parameter_randomisation", "input")
    assert check.verdict == "passed"
    assert check.n == 8
    assert only(made.checks, "parameter_randomisation_chance", "input").verdict == "no threshold"


def test_inputs_of_very_different_scales_make_all_networks_alike_and_do_not_fail_it():
    scales = torch.tensor([1.0, 3.0, 10.0, 30.0, 100.0, 300.0], dtype=torch.float64)
    check = only(
        run(prepared(networks.smooth_mlp(), networks.points(8, 6) * scales)).checks, "parameter_randomisation", "input"
    )
    assert 0.8 < check.threshold <= 0.95
    assert "among themselves" in check.because


def test_too_few_units_for_chance_are_not_applicable():
    def two(ready: Prepared) -> dict[str, Tensor]:
        made = gradient_x_input(ready)["input"]
        return {"input": torch.nn.functional.pad(made[:, :2], (0, 4))}

    ready = prepared(networks.mlp(), networks.points(4, 6))
    check = only(run(ready, two).checks, "parameter_randomisation", "input")
    assert check.verdict == "not applicable"
    assert "chance alone" in check.because


def test_the_threshold_grows_where_few_draws_and_units_let_chance_reach_further():
    def four(ready: Prepared) -> dict[str, Tensor]:
        return {"input": torch.nn.functional.pad(gradient_x_input(ready)["input"][:, :4], (0, 2))}

    ready = prepared(networks.mlp(), networks.points(4, 6))
    made = run(ready, four, draws=1)
    assert only(made.checks, "parameter_randomisation", "input").threshold == pytest.approx(1.645 / 3**0.5, rel=1e-3)
    assert "two shufflings" in only(made.checks, "parameter_randomisation_chance", "input").because


class Tied(nn.Module):
    """The first and the last layer share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.last.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.middle(torch.tanh(self.first(x * self.scale)))))


def test_a_shared_tensor_is_shuffled_once_with_the_last_that_uses_it_and_those_of_the_network_itself_at_the_end():
    stages = run(prepared(networks.ready(Tied()), networks.points(3, 6))).stages
    assert [stage.modules for stage in stages] == [("last",), ("middle",), ("first",), ("",)]
    assert stages[0].share == pytest.approx(42 / (42 + 42 + 6 + 6))


def test_quantised_weights_are_shuffled_and_other_buffers_are_not():
    network = nn.Module()
    network.register_buffer("weight", torch.arange(12, dtype=torch.int8).reshape(3, 4))
    network.register_buffer("positions", torch.arange(12))
    network.register_buffer("table", torch.rand(3, 4))
    assert [name for name, _ in learnt(network)] == ["weight"]


def test_a_network_without_parameters_is_not_applicable():
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x[:, :3] * x[:, 3:]).cumsum(1)

    made = run(prepared(Product(), networks.points(4, 6)))
    assert made.stages == ()
    assert "no parameters" in only(made.checks, "parameter_randomisation", "input").because


def test_a_shuffled_network_without_finite_numbers_is_not_applicable():
    asked = 0

    def fails(ready: Prepared) -> dict[str, Tensor]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise NotFinite("0")
        return gradient_x_input(ready)

    check = only(run(prepared(networks.mlp(), networks.points(4, 6)), fails).checks, "parameter_randomisation", "input")
    assert "with shuffled parameters layer '0' gave NaN" in check.because


@pytest.mark.slow
def test_an_exported_network_is_copied_with_its_graphs():
    x = networks.points(3, 6)
    network = networks.ready(networks.Reused())
    program = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=512)},))
    exported = torch.export.unflatten(program)
    exported.eval = lambda: exported
    for module in exported.modules():
        module.training = False
    eager = run(prepared(network, x))
    made = run(prepared(exported, x))
    assert len(made.stages) == len(eager.stages)
    assert only(made.checks, "parameter_randomisation", "input").value == pytest.approx(
        only(eager.checks, "parameter_randomisation", "input").value
    )


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    ready = prepared(networks.mlp(), networks.points(4, 6))
    first, again, other = (run(ready, seed=seed).checks[0].value for seed in (1, 1, 2))
    assert first == again != other
