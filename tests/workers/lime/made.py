"""Subjects that use known features alone, by construction, and what a LIME kind says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from tests.workers import subjects
from tests.workers.facts import input_facts
from workers.subject.subject import Subject


class Reads(nn.Module):
    """A network that is one function of its input."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


def facts(given: dict[str, Any]) -> ModelFacts:
    """Of a network of one number that reads `given`."""
    return ModelFacts.model_validate(
        {"task": "regression", "input": given, "output": {"kind": "values", "unit": "points"}}
    )


def reading(function: Callable[[Tensor], Tensor], inputs: Tensor, **changes: Any) -> Subject:
    """A regression that computes `function`, (N,) or (N, 1), of its only input."""
    given = {**input_facts(tuple(inputs.shape[1:]), low=-8.0, high=8.0), **changes}
    return subjects.subject(Reads(function), inputs, None, facts(given))


def pictures(examples: int = 3, side: int = 16) -> Tensor:
    """(examples, 3, side, side)."""
    return torch.rand(examples, 3, side, side, generator=torch.Generator().manual_seed(5)) * 2 - 1


def runs(examples: int = 3) -> Tensor:
    """Series, (examples, 40, 2): steps, channels."""
    return torch.randn(examples, 40, 2, generator=torch.Generator().manual_seed(6)).clamp(-3, 3)


def ids(examples: int = 3) -> Tensor:
    """(examples, 12), from 1 to 19."""
    return torch.randint(1, 20, (examples, 12), generator=torch.Generator().manual_seed(7))


def of_ids(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Subject:
    """A regression on ids."""
    declared = {"kind": "tokens", "layout": "NT", "shape": list(inputs.shape[1:]), "bounds": {"low": [0], "high": [19]}}
    return subjects.subject(Reads(function), inputs, None, facts(declared))


def black(of: Subject) -> Subject:
    """The same, as a black box."""
    return replace(of, black_box=True)
