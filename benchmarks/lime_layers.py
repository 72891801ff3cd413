"""What does it cost to explain every layer beside the output, and what would it cost layer by layer?

Whole explanations of one picture, one thread, float32, random weights. The floor is LIME of the output alone: the same
samples through the same network in the same blocks, and its surrogate with errors and stability.
"""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.lime_networks import asked
from benchmarks.networks import deep_cnn, resnet18_like
from benchmarks.timing import compared
from service.contracts.facts import Bounds, InputFacts
from workers.lime.layers.case import Case
from workers.lime.layers.compute import explained
from workers.lime.layers.parameters import LayersParameters
from workers.surrogate.explain import explain

ROUNDS, SEED, SAMPLES, SIDE, CLASSES = 5, 7, 500, 32, 10
_ALONE = 4
"""Layers that are explained one by one; the others would take as long each."""


def measure() -> list[dict[str, object]]:
    """One row for each network, as `benchmarks/results.json` keeps them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        return [_row("deep-cnn", deep_cnn()[0]), _row("resnet18-like", resnet18_like()[0])]
    finally:
        torch.set_num_threads(before)


def _row(name: str, network: nn.Module) -> dict[str, object]:
    facts = InputFacts(kind="image", layout="NCHW", shape=(3, SIDE, SIDE), bounds=Bounds(low=(0.0,), high=(1.0,)))
    subject = asked(network.eval(), (torch.rand(1, 3, SIDE, SIDE),), facts, CLASSES, 0).case.subject
    parameters = LayersParameters(examples=1, samples=SAMPLES, segmentation="slic")
    case = Case.of(subject, parameters)
    settings = parameters.settings(case.rows(1 << 30).count)
    around, layers = case.at(0), len(case.layers.taps)

    def ours() -> None:
        found, _ = case.read(0)
        explained(case, 0, found, settings, SEED)

    def one_by_one() -> None:
        found, _ = case.read(0)
        for each in found[:_ALONE]:
            explained(case, 0, [each], settings, SEED)

    return compared(
        f"lime/layers/{name}",
        f"LIME of {layers} layers and the output of a picture of {SIDE} x {SIDE}, {len(around.names)} segments,"
        f" {SAMPLES} samples; floor: of the output alone; peer: {_ALONE} layers, one after the other",
        ours=ours, peer=(f"{_ALONE} of {layers} layers one by one", one_by_one),
        floor=lambda: explain(around, case.predicting.at(0), settings, SEED), rounds=ROUNDS, versions={},
    )  # fmt: skip


if __name__ == "__main__":
    for measured in measure():
        print(f"{measured['name']}: {measured['floor_ratio']:.2f}x LIME of the output alone ({measured['what']})")
