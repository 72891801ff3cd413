"""Networks whose robustness is known by hand, as subjects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from tests.workers import subjects
from tests.workers.subjects import Answer, answer
from workers.analyses.robustness import KIND
from workers.subject.subject import Subject

QUICK: dict[str, Any] = {"steps": 10, "queries": 20, "compare": [], "checks": "none", "pictures": 2}
"""An attack that is short, for what does not depend on its strength."""


class Linear(nn.Module):
    """Two classes: logits (s, -s) / 2 with s = w · x + b."""

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.score = nn.Linear(len(weight), 1)
        self.score.weight.data, self.score.bias.data = weight[None], torch.tensor([bias])

    def forward(self, x: Tensor) -> Tensor:
        score = self.score(x.flatten(1))
        return torch.cat([score, -score], 1) / 2


class Number(nn.Module):
    """w · x, (N, 1)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.score = nn.Linear(len(weight), 1, bias=False)
        self.score.weight.data = weight[None]

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.score(x))


def facts(shape: tuple[int, ...], kind: str, layout: str, task: str = "classification", **more: Any) -> ModelFacts:
    """Bounds of 0 to 1 unless others are given."""
    bounds = more.pop("bounds", {"low": [0.0], "high": [1.0]})
    preprocessing = more.pop("preprocessing", {})
    output: dict[str, Any] = {"kind": "logits", "classes": ["yes", "no"]} if task == "classification" else {
        "kind": "values", "unit": "price"
    }  # fmt: skip
    return ModelFacts.model_validate(
        {
            "task": task,
            "input": {
                "kind": kind, "layout": layout, "shape": list(shape), "bounds": bounds, "unit": "grey",
                "preprocessing": preprocessing,
            },
            "output": more.pop("output", output),
            **more,
        }
    )  # fmt: skip


def picture(n: int = 40) -> Subject:
    """A linear rule on 1 x 4 x 4 grey pictures around 0.5, labelled rightly: s(x) = (mean of x - 0.5) · 16."""
    draws = torch.Generator().manual_seed(3)
    inputs = 0.5 + 0.2 * (torch.rand(n, 1, 4, 4, generator=draws) - 0.5)
    network = Linear(torch.ones(16), -8.0)
    labels = network(inputs).argmax(1)
    return subjects.subject(network, inputs, labels, facts((1, 4, 4), "image", "NCHW"))


def margins(of: Subject) -> Tensor:
    """The smallest L-infinity change that breaks each example of `picture`, (N,)."""
    return (of.examples["evaluation"].inputs.flatten(1).mean(1) - 0.5).abs()


def asked(of: Subject, **parameters: Any) -> Answer:
    """A quick answer, unless parameters say otherwise."""
    return answer(KIND, of, **{**QUICK, **parameters})
