"""Small victims with answers that can be worked out by hand."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from workers.attack.settings import Settings
from workers.attack.space import Norm, Space
from workers.attack.victim import Victim


def space(norm: Norm = "linf", low: float = 0.0, high: float = 1.0, **more: object) -> Space:
    given = {"unit": torch.tensor(1.0), **more}
    return Space(norm=norm, low=torch.tensor(low), high=torch.tensor(high), **given)  # type: ignore[arg-type]


def victim(network: nn.Module, rows: int = 512, *, black_box: bool = False) -> Victim:
    network.eval().requires_grad_(False)
    return Victim(network=lambda made, _index: network(made), rows=rows, black_box=black_box)


def settings(*epsilons: float, norm: Norm = "linf", **more: int) -> Settings:
    return Settings(norm=norm, epsilons=epsilons, **more)  # type: ignore[arg-type]


def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    made = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight))
        made.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.tensor(bias))
    return made


def digits() -> tuple[Tensor, Tensor]:
    """Pictures (N, 1, 8, 8) in [0, 1] and labels."""
    data = load_digits()
    return torch.tensor(data.images / 16, dtype=torch.float32)[:, None], torch.tensor(data.target)


def trained(network: nn.Module, x: Tensor, y: Tensor, epochs: int = 8) -> nn.Module:
    """On x, in a fixed order."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(epochs):
        for rows in torch.arange(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
    return network.eval()


def small_cnn() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(),
        nn.Linear(32, 10),
    )  # fmt: skip
