"""Networks that read rows of a table: dense ones, several of them together, and one with weights of eight bits."""

import torch
from torch import Tensor, nn

FEATURES, WIDTH, CLASSES = 6, 8, 3


class Mlp(nn.Module):
    """(N, 6) to (N, 3): in-place activation and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(FEATURES, WIDTH), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(WIDTH, WIDTH), nn.GELU(),
            nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.net(x)
        return made


class Regression(nn.Module):
    """(N, 6) to one number (N, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.act = nn.Linear(FEATURES, WIDTH), nn.LayerNorm(WIDTH), nn.SiLU()
        self.price = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.price(self.act(self.norm(self.first(x))))
        return made


class Ensemble(nn.Module):
    """(N, 6) to (N, 3): the mean of what three members say."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(Mlp() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class DenseExperts(nn.Module):
    """(N, 6) to (N, 3): every expert runs, a gate weighs what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(FEATURES, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Tanh()) for _ in range(3))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(1)
        said = torch.stack([expert(x) for expert in self.experts], 1)
        made: Tensor = self.head((weights.unsqueeze(2) * said).sum(1))
        return made


class SparseExperts(nn.Module):
    """(N, 6) to (N, 3): each row goes to one expert, which sees as many rows as were sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(FEATURES, 2)
        self.experts = nn.ModuleList(nn.Linear(FEATURES, WIDTH) for _ in range(2))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(1)
        chosen = weights.argmax(1)
        mixed = x.new_zeros(x.shape[0], WIDTH)
        for at, expert in enumerate(self.experts):
            rows = (chosen == at).nonzero().squeeze(1)
            mixed = mixed.index_add(0, rows, torch.tanh(expert(x[rows])) * weights[rows, at].unsqueeze(1))
        made: Tensor = self.head(mixed)
        return made


class Tuned(nn.Module):
    """(N, 6) to (N, 3): a frozen backbone, and a head that was trained for the task."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(FEATURES, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)
        )
        self.head = nn.Sequential(nn.LeakyReLU(), nn.Linear(WIDTH, CLASSES))
        self.backbone.requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.backbone(x))
        return made


class EightBits(nn.Module):
    """A linear layer whose weights are kept as eight-bit integers with one scale per row, and read back as it runs."""

    weight: Tensor
    scale: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        dense = nn.Linear(before, after)
        scale = dense.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("weight", (dense.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = nn.Parameter(dense.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.to(x.dtype) * self.scale, self.bias)


class Quantised(nn.Module):
    """(N, 6) to (N, 3) through two layers of eight-bit weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.second = EightBits(FEATURES, WIDTH), nn.ReLU(), EightBits(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.second(self.act(self.first(x)))
        return made
