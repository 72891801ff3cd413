"""How much faster is one sweep than captum layer by layer, and how far is it from what the hardware allows?

Conductance of every leaf layer, 50 steps, one example, float32, one thread. Peer: captum's LayerConductance with its
defaults, one call per layer. Floor: the same chunks of points forward, and backward to the input, with no layer looked
at. They run in turn, so that a neighbour's load falls on all alike; ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import captum
import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from workers.sweep.plan import Plan, plan
from workers.sweep.probe import Probe, probe
from workers.sweep.reducers import Moments, Totals
from workers.sweep.rules import nodes
from workers.sweep.run import sweep
from workers.sweep.target import Target

STEPS = 50
ROUNDS = 9
MEMORY_BYTES = 1 << 30


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


def mlp10x256() -> tuple[nn.Module, Tensor]:
    """Ten hidden layers of 256 with ReLU: 21 leaf layers."""
    layers: list[nn.Module] = []
    for _ in range(10):
        layers += [nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10)), torch.randn(1, 256)


class Encoder(nn.Module):
    """One transformer layer as in BERT: attention with separate projections, then the feed-forward part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out, self.norm1 = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.gelu, self.down = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        parts = (each(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(self.gelu(self.up(x))))


class BertLike(nn.Module):
    """Six layers of width 128 over 48 embedded tokens: 59 leaf layers, the position embedding among them."""

    def __init__(self, width: int = 128, layers: int = 6, length: int = 48) -> None:
        super().__init__()
        self.position, self.norm = nn.Embedding(length, width), nn.LayerNorm(width)
        self.layers = nn.Sequential(*(Encoder(width, 4) for _ in range(layers)))
        self.pooler, self.tanh, self.classifier = nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2)

    def forward(self, embedded: Tensor) -> Tensor:
        places = self.position(torch.arange(embedded.shape[1], device=embedded.device))
        x = self.layers(self.norm(embedded + places))
        return self.classifier(self.tanh(self.pooler(x[:, 0])))


def bert_like() -> tuple[nn.Module, Tensor]:
    """The network and one sequence of 48 embedded tokens."""
    return BertLike(), torch.randn(1, 48, 128)


@dataclass(slots=True)
class Case:
    """One network made ready: everything that is timed is a method without arguments."""

    model: nn.Module
    x: Tensor
    baseline: Tensor
    target: Target
    seen: Probe
    chunks: Plan
    leaves: list[nn.Module]

    @classmethod
    def of(cls, made: tuple[nn.Module, Tensor]) -> Case:
        model, x = made[0].eval(), made[1]
        baseline, target = torch.zeros_like(x), Target.classes(1)
        seen = probe(model, (x,), (baseline,), target)
        names = [tap.key for tap in seen.taps if not tap.container]
        chunks = plan(seen, examples=1, evaluations=STEPS + 1, memory_bytes=MEMORY_BYTES, threads=1, layers=names)
        modules = dict(model.named_modules())
        leaves = [modules[tap.module] for tap in seen.taps if not tap.container and tap.status == "on_path"]
        return cls(model, x, baseline, target, seen, chunks, leaves)

    def ours(self) -> None:
        """All layers by one sweep, reduced to unit means and totals."""
        sweep(self.model, self.seen, self.chunks, (self.x,), (self.baseline,), self.target, [Totals(), Moments()])

    def captum(self) -> None:
        """All layers by captum, one after the other."""
        for layer in self.leaves:
            LayerConductance(self.model, layer).attribute(self.x, self.baseline, target=1, n_steps=STEPS)

    def floor(self) -> None:
        """The same chunks, forward and backward to the input, nothing looked at."""
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        points = nodes("captum", STEPS)
        for at in range(0, len(points), self.chunks.points):
            alphas = torch.tensor(points[at : at + self.chunks.points]).view(-1, *[1] * (self.x.ndim - 1))
            rows = (self.baseline + alphas * (self.x - self.baseline)).requires_grad_()
            torch.autograd.grad(self.model(rows)[:, 1].sum(), rows)
        for parameter in self.model.parameters():
            parameter.requires_grad = True


def measure(rounds: int = ROUNDS) -> list[dict[str, object]]:
    """A row for each network, as `benchmarks/results.json` keeps them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        made = {"resnet18-like": resnet18_like, "mlp10x256": mlp10x256, "bert-like": bert_like}
        return [_row(name, Case.of(make()), rounds) for name, make in made.items()]
    finally:
        torch.set_num_threads(before)


def _row(name: str, case: Case, rounds: int) -> dict[str, object]:
    case.ours()
    case.floor()
    taken = [tuple(map(_seconds, (case.ours, case.captum, case.floor, case.ours, case.floor))) for _ in range(rounds)]
    ours = [min(first, second) for first, _, _, second, _ in taken]
    floor = [min(first, second) for _, _, first, _, second in taken]
    peer = [seconds for _, seconds, _, _, _ in taken]
    return {
        "name": f"attribution/conductance/{name}",
        "what": f"conductance of {len(case.leaves)} leaf layers, S={STEPS}, one example, float32, "
        f"chunks of {case.chunks.points} points",
        "value": median(ours),
        "unit": "s",
        "peer": "captum LayerConductance, layer by layer",
        "peer_value": median(peer),
        "ratio": median(p / o for p, o in zip(peer, ours, strict=True)),
        "floor_value": median(floor),
        "floor_ratio": median(o / f for o, f in zip(ours, floor, strict=True)),
        "runs": rounds,
        "spread": [min(ours), median(ours), max(ours)],
        "device": "cpu",
        "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "captum": captum.__version__},
    }


def _seconds(run: Callable[[], None]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']}: {row['ratio']:.1f}x captum, {row['floor_ratio']:.2f}x the floor ({row['what']})")
