"""Subjects whose answers to corrupted inputs are known, and pictures to corrupt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from service.contracts.facts import Column, ModelFacts
from tests.workers import subjects
from tests.workers.lime.made import Reads
from tests.workers.neighbourhoods import texts
from workers.corruption.spec import Corruption
from workers.subject.network import Tokenizer
from workers.subject.subject import Subject

LETTERS = "a small film was good but the plot of it was slow and boring to the end"


def draws(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(channels: int, height: int, width: int, seed: int = 3) -> Tensor:
    """A picture without sharp edges, (channels, height, width) in [0, 1], float64."""
    coarse = torch.rand(1, channels, 4, 4, generator=draws(seed), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)[0]


def apply(corruption: Corruption, x: Any, severity: int, seed: int = 1) -> Any:
    return corruption.apply(x, corruption.at(severity), draws(seed))


def facts(
    task: str, given: dict[str, Any], *, classes: int = 2, kind: str = "logits", unit: str = "logit"
) -> ModelFacts:  # fmt: skip
    output = {"kind": kind, "unit": unit, "classes": [f"class {at}" for at in range(classes)]}
    return ModelFacts.model_validate({"task": task, "input": given, "output": output})


def image(shape: Sequence[int], layout: str = "NCHW", low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    return {"kind": "image", "layout": layout, "shape": list(shape), "bounds": {"low": [low], "high": [high]}}


def bright(x: Tensor) -> Tensor:
    """Two logits: the second wins where the mean is above a half."""
    mean = x.flatten(1).mean(1)
    return torch.stack([torch.full_like(mean, 0.5), mean], dim=1)


def greys(count: int = 20, side: int = 8) -> Tensor:
    """(count, 1, side, side), each of one grey, from 1 / 2 count in equal steps."""
    levels = (torch.arange(count) + 0.5) / count
    return levels.view(-1, 1, 1, 1).expand(count, 1, side, side).contiguous()


def grey_rule(count: int = 20, labels: bool = True) -> Subject:
    """The rule of brightness, right on every clean picture."""
    x = greys(count)
    own = (torch.arange(count) >= count // 2).long() if labels else None
    return subjects.subject(Reads(bright), x, own, facts("classification", image((1, 8, 8))))


def table(function: Any, rows: Tensor, task: str, columns: tuple[Column, ...] = (), **output: Any) -> Subject:
    given = {"kind": "table", "layout": "NF", "shape": [rows.shape[1]], "bounds": {"low": [-100], "high": [100]}}
    made = subjects.subject(Reads(function), rows, None, facts(task, given, **output))
    data = dataclasses.replace(made.examples["evaluation"], columns=columns)
    return dataclasses.replace(made, examples={"evaluation": data})


def reads_texts(given: Sequence[str], labels: Tensor | None = None, tokenizer: Tokenizer | None = None) -> Subject:
    own = tokenizer or texts.wordpiece()
    case = texts.case_of(given, texts.random_bag(400, 0), own, 60)
    data = dataclasses.replace(case.subject.examples["evaluation"], labels=labels)
    return dataclasses.replace(case.subject, examples={"evaluation": data})
