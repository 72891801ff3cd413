"""Small networks, one for each habit that reruns must survive, with the shape of one example."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests import networks


class Dense(nn.Module):
    """Concatenates what it had with what it makes, on 6 features: nothing broadcasts through a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 5), nn.Linear(11, 4), nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, torch.tanh(self.first(x))], 1)
        x = torch.cat([x, torch.tanh(self.second(x))], 1)
        return self.head(x)


class Skipping(nn.Module):
    """x + f(x) on 6 features, the sum made in place on what `inner` gave."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.act, self.head = nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        h += x
        return self.head(self.act(h))


class Slyly(nn.Module):
    """Takes one row of what came before `late` for all: with one row of prefix it gives another number silently.

    `scale` is the first row's own where there are as many rows as at `late`, and doubled where there are not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.early, self.late, self.head = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.early(x))
        h = self.late(x)
        if len(scale) != len(h):
            scale = 2 * scale
        return self.head(torch.tanh(h) * scale)


class Flipped(nn.Module):
    """A layer that gives its output transposed in memory, and a view that only that order allows, on (N, 4, 6)."""

    class Turn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.inner(x)).transpose(1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.turn, self.head = self.Turn(), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.turn(x)
        return self.head(h.transpose(1, 2).view(len(h), 20))


FAMILIES = {
    "mlp": (networks.mlp, (6,)),
    "cnn": (networks.cnn, (1, 12, 12)),
    "resnet": (networks.resnet, (3, 12, 12)),
    "attention": (lambda: networks.ready(networks.Attention()), (6, 8)),
    "positions": (lambda: networks.ready(networks.Positions()), (6, 8)),
    "lstm": (networks.lstm, (7, 5)),
    "gru": (networks.gru, (7, 5)),
    "state": (lambda: networks.ready(networks.StateReader()), (7, 5)),
    "reused": (lambda: networks.ready(networks.Reused()), (6,)),
    "structured": (lambda: networks.ready(networks.Structured()), (6,)),
    "in-place input": (lambda: networks.ready(networks.InPlaceInput()), (6,)),
    "dense": (lambda: networks.ready(Dense()), (6,)),
    "skipping": (lambda: networks.ready(Skipping()), (6,)),
    "flipped": (lambda: networks.ready(Flipped()), (4, 6)),
}
