"""Which networks are measured? Written out here, with random weights: no download, and nothing that is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """conv-norm-relu-conv-norm, plus its input, relu; the activations work in place."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU(inplace=True)
        self.skip: nn.Module | None = None
        if stride != 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.skip is None else self.skip(x)
        out = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        out += skip
        return self.relu2(out)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with norms, plus its input, relu; the activations work in place."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3, self.norm3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.relu3 = nn.ReLU(inplace=True)
        self.skip: nn.Module | None = None
        if stride != 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.skip is None else self.skip(x)
        out = self.relu1(self.norm1(self.conv1(x)))
        out = self.norm3(self.conv3(self.relu2(self.norm2(self.conv2(out)))))
        out += skip
        return self.relu3(out)


def resnet18_like(width: int = 32, classes: int = 10) -> tuple[nn.Module, Tensor]:
    """ResNet-18's blocks at width 32 on 3x48x48: 60 leaf layers."""
    widths = [width, width * 2, width * 4, width * 8]
    blocks: list[nn.Module] = []
    before = width
    for stage, after in enumerate(widths):
        blocks += [Residual(before, after, 1 if stage == 0 else 2), Residual(after, after, 1)]
        before = after
    stem = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*stem, *blocks, *head), torch.randn(1, 3, 48, 48)


def resnet50_like() -> tuple[nn.Module, Tensor]:
    """ResNet-50's layers and sizes on 3x224x224: 25.6 million weights."""
    blocks: list[nn.Module] = []
    before = 64
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for at in range(count):
            blocks.append(Bottleneck(before, width, 2 if stage > 0 and at == 0 else 1))
            before = 4 * width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000)]
    return nn.Sequential(*stem, *blocks, *head), torch.randn(1, 3, 224, 224)


def mlp10x256() -> tuple[nn.Module, Tensor]:
    """Ten hidden layers of 256 with ReLU: 21 leaf layers."""
    layers: list[nn.Module] = []
    for _ in range(10):
        layers += [nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10)), torch.randn(1, 256)


class Encoder(nn.Module):
    """One transformer layer: attention with separate projections, then the feed-forward part.

    before: the norms stand before each part, as in a vision transformer, or after it, as in BERT.
    """

    def __init__(self, width: int, heads: int, *, before: bool = False) -> None:
        super().__init__()
        self.heads, self.before = heads, before
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out, self.norm1 = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.gelu, self.down = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = x + self._attended(self.norm1(x))
            return x + self.down(self.gelu(self.up(self.norm2(x))))
        x = self.norm1(x + self._attended(x))
        return self.norm2(x + self.down(self.gelu(self.up(x))))

    def _attended(self, x: Tensor) -> Tensor:
        parts = (each(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.query, self.key, self.value))
        mixed: Tensor = self.out(nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
        return mixed


class BertLike(nn.Module):
    """BERT after its token embedding: positions are added to embedded tokens, and the first one is classified."""

    def __init__(self, width: int = 128, layers: int = 6, length: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.position, self.norm = nn.Embedding(length, width), nn.LayerNorm(width)
        self.layers = nn.Sequential(*(Encoder(width, heads) for _ in range(layers)))
        self.pooler, self.tanh, self.classifier = nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2)

    def forward(self, embedded: Tensor) -> Tensor:
        places = self.position(torch.arange(embedded.shape[1], device=embedded.device))
        x = self.layers(self.norm(embedded + places))
        given: Tensor = self.classifier(self.tanh(self.pooler(x[:, 0])))
        return given


def bert_like() -> tuple[nn.Module, Tensor]:
    """Six layers of width 128 and one sequence of 48 embedded tokens: 59 leaf layers."""
    return BertLike(), torch.randn(1, 48, 128)


def bert_base_like() -> tuple[nn.Module, Tensor]:
    """BERT-base's twelve layers of width 768 and one sequence of 128 embedded tokens."""
    return BertLike(768, 12, 128, 12), torch.randn(1, 128, 768)


class VitLike(nn.Module):
    """Patches of 16 as tokens, a class token and positions, twelve layers of width 768, a head on the class token."""

    def __init__(self, width: int = 768, layers: int = 12, heads: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 197, width))
        self.layers = nn.Sequential(*(Encoder(width, heads, before=True) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.places
        given: Tensor = self.head(self.norm(self.layers(tokens))[:, 0])
        return given


def vit_b16_like() -> tuple[nn.Module, Tensor]:
    """ViT-B/16's layers and sizes on 3x224x224: 86 million weights."""
    return VitLike(), torch.randn(1, 3, 224, 224)


class Recurrent(nn.Module):
    """Three LSTMs of 64, one after the other, over 40 steps of 16 features, and a head on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.LSTM(size, 64, batch_first=True) for size in (16, 64, 64))
        self.hidden, self.relu, self.head = nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.third(self.second(self.first(x)[0])[0])[0]
        given: Tensor = self.head(self.relu(self.hidden(x[:, -1])))
        return given


def lstm_stack() -> tuple[nn.Module, Tensor]:
    """The recurrent network and one series; captum can do the three layers that are not an LSTM."""
    return Recurrent(), torch.randn(1, 40, 16)


def small_cnn(side: int, width: int = 8, classes: int = 10) -> tuple[nn.Module, Tensor]:
    """Three convolutions with stride 2 on 3 x side x side, grey levels of 0 to 1."""
    network = nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(16 * width, classes),
    )  # fmt: skip
    return network, torch.rand(1, 3, side, side)


def deep_cnn(layers: int = 20, width: int = 16) -> tuple[nn.Module, Tensor]:
    """As many convolutions and activations, then a dense layer, on 3x32x32."""
    blocks: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.ReLU()]
    for _ in range((layers - 4) // 2):
        blocks += [nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(width * 1024, 10)), torch.rand(1, 3, 32, 32)
