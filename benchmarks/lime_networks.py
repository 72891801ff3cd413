"""What is LIME measured on? Networks and examples of each kind of input, as an analysis would have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.networks import small_cnn
from service.contracts.base import digest_of
from service.contracts.facts import Bounds, InputFacts, ModelFacts, OutputFacts
from service.contracts.manifest import ModelManifest, TensorSpec
from workers.passes.predicting import Asking, Predicting
from workers.subject.network import Tokenizer
from workers.subject.subject import Examples, Subject

COLUMNS, ROWS, CLASSES = 30, 1000, 10
WORDS, LENGTH, VOCABULARY = 120, 128, 400


class Bag(nn.Module):
    """Mean of word vectors, two dense layers: (N, LENGTH) ids and mask to (N, 2)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.words, self.hidden, self.logits = nn.Embedding(VOCABULARY, width), nn.Linear(width, 64), nn.Linear(64, 2)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        weights = mask.to(self.words.weight.dtype)[..., None]
        mean = (self.words(ids) * weights).sum(1) / weights.sum(1).clamp(min=1)
        logits: Tensor = self.logits(torch.relu(self.hidden(4 * mean)))
        return logits


class Splitter:
    """A word is a token; a word's number is in its name."""

    name = "words"

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, ...]:
        """Ids and mask."""
        ids = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, text in enumerate(texts):
            found = [int(word[1:]) + 1 for word in re.findall(r"\w+", text)][:length]
            ids[row, : len(found)] = torch.tensor(found, dtype=torch.int64)
        return ids, (ids > 0).long()

    def pieces(self, text: str, length: int) -> tuple[tuple[str, int, int], ...]:
        """Words and their places."""
        return tuple((found[0], *found.span()) for found in re.finditer(r"\w+", text))[:length]


@dataclass(frozen=True, slots=True)
class Asked:
    """A network made ready, and what its peer needs to be asked the same."""

    case: Predicting
    network: nn.Module
    raw: Tensor
    texts: tuple[str, ...] = ()

    def probabilities(self, x: Tensor) -> Tensor:
        """Of all classes."""
        with torch.no_grad():
            return torch.softmax(self.network(x), 1)


def pictures(side: int, labels: int) -> Asked:
    """A convolutional network on one smooth picture, asked about as many classes as `labels`."""
    network, _ = small_cnn(side, classes=CLASSES)
    coarse = torch.rand(1, 3, side // 16, side // 16)
    picture = nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    facts = InputFacts(kind="image", layout="NCHW", shape=(3, side, side), bounds=Bounds(low=(0.0,), high=(1.0,)))
    return asked(network.eval(), (picture,), facts, CLASSES, labels)


def table() -> Asked:
    """A dense network on rows of 30 columns."""
    network = nn.Sequential(nn.Linear(COLUMNS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    rows = torch.randn(ROWS, COLUMNS) @ (torch.eye(COLUMNS) + 0.2 * torch.randn(COLUMNS, COLUMNS))
    facts = InputFacts(
        kind="table", layout="NF", shape=(COLUMNS,), bounds=Bounds(low=(-30.0,), high=(30.0,)),
        feature_names=tuple(f"column {at}" for at in range(COLUMNS)),
    )  # fmt: skip
    return asked(network.eval(), (rows,), facts, 2, 1)


def text() -> Asked:
    """A bag of words on one text of 120 words, all different."""
    chosen = torch.randperm(VOCABULARY - 1)[:WORDS].tolist()
    told = " ".join(f"w{word}" for word in chosen)
    facts = InputFacts(
        kind="text", layout="NT", shape=(LENGTH,), bounds=Bounds(low=(0.0,), high=(float(VOCABULARY - 1),))
    )
    splitter = Splitter()
    return asked(Bag().eval(), splitter.encode([told], LENGTH), facts, 2, 1, splitter, (told,))


def asked(
    network: nn.Module, inputs: tuple[Tensor, ...], facts: InputFacts, classes: int, labels: int,
    tokenizer: Tokenizer | None = None, texts: tuple[str, ...] = (), examples: int = 1,
) -> Asked:  # fmt: skip
    """Its first `labels` classes; the predicted one where there are none."""
    names = tuple(f"class {at}" for at in range(classes))
    spec = TensorSpec(name="input", dtype="float32", shape=("N", *map(str, facts.shape)))
    manifest = ModelManifest(
        format="pt2", rewriter="benchmark 1", canonical_digest=digest_of(b"benchmark"), torch_version=torch.__version__,
        batch=None, parameters=sum(each.numel() for each in network.parameters()), inputs=(spec,), outputs=(spec,),
        layers=(),
    )  # fmt: skip
    data = Examples(
        name="benchmark", digest=digest_of(b"benchmark"), inputs=inputs[0], labels=None, further=inputs[1:],
        texts=texts or None,
    )  # fmt: skip
    subject = Subject(
        model=network.requires_grad_(requires_grad=False), manifest=manifest, digest=digest_of(b"benchmark"),
        facts=ModelFacts(task="classification", input=facts, output=OutputFacts(kind="logits", classes=names)),
        examples={"evaluation": data}, device=torch.device("cpu"), tokenizer=tokenizer, pad=0,
    )  # fmt: skip
    targets = tuple(f"class:{name}" for name in names[:labels]) if labels else ("predicted",)
    case = Predicting.of(subject, Asking(targets=targets, scale="probability", examples=examples, precision="float32"))
    return Asked(case=case, network=network, raw=inputs[0], texts=texts)
