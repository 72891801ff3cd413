"""Small networks that read tables, ready to be asked about them."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from service.contracts.base import digest_of
from tests.workers.facts import input_facts, model_facts
from tests.workers.subjects import subject
from workers.passes.predicting import Asking, Predicting
from workers.subject.subject import Examples

CLASSES = ("class:class 0", "class:class 1", "class:class 2")


def asked(
    network, inputs, *, labels=None, roles=None, names=(), declared=None, targets=CLASSES, scale="output",
    precision="float64", further=(), more=(), examples=2,
):  # fmt: skip
    """The network asked about the first examples. roles: rows of further roles, or rows and labels; declared: changes
    of the input's facts; more: facts of further inputs."""
    count = inputs.shape[1]
    facts = model_facts((count,)).model_dump(mode="json")
    facts["input"] = {**input_facts((count,), low=-1e6, high=1e6), "feature_names": list(names), **(declared or {})}
    if more:
        facts["further_inputs"] = list(more)
    made = subject(network.eval(), inputs, labels, facts=type(model_facts((3,))).model_validate(facts), further=further)
    given = {role: rows if isinstance(rows, tuple) else (rows, None) for role, rows in (roles or {}).items()}
    others = {role: Examples(name=role, digest=digest_of(role.encode()), inputs=rows, labels=of)
              for role, (rows, of) in given.items()}  # fmt: skip
    made = replace(made, examples={**made.examples, **others})
    asking = Asking(targets=targets, scale=scale, examples=min(examples, len(inputs)), precision=precision)
    return Predicting.of(made, asking)


def skewed(examples, columns, seed=0):
    """Numbers of different scales and shapes, some of them often equal."""
    draw = np.random.RandomState(seed)
    kinds = [
        lambda: draw.gamma(2, 10, examples), lambda: draw.normal(-3, 0.01, examples),
        lambda: draw.poisson(2, examples) / 4, lambda: draw.exponential(1000, examples),
    ]  # fmt: skip
    return torch.from_numpy(np.stack([kinds[at % 4]() for at in range(columns)], axis=1)).float()


def bent(rows, seed=0):
    """Three classes from columns brought to one scale, far from linear."""
    torch.manual_seed(seed)
    return nn.Sequential(Scale(rows), nn.Linear(rows.shape[1], 16), nn.Tanh(), nn.Linear(16, 3))


class Scale(nn.Module):
    """Each column less its mean, by its deviation."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("mean", rows.double().mean(0))
        self.register_buffer("std", rows.double().std(0).clamp(min=1e-6))

    def forward(self, x):
        return (x - self.mean.to(x)) / self.std.to(x)


class Reads(nn.Module):
    """Three classes from two columns alone."""

    def __init__(self, rows, first, second):
        super().__init__()
        self.scale, self.first, self.second = Scale(rows), first, second

    def forward(self, x, *others):
        y = self.scale(x)
        score = torch.tanh(y[:, self.first] - 0.7 * y[:, self.second])
        return score[:, None] * torch.tensor([1.0, -1.0, 0.5]).to(x)


class Sums(nn.Module):
    """Three classes from the sum of all numbers, whole or not."""

    def forward(self, x, *others):
        read = x.to(torch.get_default_dtype()) if not x.is_floating_point() else x
        return read.sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).to(read)
