"""Do layers come back as the modules of torch.nn they were, with their numbers, names and shared weights?"""

import copy
import warnings
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from workers.subject.rehydrate import rehydrate

DYNAMIC: Any = ({0: torch.export.Dim.DYNAMIC},)


def unflattened(network: nn.Module, *inputs: Tensor, dynamic: Any = DYNAMIC, decomposed: bool = False) -> nn.Module:
    """The network as torch.export.unflatten gives it back, in evaluation mode and frozen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the weight lists of its own LSTM
        program = torch.export.export(network.eval(), inputs, dynamic_shapes=dynamic)
        if decomposed:
            program = program.run_decompositions()
        return torch.export.unflatten(program).eval().requires_grad_(requires_grad=False)


def rehydrated(network: nn.Module, *inputs: Tensor, **options: Any) -> nn.Module:
    model = unflattened(network, *inputs, **options)
    rehydrate(model, inputs)
    return model


CASES: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.ReLU(), (5,)),
    (nn.ReLU(inplace=True), (5,)),
    (nn.Sigmoid(), (5,)),
    (nn.Tanh(), (5,)),
    (nn.LeakyReLU(), (5,)),
    (nn.LeakyReLU(0.3, inplace=True), (5,)),
    (nn.ELU(), (5,)),
    (nn.ELU(0.7, inplace=True), (5,)),
    (nn.CELU(1.3), (5,)),
    (nn.CELU(0.4, inplace=True), (5,)),
    (nn.SELU(), (5,)),
    (nn.SELU(inplace=True), (5,)),
    (nn.GELU(), (5,)),
    (nn.GELU(approximate="tanh"), (5,)),
    (nn.SiLU(), (5,)),
    (nn.SiLU(inplace=True), (5,)),
    (nn.Mish(), (5,)),
    (nn.Mish(inplace=True), (5,)),
    (nn.Hardswish(), (5,)),
    (nn.Hardswish(inplace=True), (5,)),
    (nn.Hardsigmoid(), (5,)),
    (nn.Hardtanh(-0.5, 0.25), (5,)),
    (nn.Hardtanh(-2, 2, inplace=True), (5,)),
    (nn.ReLU6(), (5,)),
    (nn.ReLU6(inplace=True), (5,)),
    (nn.Softplus(), (5,)),
    (nn.Softplus(2.0, 3.0), (5,)),
    (nn.Softshrink(0.2), (5,)),
    (nn.Hardshrink(0.2), (5,)),
    (nn.Threshold(0.1, 20), (5,)),
    (nn.LogSigmoid(), (5,)),
    (nn.GLU(), (4,)),
    (nn.GLU(1), (4, 3)),
    (nn.RReLU(), (5,)),
    (nn.PReLU(), (5,)),
    (nn.PReLU(3), (3, 4)),
    (nn.Softmax(1), (5,)),
    (nn.Softmax(-1), (5, 2)),
    (nn.LogSoftmax(1), (5,)),
    (nn.Linear(4, 3), (4,)),
    (nn.Linear(4, 3, bias=False), (2, 5, 4)),
    (nn.Conv1d(4, 6, 3), (4, 9)),
    (nn.Conv1d(4, 6, 3, padding="same", bias=False), (4, 9)),
    (nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (4, 9)),
    (nn.Conv2d(4, 6, 3), (4, 7, 8)),
    (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), groups=2, bias=False), (4, 7, 8)),
    (nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4), (4, 7, 8)),
    (nn.Conv2d(4, 4, (2, 4), padding="same"), (4, 7, 8)),
    (nn.Conv2d(4, 4, 3, padding="valid", stride=2), (4, 7, 8)),
    (nn.Conv3d(2, 3, 2, (1, 2, 1), (0, 1, 1)), (2, 4, 5, 4)),
    (nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1, groups=2), (4, 5)),
    (nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=1, bias=False), (4, 5, 6)),
    (nn.ConvTranspose2d(4, 4, 3, stride=(2, 3), output_padding=(1, 2), groups=4, dilation=2), (4, 5, 6)),
    (nn.ConvTranspose3d(2, 3, 2), (2, 3, 3, 3)),
    (nn.BatchNorm1d(5), (5,)),
    (nn.BatchNorm1d(5, eps=1e-3, momentum=0.3, affine=False), (5, 3)),
    (nn.BatchNorm2d(4), (4, 3, 3)),
    (nn.BatchNorm3d(2), (2, 3, 3, 3)),
    (nn.LayerNorm(4), (4,)),
    (nn.LayerNorm((3, 4), eps=1e-3), (3, 4)),
    (nn.LayerNorm(4, bias=False), (3, 4)),
    (nn.LayerNorm(4, elementwise_affine=False), (3, 4)),
    (nn.RMSNorm(4), (3, 4)),
    (nn.RMSNorm((3, 4), eps=1e-3, elementwise_affine=False), (3, 4)),
    (nn.GroupNorm(2, 6), (6, 3)),
    (nn.GroupNorm(3, 6, eps=1e-2, affine=False), (6, 3, 3)),
    (nn.InstanceNorm1d(3), (3, 6)),
    (nn.InstanceNorm2d(3, affine=True), (3, 4, 4)),
    (nn.InstanceNorm2d(3, track_running_stats=True), (3, 4, 4)),
    (nn.InstanceNorm3d(2, eps=1e-3), (2, 3, 3, 3)),
    (nn.MaxPool1d(2), (3, 8)),
    (nn.MaxPool2d(2), (3, 7, 8)),
    (nn.MaxPool2d((3, 2), (1, 2), (1, 0), ceil_mode=True), (3, 7, 8)),
    (nn.MaxPool2d(2, stride=1, dilation=2), (3, 7, 8)),
    (nn.MaxPool3d(2), (2, 4, 4, 4)),
    (nn.AvgPool1d(2), (3, 8)),
    (nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False), (3, 8)),
    (nn.AvgPool2d(2), (3, 7, 8)),
    (nn.AvgPool2d((3, 2), 1, (1, 0), count_include_pad=False, divisor_override=5), (3, 7, 8)),
    (nn.AvgPool3d(2, ceil_mode=True), (2, 4, 5, 4)),
    (nn.AdaptiveAvgPool1d(3), (3, 8)),
    (nn.AdaptiveAvgPool2d(1), (3, 7, 8)),
    (nn.AdaptiveAvgPool2d((3, 2)), (3, 7, 8)),
    (nn.AdaptiveAvgPool2d((None, 2)), (3, 7, 8)),
    (nn.AdaptiveAvgPool3d(2), (2, 4, 4, 4)),
    (nn.AdaptiveMaxPool1d(3), (3, 8)),
    (nn.AdaptiveMaxPool2d((2, 3)), (3, 7, 8)),
    (nn.AdaptiveMaxPool3d(2), (2, 4, 4, 4)),
    (nn.Dropout(0.3), (5,)),
    (nn.Dropout(0.3, inplace=True), (5,)),
    (nn.Dropout1d(), (3, 4)),
    (nn.Dropout2d(), (3, 4, 4)),
    (nn.Dropout3d(), (2, 3, 3, 3)),
    (nn.AlphaDropout(), (5,)),
    (nn.FeatureAlphaDropout(), (3, 4)),
    (nn.Flatten(), (3, 4)),
    (nn.Flatten(2, 3), (3, 4, 2, 2)),
    (nn.Unflatten(1, (2, 3)), (6,)),
    (nn.Upsample(scale_factor=2), (3, 4)),
    (nn.Upsample(scale_factor=(2.0, 1.5)), (3, 4, 4)),
    (nn.Upsample(size=(7, 9), mode="nearest-exact"), (3, 4, 4)),
    (nn.Upsample(scale_factor=2, mode="linear"), (3, 4)),
    (nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True), (3, 4, 4)),
    (nn.Upsample(scale_factor=2, mode="bicubic"), (3, 4, 4)),
    (nn.Upsample(scale_factor=2, mode="trilinear"), (2, 3, 3, 3)),
    (nn.PixelShuffle(2), (8, 3, 3)),
    (nn.PixelUnshuffle(2), (2, 4, 4)),
    (nn.ChannelShuffle(2), (4, 3, 3)),
    (nn.ConstantPad1d((1, 2), 3.5), (3, 4)),
    (nn.ConstantPad2d((1, 0, 2, 1), -1), (3, 4, 4)),
    (nn.ReflectionPad2d(1), (3, 4, 4)),
    (nn.ReplicationPad3d(1), (2, 3, 3, 3)),
    (nn.CircularPad1d(2), (3, 4)),
]


class Parallel(nn.Module):
    """Every case beside the others, each on its own part of (N, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer, _ in CASES)

    def forward(self, x: Tensor) -> list[Tensor]:
        given = [x[:, : torch.Size(shape).numel()].reshape(-1, *shape).clone() for _, shape in CASES]
        return [layer(each) for layer, each in zip(self.layers, given, strict=True)]


@pytest.fixture(scope="module")
def parallel() -> tuple[nn.Module, nn.Module, Tensor]:
    """All cases as their author wrote them, the same come back, and an input."""
    torch.manual_seed(0)
    network = copy.deepcopy(Parallel())
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    x = torch.randn(3, 256) * 3
    return network, rehydrated(network, x), x


@pytest.mark.slow
def test_every_case_gives_every_bit_it_gave(parallel):
    network, model, x = parallel
    for (layer, _), mine, theirs in zip(CASES, model(x), network(x), strict=True):
        assert torch.equal(mine, theirs), layer


@pytest.mark.slow
@pytest.mark.parametrize("at", range(len(CASES)), ids=lambda at: f"{at}-{CASES[at][0]}".replace(" ", ""))
def test_every_case_becomes_the_module_it_was(at, parallel):
    network, model, _ = parallel
    mine, theirs = model.get_submodule(f"layers.{at}"), network.get_submodule(f"layers.{at}")
    assert type(mine) is type(theirs)
    assert {name for name, _ in mine.named_parameters()} == {name for name, _ in theirs.named_parameters()}
    assert not mine.training


# --- methods that go by the type of a module, against captum on the network as its author wrote it


def mlp() -> tuple[nn.Module, Tensor]:
    return nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)
    ), torch.randn(3, 4)


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act, self.pool = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        self.drop, self.head = nn.Dropout(), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.pool(self.act(self.norm(self.conv(x))))).flatten(1))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.act, self.last = nn.BatchNorm2d(4), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.second(self.act(self.norm(self.first(x)))))


class Resnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True)
        self.blocks, self.pool, self.head = nn.Sequential(Block(), Block()), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.act(self.stem(x)))).flatten(1))


def autoencoder() -> tuple[nn.Module, Tensor]:
    return nn.Sequential(
        nn.Linear(8, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2), nn.ELU(), nn.Linear(2, 4), nn.Softplus(), nn.Linear(4, 8),
        nn.Sigmoid(),
    ), torch.rand(3, 8)  # fmt: skip


def discriminator() -> tuple[nn.Module, Tensor]:
    """Spectral norm makes the first weights anew at every pass; instance norm has no rule, in captum either."""
    return nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 4, 3, 2)), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 3),
        nn.InstanceNorm2d(4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, 1),
    ), torch.randn(3, 1, 13, 13)  # fmt: skip


NETWORKS = {
    "mlp": mlp,
    "cnn": lambda: (Cnn(), torch.randn(3, 1, 8, 8)),
    "resnet": lambda: (Resnet(), torch.randn(3, 1, 8, 8)),
    "autoencoder": autoencoder,
    "discriminator": discriminator,
}


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[nn.Module, nn.Module, Tensor]]:
    made = {}
    for name, build in NETWORKS.items():
        torch.manual_seed(3)
        network, x = build()
        made[name] = (network.eval(), rehydrated(network, x), x)
    return made


def attributed(method: str, network: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    baseline = torch.full_like(x, 0.1).detach()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says which hooks it sets
        if method == "DeepLift":
            return captum.attr.DeepLift(network).attribute(x, baseline, target=0)
        return getattr(captum.attr, method)(network).attribute(x, target=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("method", ["DeepLift", "GuidedBackprop", "Deconvolution", "LRP"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_method_by_type_gives_what_it_gives_on_the_authors_network(name, method, pairs):
    network, model, x = pairs[name]
    if method == "LRP" and name in ("autoencoder", "discriminator"):
        for each in (network, model):
            with pytest.raises(TypeError, match="rule"):
                attributed(method, each, x)
        return
    assert torch.equal(attributed(method, model, x), attributed(method, network, x))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_deeplift_of_every_layer_is_that_of_the_authors_network(name, pairs):
    network, model, x = pairs[name]
    layers = [layer for layer, module in model.named_modules() if layer and not list(module.children())]
    for layer in layers:
        found = []
        for each in (network, model):
            method = captum.attr.LayerDeepLift(each, each.get_submodule(layer))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(method.attribute(x.clone().requires_grad_(), torch.full_like(x, 0.1), target=0))
        assert torch.equal(*found), layer
