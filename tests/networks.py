"""Networks whose answers fit on a line, and one small network of each family, all in float64 and evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


def ready(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in evaluation mode and float64, with weights drawn from `seed` and batch norms that do something."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=draws) * spread)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                shape = module.running_mean.shape
                module.running_mean.copy_(0.1 * torch.randn(shape, generator=draws))
                module.running_var.copy_(0.5 + torch.rand(shape, generator=draws))
                module.weight.copy_(0.5 + torch.rand(shape, generator=draws))
    return network.double().eval()


def points(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relu_pair() -> nn.Module:
    """f(x) = relu(x1 - 1) - relu(x2). From (0, 0) to (3, 1) the units of `relu` give 2 and -1."""
    shift, out = nn.Linear(2, 2), nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        shift.weight.copy_(torch.eye(2))
        shift.bias.copy_(torch.tensor([-1.0, 0.0]))
        out.weight.copy_(torch.tensor([[1.0, -1.0]]))
    layers = {"shift": shift, "relu": nn.ReLU(), "out": out}
    network = nn.Sequential()
    for name, layer in layers.items():
        network.add_module(name, layer)
    return network.double().eval()


class Squares(nn.Module):
    """f(x) = h1 h2 with h = (x1, 2 x2). From 0 to x both units of `scale` give x1 x2, half of f(x) each."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.scale.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))

    def forward(self, x: Tensor) -> Tensor:
        h = self.scale(x)
        return h[:, 0] * h[:, 1]


def mlp(width: int = 16, depth: int = 3, classes: int = 4, seed: int = 0) -> nn.Module:
    """depth hidden layers of ReLU on 6 features."""
    layers: list[nn.Module] = [nn.Linear(6, width), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return ready(nn.Sequential(*layers, nn.Linear(width, classes)), seed)


def smooth_mlp(seed: int = 0) -> nn.Module:
    """Two hidden layers of tanh on 6 features: infinitely often differentiable."""
    return ready(nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3)), seed)


def cnn() -> nn.Module:
    """Two convolutions with max-pooling on 1x12x12."""
    return ready(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(72, 5),
        )
    )  # fmt: skip


class Block(nn.Module):
    """A residual block whose activations and addition work in place."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU(inplace=True)
        self.skip: nn.Module | None = None
        if before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.skip is None else self.skip(x)
        out = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        out += skip
        return self.relu2(out)


def resnet(width: int = 6, after: int = 8) -> nn.Module:
    """A stem and two residual blocks on 3x12x12, in-place ReLU throughout."""
    stem = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(after, 5)]
    return ready(nn.Sequential(*stem, Block(width, width, 1), Block(width, after, 2), *head))


class Recurrent(nn.Module):
    """A recurrent layer over (N, 7, 5), read at its last step."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU], hidden: int = 6) -> None:
        super().__init__()
        self.rnn, self.head = kind(5, hidden, batch_first=True), nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def lstm() -> nn.Module:
    """Its layer gives (out, (h, c)); the target reads `out` only."""
    return ready(Recurrent(nn.LSTM))


def gru() -> nn.Module:
    """Its layer gives (out, h)."""
    return ready(Recurrent(nn.GRU))


class StateReader(nn.Module):
    """An LSTM on time-first data, read through its last state h of shape (layers, N, H)."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.rnn(x.transpose(0, 1))
        return self.head(h[0])


class Attention(nn.Module):
    """Self-attention without its weights, so that the layer gives (out, None), on (N, 6, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.head(self.norm(x + mixed).mean(1))


class Positions(nn.Module):
    """A position embedding, whose output has no batch axis, and tokens flattened into the batch, on (N, 6, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.position, self.mix = nn.Embedding(6, 8), nn.Linear(8, 8)
        self.act, self.head = nn.GELU(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(torch.arange(x.shape[1]))
        flat = self.act(self.mix(x.reshape(-1, 8)))
        return self.head(flat.reshape(x.shape).mean(1))


class Reused(nn.Module):
    """One ReLU and one linear layer, each run twice, on 6 features."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared = nn.Linear(6, 8), nn.Linear(8, 8)
        self.relu, self.head = nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.shared(self.first(x)))
        return self.head(self.relu(self.shared(x)))


class Branches(nn.Module):
    """Two outputs; the first does not depend on `side`, whose module runs all the same. `unused` never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.main = nn.Linear(6, 8), nn.Linear(8, 3)
        self.side, self.unused = nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.trunk(x))
        return self.main(h), self.side(h)


@dataclass
class Answer:
    """A structured output, as language models give it."""

    logits: Tensor
    hidden: Tensor | None = None


class Structured(nn.Module):
    """An inner module that gives a dataclass, a dict around it, on 6 features."""

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> dict[str, Answer]:
            h = torch.tanh(self.linear(x))
            return {"answer": Answer(logits=h)}

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = self.Inner(), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x)["answer"].logits)


class Counter(nn.Module):
    """Subtracts the mean over the batch: its examples influence each other. 6 features."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        return h - h.mean(0)


class InPlaceInput(nn.Module):
    """Shifts its own input in place, on 6 features."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        return self.head(torch.tanh(self.linear(x)))


class Siamese(nn.Module):
    """Reads two (N, 6), one encoder run on each; gives (N, 3) of their difference and product."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.act = nn.Linear(6, 5), nn.Tanh()
        self.head = nn.Linear(10, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        one, other = self.act(self.encoder(left)), self.act(self.encoder(right))
        return self.head(torch.cat([one - other, one * other], 1))


class Masked(nn.Module):
    """Reads (N, 6, 8) and a mask (N, 6) of integers; gives (N, 3) of the mean over what the mask keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        kept = mask.to(x.dtype).unsqueeze(2)
        return self.head((torch.tanh(self.mix(x)) * kept).sum(1) / kept.sum(1))


class Reader(nn.Module):
    """Reads ids (N, 6) below 10 and a mask; gives (N, 3). Its position embedding does not depend on them."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.position = nn.Embedding(10, 8), nn.Embedding(6, 8)
        self.inner = Masked()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.inner(self.words(ids) + self.position(torch.arange(6)), mask)
