"""Networks that attacks are measured on, trained here in seconds: plain, trained against attacks, one that hides."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.workers.attack import cases

TRAINING = 1200
EPSILON = 0.15


class Rounded(nn.Module):
    """Reads its input in steps of an eighth: its gradient is zero everywhere."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x * 8).round() / 8)


def wide_cnn() -> nn.Module:
    """1.1 million parameters."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip


@cache
def data() -> tuple[Tensor, Tensor]:
    """Pictures that no network was trained on, (597, 1, 8, 8), and their labels."""
    x, y = cases.digits()
    return x[TRAINING:], y[TRAINING:]


@cache
def network(name: str) -> nn.Module:
    """ "plain", "fgsm", "pgd", "rounded" or "wide"."""
    made = {
        "plain": lambda: _trained(cases.small_cnn(), _same),
        "fgsm": lambda: _trained(cases.small_cnn(), _by_sign),
        "pgd": lambda: _trained(cases.small_cnn(), _by_steps),
        "rounded": lambda: Rounded(network("pgd")),
        "wide": lambda: _trained(wide_cnn(), _by_steps, epochs=4),
    }[name]()
    return made.eval().requires_grad_(requires_grad=False)


NAMES = ("plain", "fgsm", "pgd", "rounded", "wide")
Spoilt = Callable[[nn.Module, Tensor, Tensor], Tensor]


def _trained(made: nn.Module, spoilt: Spoilt, epochs: int = 15) -> nn.Module:
    x, y = cases.digits()
    torch.manual_seed(1)
    optimiser = torch.optim.Adam(made.parameters(), 3e-3 if epochs > 4 else 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(TRAINING).split(64):
            shown = spoilt(made, x[rows], y[rows])
            optimiser.zero_grad()
            cross_entropy(made(shown), y[rows]).backward()
            optimiser.step()
    return made


def _same(_network: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
    return x


def _slope(made: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(cross_entropy(made(x), y), x)[0]


def _by_sign(made: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (x + EPSILON * _slope(made, x, y).sign()).clamp(0, 1)


def _by_steps(made: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    at = (x + EPSILON * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(7):
        at = (at + EPSILON / 3 * _slope(made, at, y).sign()).clamp(min=x - EPSILON, max=x + EPSILON).clamp(0, 1)
    return at.detach()
