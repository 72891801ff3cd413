"""Tables of which the answer is known: linear models on columns of every type, with rules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from service.contracts.facts import Column, ModelFacts
from service.contracts.manifest import ModelManifest
from tests.workers import subjects
from workers.subject.subject import Examples, Subject

NAMES = ("age", "income", "debt", "children", "colour=red", "colour=blue", "colour=green", "member", "region")
REGIONS = ("north", "east", "south", "west")


def facts(names: tuple[str, ...], low: float | list[float], high: float | list[float], **changes: Any) -> ModelFacts:
    """A two-class classifier of a table; `changes` of the outermost facts."""
    return ModelFacts.model_validate(
        {
            "task": "classification",
            "input": {
                "kind": "table", "layout": "NF", "shape": [len(names)],
                "bounds": {"low": low if isinstance(low, list) else [low],
                           "high": high if isinstance(high, list) else [high]},
                "feature_names": list(names),
            },
            "output": {"kind": "logits", "classes": ["no", "yes"]},
            **changes,
        }
    )  # fmt: skip


class Linear(nn.Module):
    """Two logits, of which only the second moves: b + w x."""

    def __init__(self, weights: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(len(weights), 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.stack([torch.zeros_like(weights), weights]))
            self.linear.bias.copy_(torch.tensor([0.0, bias]))
        self.requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def table(
    network: nn.Module, rows: Tensor, names: tuple[str, ...], low: Any = -10.0, high: Any = 10.0,
    labels: Tensor | None = None, columns: tuple[Column, ...] = (), background: Tensor | None = None, **changes: Any,
) -> Subject:  # fmt: skip
    """A network and the rows it is audited on; labels None takes its own decisions."""
    network = network.eval()
    made = subjects.subject(network, rows, None, facts(names, low, high, **changes))
    if labels is None:
        with torch.no_grad():
            labels = network(rows).argmax(1)
    given = made.examples["evaluation"]
    data = Examples(name="data", digest=given.digest, inputs=rows, labels=labels, columns=columns)
    roles = {"evaluation": data}
    if background is not None:
        roles["background"] = Examples(
            name="background", digest=given.digest, inputs=background, labels=None, columns=columns
        )
    manifest: ModelManifest = made.manifest
    return Subject(
        model=network, facts=made.facts, manifest=manifest, digest=made.digest, examples=roles, device=made.device
    )


def people(examples: int = 40, seed: int = 0) -> Subject:
    """An MLP on numbers, whole numbers, a one-hot group, a truth value and a category, all declared."""
    draws = torch.Generator().manual_seed(seed)
    age = torch.randint(18, 80, (examples,), generator=draws).float()
    income = 1000 + 4000 * torch.rand(examples, generator=draws)
    debt = income * torch.rand(examples, generator=draws)
    children = torch.randint(0, 5, (examples,), generator=draws).float()
    colour = nn.functional.one_hot(torch.randint(0, 3, (examples,), generator=draws), 3).float()
    member = torch.randint(0, 2, (examples,), generator=draws).float()
    region = torch.randint(0, 4, (examples,), generator=draws).float()
    rows = torch.stack([age, income, debt, children, *colour.T, member, region], dim=1)
    torch.manual_seed(seed)
    first, last = nn.Linear(9, 16), nn.Linear(16, 2)
    scale = torch.tensor([0.05, 0.001, 0.001, 0.4, 1, 1, 1, 1, 0.5])
    with torch.no_grad():
        first.weight.mul_(3 * scale)
        first.bias.sub_(first.weight @ rows.mean(0))
    columns = tuple(
        Column.model_validate(each)
        for each in (
            {"name": "age", "type": "integer"}, {"name": "income"}, {"name": "debt"},
            {"name": "children", "type": "integer"}, {"name": "colour=red"}, {"name": "colour=blue"},
            {"name": "colour=green"}, {"name": "member", "type": "boolean"},
            {"name": "region", "type": "category", "categories": REGIONS},
        )
    )  # fmt: skip
    network = nn.Sequential(first, nn.ReLU(), last).requires_grad_(requires_grad=False)
    low, high = [18.0, 0, 0, 0, 0, 0, 0, 0, 0], [100.0, 10000, 10000, 12, 1, 1, 1, 1, 3]
    return table(network, rows, NAMES, low, high, columns=columns)


RULES: dict[str, Any] = {
    "one_hot": [["colour=red", "colour=blue", "colour=green"]],
    "immutable": ["age"], "only_up": ["children"], "protected": ["age", "colour=red", "member"],
    "relations": [{"columns": ["debt", "income"], "weights": [1, -1]}],
}  # fmt: skip
"""Of `people`: debt is at most the income."""
