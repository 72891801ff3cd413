"""Which networks does the demo audit? A convolutional one on handwritten digits, a dense one on a medical table.

Each is trained twice from the same seed: one epoch (version 1), then fully (version 2). Data come with scikit-learn:
digits (UCI, Alpaydin and Kaynak 1998; 8 x 8, grey 0 to 16), breast cancer (UCI, Wolberg et al. 1993; 30 features).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from service.contracts.facts import Bounds, DatasetFacts, InputFacts, ModelFacts, OutputFacts, Preprocessing

SEED = 7
"""Of the split and of training."""
BATCH = 32
MOST_TEST_EXAMPLES = 200
BOUNDS_MARGIN = 0.5
"""Bounds of a feature: its observed range, widened by this share on each side and never below zero."""

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
OnEpoch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Data to learn from and to be tested on, in raw units, with the facts their owner declares.

    inputs: (N, *facts.input.shape), float32; labels: (N,).
    """

    name: str
    train_inputs: Array
    train_labels: Labels
    test_inputs: Array
    test_labels: Labels
    input: InputFacts
    classes: tuple[str, ...]
    role: str
    example_name: str
    network: Callable[[], nn.Module]
    epochs: int
    required_accuracy: float

    def model_facts(self, accuracy: float) -> ModelFacts:
        """What its owner declares of a trained network."""
        return ModelFacts(
            task="classification",
            input=self.input,
            output=OutputFacts(kind="logits", classes=self.classes),
            accuracy=accuracy,
            role=self.role,
        )

    def dataset_facts(self) -> DatasetFacts:
        """What its owner declares of the test examples."""
        return DatasetFacts(input=self.input, classes=self.classes, example_names=self.example_name)

    def preprocessed(self, raw: Array) -> Tensor:
        """Raw values as the network reads them: (raw - mean) / std, as declared; the network itself holds neither."""
        axis = self.input.channel_axis + 1
        shape = [-1 if at == axis else 1 for at in range(raw.ndim)]
        declared = self.input.preprocessing
        mean = torch.tensor(declared.mean, dtype=torch.float32).reshape(shape)
        std = torch.tensor(declared.std, dtype=torch.float32).reshape(shape)
        return (torch.from_numpy(raw) - mean) / std


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One version of a network, in eval mode, and the share of all test examples it classifies rightly."""

    task: Task
    version: str
    epochs: int
    network: nn.Module
    accuracy: float


class NotLearned(RuntimeError):
    """Training did not reach the accuracy the demo promises; nothing audited after it would mean anything."""


class DigitsNetwork(nn.Module):
    """Two convolutions and two dense layers: (N, 1, 8, 8) to 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(512, 64)
        self.relu3 = nn.ReLU()
        self.logits = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, 1, 8, 8), preprocessed. Returns logits, (N, 10)."""
        maps = self.relu2(self.conv2(self.relu1(self.conv1(images))))
        logits: Tensor = self.logits(self.relu3(self.hidden(self.flatten(self.pool(maps)))))
        return logits


class TumourNetwork(nn.Module):
    """Three dense layers: (N, 30) to 2 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.dense1 = nn.Linear(30, 32)
        self.relu1 = nn.ReLU()
        self.dense2 = nn.Linear(32, 16)
        self.relu2 = nn.ReLU()
        self.logits = nn.Linear(16, 2)

    def forward(self, features: Tensor) -> Tensor:
        """features: (N, 30), preprocessed. Returns logits, (N, 2)."""
        logits: Tensor = self.logits(self.relu2(self.dense2(self.relu1(self.dense1(features)))))
        return logits


def digits() -> Task:
    """Which digit was written? 8 x 8 grey levels from 0 to 16."""
    found = load_digits()
    images = np.asarray(found.images, dtype=np.float32)[:, None]
    train_x, test_x, train_y, test_y = _split(images, np.asarray(found.target, dtype=np.int64))
    return Task(
        name="digits-cnn",
        train_inputs=train_x,
        train_labels=train_y,
        test_inputs=test_x,
        test_labels=test_y,
        input=InputFacts(
            kind="image",
            layout="NCHW",
            shape=(1, 8, 8),
            bounds=Bounds(low=(0.0,), high=(16.0,)),
            unit="grey level 0-16",
            preprocessing=Preprocessing(mean=_numbers(train_x.mean()), std=_numbers(train_x.std())),
        ),
        classes=tuple(str(digit) for digit in range(10)),
        role="Reads one handwritten digit.",
        example_name="image",
        network=DigitsNetwork,
        epochs=12,
        required_accuracy=0.97,
    )


def tumours() -> Task:
    """Is the tumour malignant? 30 measures of cell nuclei, each in its own unit."""
    found = load_breast_cancer()
    features = np.asarray(found.data, dtype=np.float32)
    train_x, test_x, train_y, test_y = _split(features, np.asarray(found.target, dtype=np.int64))
    low, high = features.min(axis=0), features.max(axis=0)
    margin = BOUNDS_MARGIN * (high - low)
    return Task(
        name="tumour-mlp",
        train_inputs=train_x,
        train_labels=train_y,
        test_inputs=test_x,
        test_labels=test_y,
        input=InputFacts(
            kind="table",
            layout="NF",
            shape=(30,),
            bounds=Bounds(low=_numbers(np.maximum(low - margin, 0)), high=_numbers(high + margin)),
            unit="as measured",
            preprocessing=Preprocessing(mean=_numbers(train_x.mean(axis=0)), std=_numbers(train_x.std(axis=0))),
            feature_names=tuple(str(name) for name in found.feature_names),
        ),
        classes=tuple(str(name) for name in found.target_names),
        role="Says whether a breast tumour is malignant, from measures of its cell nuclei.",
        example_name="patient",
        network=TumourNetwork,
        epochs=30,
        required_accuracy=0.95,
    )


def train(task: Task, on_epoch: OnEpoch | None = None) -> tuple[Trained, Trained]:
    """Both versions: after one epoch, and after all of them. Same seed, same numbers on the same machine.

    `on_epoch` is told the epochs done and their total. Raises `NotLearned` below the task's required accuracy.
    """
    tell = on_epoch or (lambda _done, _total: None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        early = _trained(task, epochs=1, version="1", tell=tell)
        torch.manual_seed(SEED)
        full = _trained(task, epochs=task.epochs, version="2", tell=tell)
    if full.accuracy < task.required_accuracy:
        raise NotLearned(
            f"{task.name} reached a test accuracy of {full.accuracy:.3f} after {full.epochs} epochs; the demo promises "
            f"{task.required_accuracy}. Was scikit-learn's data or the training changed?"
        )
    return early, full


def save_examples(task: Task, path: Path) -> int:
    """Write the first test examples, in raw units, as `inputs` and `labels`; returns how many, at most 200."""
    inputs, labels = task.test_inputs[:MOST_TEST_EXAMPLES], task.test_labels[:MOST_TEST_EXAMPLES]
    np.savez(path, inputs=inputs, labels=labels)
    return len(inputs)


def accuracy(task: Task, network: nn.Module) -> float:
    """The share of all test examples classified rightly."""
    with torch.no_grad():
        predicted = network(task.preprocessed(task.test_inputs)).argmax(dim=1)
    return float((predicted == torch.from_numpy(task.test_labels)).float().mean())


def _trained(task: Task, *, epochs: int, version: str, tell: OnEpoch) -> Trained:
    network = task.network()
    inputs, labels = task.preprocessed(task.train_inputs), torch.from_numpy(task.train_labels)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(inputs)).chunk(-(-len(inputs) // BATCH)):
            loss = nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
            optimiser.step()
        schedule.step()
        tell(epoch + 1, epochs)
    network.eval()
    return Trained(task=task, version=version, epochs=epochs, network=network, accuracy=accuracy(task, network))


def _split(inputs: Array, labels: Labels) -> tuple[Array, Array, Labels, Labels]:
    train_x, test_x, train_y, test_y = train_test_split(
        inputs, labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    return train_x, test_x, train_y, test_y


def _numbers(values: object) -> tuple[float, ...]:
    return tuple(float(value) for value in np.atleast_1d(np.asarray(values, dtype=np.float64)))
