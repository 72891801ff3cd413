"""How much faster is one sweep than captum layer by layer, and how far is it from what the hardware allows?

Conductance (50 steps) and DeepLIFT of every leaf layer, one example, float32, one thread. Peer: captum's
LayerConductance and LayerDeepLift with their defaults, one call per layer. Floor: the same chunks of points forward,
and backward to the input, with no layer looked at; for DeepLIFT the example and its baseline, forward and backward
once. They run in turn, so that a neighbour's load falls on all alike; ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import captum
import torch
from captum.attr import LayerConductance, LayerDeepLift
from torch import Tensor, nn

from benchmarks.networks import bert_like, lstm_stack, mlp10x256, resnet18_like
from benchmarks.timing import Run, compared
from workers.rescale.run import deeplift
from workers.sweep.plan import Plan, plan
from workers.sweep.probe import Probe, probe
from workers.sweep.reducers import Moments, Totals
from workers.sweep.rules import nodes
from workers.sweep.run import sweep
from workers.sweep.target import Target

STEPS = 50
ROUNDS = 9
MEMORY_BYTES = 1 << 30


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
        leaves = [
            modules[tap.module]
            for tap in seen.taps
            if not tap.container and tap.status == "on_path" and tap.positions == 1
        ]
        return cls(model, x, baseline, target, seen, chunks, leaves)

    @property
    def layers(self) -> int:
        return len({self.seen.tap(key).layer for key in self.chunks.taps})

    def ours(self) -> None:
        """All layers by one sweep, reduced to unit means and totals."""
        sweep(self.model, self.seen, self.chunks, (self.x,), (self.baseline,), self.target, [Totals(), Moments()])

    def captum(self) -> None:
        """All layers by captum, one after the other."""
        for layer in self.leaves:
            LayerConductance(self.model, layer).attribute(self.x, self.baseline, target=1, n_steps=STEPS)

    def deeplift(self) -> None:
        """All layers by one pass of the rescale rules, reduced to unit means and totals."""
        chunks = replace(self.chunks, evaluations=1, points=1)
        reducers = [Totals(), Moments()]
        deeplift(self.model, self.seen, chunks, (self.x,), (self.baseline,), self.target, reducers)

    def captum_deeplift(self) -> None:
        """All layers by captum, one after the other; it warns of each hook it sets."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for layer in self.leaves:
                LayerDeepLift(self.model, layer).attribute(self.x, self.baseline, target=1)

    def pair(self) -> None:
        """The example and its baseline, forward and backward once, nothing looked at."""
        rows = torch.cat([self.x, self.baseline]).requires_grad_()
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        torch.autograd.grad(self.model(rows)[:, 1].sum(), rows)
        for parameter in self.model.parameters():
            parameter.requires_grad = True

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
        made = {"resnet18-like": resnet18_like, "mlp10x256": mlp10x256, "bert-like": bert_like, "lstm": lstm_stack}
        cases = {name: Case.of(make()) for name, make in made.items()}
        return [
            *(_conductance(name, case, rounds) for name, case in cases.items()),
            *(_deeplift(name, case, rounds) for name, case in cases.items() if name != "lstm"),
        ]
    finally:
        torch.set_num_threads(before)


def _conductance(name: str, case: Case, rounds: int) -> dict[str, object]:
    what = f"conductance of {case.layers} leaf layers, S={STEPS}, one example, float32"
    what += f", chunks of {case.chunks.points} points"
    what += "" if case.layers == len(case.leaves) else f"; captum can do {len(case.leaves)} of them"
    peer = "captum LayerConductance, layer by layer"
    return _row(f"attribution/conductance/{name}", what, peer, (case.ours, case.captum, case.floor), rounds)


def _deeplift(name: str, case: Case, rounds: int) -> dict[str, object]:
    """captum leaves functional activations and products out of its rules; what it costs is the same."""
    what = f"DeepLIFT of {case.layers} leaf layers, one example, float32"
    peer = "captum LayerDeepLift, layer by layer"
    return _row(f"attribution/deeplift/{name}", what, peer, (case.deeplift, case.captum_deeplift, case.pair), rounds)


def _row(name: str, what: str, peer: str, runs: tuple[Run, Run, Run], rounds: int) -> dict[str, object]:
    mine, theirs, least = runs
    versions = {"captum": captum.__version__}
    return compared(name, what, ours=mine, peer=(peer, theirs), floor=least, rounds=rounds, versions=versions)


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']}: {row['ratio']:.1f}x captum, {row['floor_ratio']:.2f}x the floor ({row['what']})")
