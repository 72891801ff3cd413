"""Small networks that read images, ready to be asked about them."""

import torch
from torch import nn

from tests.workers.facts import input_facts, model_facts
from tests.workers.subjects import subject
from workers.passes.predicting import Asking, Predicting

CLASSES = ("class:class 0", "class:class 1", "class:class 2")


def asked(network, inputs, *, declared=None, targets=CLASSES, scale="output", precision="float64", further=(), more=()):
    """The network asked about every example. declared: changes of the input's facts; more: facts of further inputs."""
    facts = model_facts((3, 4, 4)).model_dump(mode="json")
    shape = list(inputs.shape[1:])
    facts["input"] = {**input_facts((3, 4, 4), low=0.0), "shape": shape, **(declared or {})}
    if more:
        facts["further_inputs"] = list(more)
    made = type(model_facts((3, 4, 4))).model_validate(facts)
    asking = Asking(targets=targets, scale=scale, examples=len(inputs), precision=precision)
    return Predicting.of(subject(network.eval(), inputs, facts=made, further=further), asking)


def convolutional(channels, seed):
    """Three classes from a small image, far from linear."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.Tanh(), nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(54, 3)
    )


class Reads(nn.Module):
    """One number for each class: the mean over some pixels, of all channels, times a factor, squashed.

    where: (H, W), 1 at those pixels.
    """

    def __init__(self, where, factors=(3.0, -2.0, 0.0)):
        super().__init__()
        self.register_buffer("where", where / where.sum())
        self.register_buffer("factors", torch.tensor(factors))

    def forward(self, x):
        seen = (x.mean(1) * self.where.to(x)).sum((1, 2))
        return torch.tanh(seen[:, None] * self.factors.to(x))
