"""Networks on handwritten digits: honest ones, and ones that hide from gradients, each in one way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.attack.classes import Misclassified
from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.victim import Victim
from workers.robustness.honesty.examined import Attack, Examined
from workers.robustness.honesty.features import last_features

EXAMPLES, EPSILONS = 40, (0.05, 0.1, 0.2)
SETTINGS = Settings(norm="linf", epsilons=EPSILONS, steps=12, queries=200)
SPACE = Space(norm="linf", low=torch.tensor(0.0), high=torch.tensor(1.0), unit=torch.tensor(1.0))


@cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(images (1400, 64) in 0 to 1, labels) to train on, and 397 others."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order[:1400]], y[order[:1400]], x[order[1400:]], y[order[1400:]]


def mlp() -> nn.Sequential:
    """64 pixels, two hidden layers, 10 logits; seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 10))


@cache
def trained(*, hardened: bool) -> nn.Sequential:
    """Trained plainly, or on what seven steps of projected gradient ascent find within 0.15."""
    network, (x, y, _, _) = mlp(), digits()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    draws = torch.Generator().manual_seed(1)
    for _ in range(30 if hardened else 15):
        for rows in torch.randperm(len(x), generator=draws).split(140):
            made = _ascended(network, x[rows], y[rows], draws) if hardened else x[rows]
            optimizer.zero_grad()
            cross_entropy(network(made), y[rows]).backward()
            optimizer.step()
    return network.eval().requires_grad_(requires_grad=False)


def _ascended(network: nn.Module, x: Tensor, y: Tensor, draws: torch.Generator) -> Tensor:
    made = (x + 0.15 * (2 * torch.rand(x.shape, generator=draws) - 1)).clamp(0, 1)
    for _ in range(7):
        made = made.detach().requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(network(made), y), made)
        made = (made + 0.05 * slope.sign()).clamp(x - 0.15, x + 0.15).clamp(0, 1)
    return made.detach()


class Hiding(nn.Module):
    """A trained network behind or before something that hides its gradients."""

    def __init__(
        self, before: Callable[[Tensor], Tensor] | None = None, behind: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.inner = trained(hardened=False)
        self.before, self.behind = before, behind

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.inner(x if self.before is None else self.before(x))
        return output if self.behind is None else self.behind(output)


def shattered(x: Tensor) -> Tensor:
    """Waves so short that slopes say nothing, and so low that outputs hardly move: their slope is up to 20."""
    return x + 0.01 * torch.sin(2000 * x)


class Straight(torch.autograd.Function):
    """Rounds, and pretends that the slope is that of another function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return slopes[0] * torch.sin(1000 * x)


def coupled(output: Tensor) -> Tensor:
    """Outputs beside the mean of all that are asked together."""
    return output - output.mean(0, keepdim=True)


MASKED: dict[str, Callable[[], nn.Module]] = {
    "quantised": lambda: Hiding(before=lambda x: (x * 4).round() / 4),
    "saturated": lambda: Hiding(behind=lambda output: 1e4 * output),
    "random": lambda: Hiding(before=lambda x: x + 0.1 * torch.randn_like(x)),
    "shattered": lambda: Hiding(before=shattered),
    "replaced": lambda: Hiding(before=Straight.apply),
    "detached": lambda: Hiding(before=lambda x: x.detach()),
    "probabilities": lambda: Hiding(behind=lambda output: output.softmax(1)),
    "coupled": lambda: Hiding(behind=coupled),
}


def examined(network: nn.Module, examples: int = EXAMPLES, by: Attack = attack) -> Examined:
    """The first held-out digits under an attack, in float64 as well."""
    _, _, x, y = digits()
    victim = Victim(network=lambda made, _index: network(made))
    double = copy.deepcopy(network).double()
    precise = Victim(network=lambda made, _index: double(made))
    return Examined(
        victim=victim, goal=Misclassified(y[:examples]), x=x[:examples], space=SPACE, settings=SETTINGS,
        seeds=tuple(7919 * at + 13 for at in range(examples)), attack=by, output="logits", classes=True,
        features=last_features(victim.network, network, x[:2]), precise=precise,
    )  # fmt: skip
