"""What the tests of certificates share: small networks made ready, and one way to explain them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from workers.certificate.checks import Check
from workers.sweep.method import Explain
from workers.sweep.ready import Prepared


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def linear(*weights: float) -> nn.Module:
    """F(x) = Σ w_i x_i, float64: gradient times input is its only complete attribution."""
    network = nn.Sequential()
    network.add_module("sum", nn.Linear(len(weights), 1, bias=False))
    with torch.no_grad():
        network.sum.weight.copy_(torch.tensor([weights]))
    return network.double().eval()


def slopes(ready: Prepared) -> dict[str, Tensor]:
    """The gradient of the target at each input."""
    x = tuple(each.clone().requires_grad_(each.is_floating_point()) for each in ready.x)
    score = ready.target.select(ready.model(*x), len(ready)).sum()
    made = torch.autograd.grad(score, [x[at] for at in ready.probe.inputs.values()])
    return dict(zip(ready.probe.inputs, made, strict=True))


def gradient_x_input(ready: Prepared) -> dict[str, Tensor]:
    """Times the distance from the baseline."""
    found = slopes(ready)
    return {key: found[key] * (ready.x[at] - ready.origin[at]) for key, at in ready.probe.inputs.items()}


def only(checks: list[Check] | tuple[Check, ...], name: str, place: str | None = None) -> Check:
    """The check of this name and place."""
    (found,) = (each for each in checks if each.name == name and each.place == place)
    return found


def hooks(network: nn.Module) -> int:
    """How many hooks lie on the network's modules."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


EXPLAINS: dict[str, Explain] = {"slopes": slopes, "gradient x input": gradient_x_input}
