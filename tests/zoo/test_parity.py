"""Would a difference between a network and what came of it be seen?"""

import copy

import pytest
import torch
from torch import nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.parity import CAM, CONDUCTANCE, PRODUCT, compared
from workers.subject.network import Loaded

pytestmark = pytest.mark.filterwarnings("ignore:::captum")


def as_loaded(network: nn.Module, name: str) -> Loaded:
    """The very network, as if it had come in."""
    family = FAMILIES[name]
    given = family.prepared(family.examples())
    with torch.no_grad():
        return Loaded(model=network, inputs=given, outputs=(network(*given),), chosen=0, batch=None)


def found(name: str, other: nn.Module) -> dict[str, tuple[str, str]]:
    family = FAMILIES[name]
    return {each.what: (each.state, each.reason) for each in compared(family, family.network(), as_loaded(other, name))}


def test_a_network_is_equal_to_itself_in_every_way():
    states = found("mlp", FAMILIES["mlp"].network())
    assert {state for state, _ in states.values()} == {"ok"}
    assert states[CONDUCTANCE][1] == "7 by captum"


def test_a_changed_bias_is_seen_in_the_outputs_and_not_in_the_gradients_of_what_lies_before():
    other = FAMILIES["mlp"].network()
    with torch.no_grad():
        other.net[5].bias += 1e-3
    states = found("mlp", other)
    assert states["outputs"][0] == "failed"
    assert "differ by" in states["outputs"][1]


def test_a_layer_whose_numbers_change_is_named():
    other = FAMILIES["mlp"].network()
    with torch.no_grad():
        other.net[3].weight *= 1.001
    states = found("mlp", other)
    for method in (CONDUCTANCE, PRODUCT, CAM):
        assert states[method][0] == "failed"
        assert "net.3" in states[method][1]


def test_a_layer_of_several_tensors_or_calls_is_compared_by_hand_and_its_difference_is_seen():
    other = copy.deepcopy(FAMILIES["cell_loop"].network())
    assert found("cell_loop", other)[PRODUCT] == ("ok", "1 by captum; 1 by hand")
    with torch.no_grad():
        other.cell.bias_hh += 0.01
    assert found("cell_loop", other)[PRODUCT][1].startswith("differs: cell")


def test_between_ids_there_is_no_path_and_gradients_are_compared_all_the_same():
    states = found("bert", FAMILIES["bert"].network())
    assert states[CONDUCTANCE] == ("not applicable", "between two ids there is no path")
    assert states[PRODUCT][0] == "ok"


def test_a_layer_that_the_export_lost_is_named():
    family = FAMILIES["regression"]
    network = family.network()

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.price = network.first, network.price
            self.rest = (network.norm, network.act)

        def forward(self, x):
            norm, act = self.rest
            return self.price(act(norm(self.first(x))))

    states = found("regression", Flat())
    assert states["outputs"][0] == "ok"
    assert states[PRODUCT] == ("ok", "2 by captum; not norm, act: no module of the export")
