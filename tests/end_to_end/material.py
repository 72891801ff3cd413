"""Small real networks and datasets, exported and declared as a customer would."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import torch
from torch import nn

from lamina.client import Client
from lamina.export import export
from service.contracts.facts import Bounds, DatasetFacts, InputFacts, ModelFacts, OutputFacts
from service.contracts.status import IntakeState

PATIENCE = 240.0
"""Seconds after which what should have ended is taken to hang, on however slow a machine."""

FEATURES, CLASSES = 6, ("low", "middle", "high")


def input_facts() -> InputFacts:
    return InputFacts(
        kind="table",
        layout="NF",
        shape=(FEATURES,),
        bounds=Bounds(low=(-10.0,), high=(10.0,)),
        feature_names=tuple(f"feature {index}" for index in range(FEATURES)),
    )


def model_facts() -> ModelFacts:
    return ModelFacts(task="classification", input=input_facts(), output=OutputFacts(kind="logits", classes=CLASSES))


def dataset_facts() -> DatasetFacts:
    return DatasetFacts(input=input_facts(), classes=CLASSES)


def network(width: int = 16, depth: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    sides = [FEATURES, *[width] * depth]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sides):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, len(CLASSES))).eval()


def write_model(path: Path, model: nn.Module | None = None) -> Path:
    export(model or network(), torch.zeros(2, FEATURES), path)
    return path


def write_dataset(path: Path, examples: int = 24, seed: int = 0) -> Path:
    draw = np.random.default_rng(seed)
    inputs = draw.uniform(-3, 3, (examples, FEATURES)).astype(np.float32)
    np.savez(path, inputs=inputs, labels=draw.integers(0, len(CLASSES), examples))
    return path


@dataclass(frozen=True)
class Registered:
    """Ids of a model and a dataset that came in."""

    model: UUID
    dataset: UUID


def register(
    client: Client, folder: Path, name: str, model: nn.Module | None = None, *, examples: int = 24
) -> Registered:
    """Upload and register a network and a dataset, and wait until both are ready."""
    blob = client.upload(write_model(folder / f"{name}.pt2", model))
    one = client.register_model(name=name, version="1", blob=blob.digest, facts=model_facts())
    table = client.upload(write_dataset(folder / f"{name}.npz", examples))
    other = client.register_dataset(name=name, blob=table.digest, facts=dataset_facts())
    ready, filled = (
        client.wait_for_model(one.id, deadline=PATIENCE),
        client.wait_for_dataset(other.id, deadline=PATIENCE),
    )
    assert ready.state is IntakeState.READY, ready.refusal
    assert filled.state is IntakeState.READY, filled.refusal
    return Registered(one.id, other.id)
