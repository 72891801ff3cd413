"""Small networks whose layers are known by hand, and a small one that has learnt something."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from tests.workers.facts import model_facts
from tests.workers.subjects import subject
from workers.subject.subject import Subject


def linear(weight: Tensor) -> nn.Linear:
    """A layer with these weights (out, in) and no bias."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        made.weight.copy_(weight)
    return made


class Loud(nn.Module):
    """Pictures of 2 x 2, whose first pixel tells the class by its sign. `loud` makes the last pixel ten times as large,
    and the sum of both decides: a little there tips the class."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = nn.Flatten()
        self.even = linear(2 * torch.eye(4))
        self.loud = linear(torch.diag(torch.tensor([1.0, 1.0, 1.0, 10.0])))
        self.out = linear(torch.tensor([[1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, -1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, 2)."""
        found: Tensor = self.out(self.loud(self.even(self.flat(x))))
        return found


def facts(shape: tuple[int, ...], classes: int, low: float = -5.0, high: float = 5.0, **changes: object) -> ModelFacts:
    """Of a classifier within these bounds."""
    made = model_facts(shape, classes).model_dump(mode="json")
    made["input"]["bounds"] = {"low": [low], "high": [high]}
    return ModelFacts.model_validate({**made, **changes})


def loud(examples: int = 24) -> Subject:
    """Examples of both classes, the first pixel 0.5 to 0.8 on either side of zero, and the last about zero."""
    stream = torch.Generator().manual_seed(3)
    x = torch.rand(examples, 4, generator=stream) + 0.5
    x[:, 0] = (0.5 + 0.3 * torch.rand(examples, generator=stream)) * (1.0 - 2.0 * (torch.arange(examples) % 2))
    x[:, 3] = 0.001 * (torch.rand(examples, generator=stream) - 0.5)
    network = Loud().eval().requires_grad_(requires_grad=False)
    return subject(network, x.reshape(-1, 1, 2, 2), torch.arange(examples) % 2, facts((1, 2, 2), 2))


def spots(examples: int = 40) -> Subject:
    """Pictures of 6 x 6 with a spot in one of three corners, and a small convolutional network that learnt them."""
    stream = torch.Generator().manual_seed(5)
    labels = torch.arange(examples) % 3
    x = 0.3 * torch.rand(examples, 1, 6, 6, generator=stream)
    for at, label in enumerate(labels.tolist()):
        row, column = ((0, 0), (0, 3), (3, 0))[label]
        x[at, 0, row : row + 3, column : column + 3] += 0.4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 12), nn.ReLU(),
            nn.Linear(12, 3),
        )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), labels).backward()
        optimiser.step()
    network.eval().requires_grad_(requires_grad=False)
    return subject(network, x, labels, facts((1, 6, 6), 3, low=0.0, high=1.0))
