"""Earlier analyses whose comparison is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from service.contracts.base import digest_of
from service.contracts.job import StagedAnalysis
from tests.workers.subjects import classifier
from workers.subject.subject import Earlier, Subject


def contents(start: int, stop: int) -> Tensor:
    """Digests of made-up examples, each its own, (n, 16)."""
    return torch.arange(start, stop, dtype=torch.int64).repeat_interleave(2).view(torch.uint8).reshape(-1, 16).clone()


def staged(kind: str, version: str, **changes: Any) -> StagedAnalysis:
    values: dict[str, Any] = {
        "file": "analysis-0.safetensors",
        "file_digest": digest_of(version.encode()),
        "digest": digest_of(version.encode()),
        "analysis": version,
        "kind": kind,
        "kind_version": 1,
        "parameters": {},
        "parameters_digest": digest_of(b"parameters"),
        "model_name": "net",
        "model_version": version,
        "model_digest": digest_of(version.encode()),
        "datasets": {"evaluation": digest_of(b"data")},
    }
    return StagedAnalysis.model_validate(values | changes)


def answered(version: str, right: list[bool], sure: float = 0.8, **changes: Any) -> Earlier:
    """An accuracy analysis: class 0 is always the label, and these were right."""
    wrong = torch.tensor([not each for each in right])
    draws = torch.rand(len(right), generator=torch.Generator().manual_seed(1)) * 0.1
    given = torch.stack(
        [torch.where(wrong, 1 - sure - draws, sure + draws), torch.where(wrong, sure + draws, 1 - sure - draws)], 1
    )
    return Earlier(
        staged=staged("accuracy", version, **changes),
        arrays={
            "label": torch.zeros(len(right), dtype=torch.int64),
            "predicted": wrong.to(torch.int64),
            "probability_of_label": given[:, 0],
            "probability": given,
            "content": torch.arange(len(right), dtype=torch.int64)
            .repeat_interleave(2)
            .view(torch.uint8)
            .reshape(-1, 16)
            .clone(),
        },
    )


def attributed(version: str, layers: dict[str, list[float]], **changes: Any) -> Earlier:
    """An attribution analysis of four examples whose layers have these units."""
    arrays = {}
    for name, units in layers.items():
        arrays[f"absolute/{name}"] = torch.full((4,), float(sum(units)))
        arrays[f"unit_absolute_mean/{name}"] = torch.tensor(units)
    return Earlier(staged=staged("layer_conductance", version, **changes), arrays=arrays)


def pair(before: Earlier, after: Earlier) -> Subject:
    return replace(classifier(), earlier={"before": before, "after": after})
