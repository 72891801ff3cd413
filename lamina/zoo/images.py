"""Networks that read images and video: convolutions in their many shapes, patches, and capsules."""

import torch
from torch import Tensor, nn

CLASSES = 3


class Cnn(nn.Module):
    """(N, 1, 8, 8) to (N, 3): convolution, pooling and dropout, functional activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2)
        self.second, self.drop = nn.Conv2d(4, 6, 3, padding=1), nn.Dropout2d(0.3)
        self.head = nn.Linear(6 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.first(x)))
        x = self.pool(self.drop(torch.relu(self.second(x))))
        made: Tensor = self.head(x.flatten(1))
        return made


class Block(nn.Module):
    """A residual block whose one activation runs twice, in place."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.skip = nn.Sequential()
        if before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        out += self.skip(x)
        made: Tensor = self.relu(out)
        return made


class ResNet(nn.Module):
    """(N, 3, 8, 8) to (N, 3): a stem and two residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.pool(self.blocks(self.stem(x))).flatten(1))
        return made


class Inverted(nn.Module):
    """An inverted bottleneck: widened, filtered channel by channel, weighed by what each channel holds, narrowed."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.Hardswish()
        )
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide, 1), nn.Hardsigmoid())
        self.narrow = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = self.depthwise(self.widen(x))
        made: Tensor = x + self.narrow(wide * self.weigh(wide))
        return made


class MobileNet(nn.Module):
    """(N, 3, 8, 8) to (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.block = Inverted(4, 8)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.pool(self.block(self.stem(x))).flatten(1))
        return made


class UNet(nn.Module):
    """(N, 1, 8, 8) to a class for every place, (N, 3, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.merge = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU())
        self.classes = nn.Conv2d(4, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.down(x)
        far = self.up(self.bottom(self.pool(near)))
        made: Tensor = self.classes(self.merge(torch.cat([near, far], 1)))
        return made


class Vit(nn.Module):
    """(N, 1, 8, 8) to (N, 3): patches of 4 x 4, a class token, an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(0.1 * torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        read = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.positions
        made: Tensor = self.head(self.encoder(read)[:, 0])
        return made


class Squash(nn.Module):
    """Shortens vectors to a length below one (Sabour et al., arXiv:1710.09829, equation 1)."""

    def forward(self, x: Tensor) -> Tensor:
        square = x.square().sum(-1, keepdim=True)
        return square / (1 + square) * x / (square + 1e-6).sqrt()


class Capsules(nn.Module):
    """(N, 1, 8, 8) to the lengths of 3 capsules, (N, 3), after three rounds of routing (arXiv:1710.09829)."""

    def __init__(self) -> None:
        super().__init__()
        self.primary, self.squash = nn.Conv2d(1, 8, 4, 2), Squash()
        self.votes = nn.Parameter(0.5 * torch.randn(1, CLASSES, 18, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        low = self.squash(self.primary(x).flatten(1).unflatten(1, (18, 4)))
        votes = (self.votes @ low[:, None, :, :, None]).squeeze(-1)
        logits = votes.new_zeros(1).expand(votes.shape[:3])
        for _ in range(2):
            high = self.squash((logits.softmax(1).unsqueeze(3) * votes).sum(2))
            logits = logits + (votes * high.unsqueeze(2)).sum(3)
        high = self.squash((logits.softmax(1).unsqueeze(3) * votes).sum(2))
        lengths: Tensor = (high.square().sum(2) + 1e-6).sqrt()
        return lengths


class Video(nn.Module):
    """(N, 4, 1, 8, 8) to (N, 3): a convolution on every frame, a recurrent layer over them."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.time, self.head = nn.GRU(16, 6, batch_first=True), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.frame(x.flatten(0, 1)).unflatten(0, (x.shape[0], x.shape[1]))
        out, _ = self.time(frames)
        made: Tensor = self.head(out[:, -1])
        return made


class Siamese(nn.Module):
    """Two images (N, 1, 8, 8), one encoder for both, to how alike they are, (N, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6), nn.Tanh())
        self.alike = nn.Linear(6, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        made: Tensor = self.alike((self.encoder(left) - self.encoder(right)).abs())
        return made
