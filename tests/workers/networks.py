"""Networks small enough to export in tests, one per habit that intake must survive."""

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """Reads (N, 4), gives (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Cnn(nn.Module):
    """Reads (N, 1, 8, 8), gives (N, 3); in-place ReLU, batch norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(36, 3)
        self.register_buffer("offset", torch.tensor([1.0, 2.0, 3.0]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.drop(self.act(self.norm(self.conv(x)))))
        return self.head(x.flatten(1)) + self.offset


class Lstm(nn.Module):
    """Reads (N, 5, 4), gives (N, 3); the recurrent layer gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, num_layers=2, batch_first=True, dropout=0.3)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


class Transformer(nn.Module):
    """Reads (N, 5, 8), gives (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, enable_nested_tensor=False
        )
        self.heads = nn.ModuleDict({"my-head": nn.Linear(8, 3)})

    def forward(self, x: Tensor) -> Tensor:
        return self.heads["my-head"](self.encoder(x).mean(1))


class Residual(nn.Module):
    """Reads (N, 4), gives (N, 3); one module is called twice, around a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.act(self.inner(x))
        return self.head(x + self.act(self.inner(x)))


class TwoOutputs(nn.Module):
    """Reads (N, 4), gives a dict with an integer tensor first, then logits (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.body(x)
        return {"class": logits.argmax(1), "logits": logits}


class Branching(nn.Module):
    """Decides in Python on what it computes: cannot be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y if y.sum() > 0 else -y


SHAPES: dict[type[nn.Module], tuple[int, ...]] = {
    Mlp: (4,),
    Cnn: (1, 8, 8),
    Lstm: (5, 4),
    Transformer: (5, 8),
    Residual: (4,),
}


def made(kind: type[nn.Module]) -> nn.Module:
    """A network with seeded weights, and statistics that differ from their initial values."""
    torch.manual_seed(7)
    network = kind()
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return network
