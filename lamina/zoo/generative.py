"""Networks that make or judge data: an autoencoder, a generator and its discriminator."""

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """(N, 6) to itself through two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 2))
        self.decoder = nn.Sequential(nn.Linear(2, 8), nn.ELU(), nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.encoder(x))
        return made


class Generator(nn.Module):
    """Latent numbers (N, 6) to an image (N, 1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(6, 8 * 4)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.up(self.project(z).unflatten(1, (8, 2, 2)))
        return made


class Discriminator(nn.Module):
    """An image (N, 1, 8, 8) to how real it looks, (N,): spectral and instance norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 4, 4, 2, 1))
        self.norm, self.act = nn.InstanceNorm2d(4, affine=True), nn.LeakyReLU(0.2, inplace=True)
        self.real = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.act(self.norm(self.first(x)))
        made: Tensor = self.real(torch.flatten(seen, 1)).squeeze(1)
        return made
