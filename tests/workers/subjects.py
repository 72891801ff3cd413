"""Small subjects and the short way from a kind to its answer, for tests of what the kinds compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from service.contracts.base import digest_of
from service.contracts.facts import FurtherInput, ModelFacts
from service.contracts.manifest import Layer, ModelManifest, TensorSpec
from service.contracts.outcome import ControlRun
from tests import networks
from tests.workers.facts import input_facts, model_facts
from workers.kind import AnalysisKind, Computed, Context
from workers.subject.subject import Examples, Subject

DIGEST = digest_of(b"an analysis")


def subject(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor | None = None,
    facts: ModelFacts | None = None,
    batch: int | None = None,
    further: tuple[Tensor, ...] = (),
) -> Subject:
    """A network and its evaluation examples, as the child would have them."""
    shape = tuple(inputs.shape[1:])
    with torch.no_grad():
        output = network(inputs[: batch or 2], *(each[: batch or 2] for each in further))
    facts = facts or model_facts(shape, classes=max(2, output.shape[-1]))
    spec = TensorSpec(name="input", dtype="float32", shape=("N", *map(str, shape)))
    manifest = ModelManifest(
        format="pt2", rewriter="test 1", canonical_digest=digest_of(b"a model"), torch_version=torch.__version__,
        batch=batch, parameters=sum(p.numel() for p in network.parameters()), inputs=(spec,), outputs=(spec,),
        layers=tuple(
            Layer(name=name, type=type(module).__name__, calls=1, output_shape=("N",), parameters=0, leaf=True,
                  auditable="auditable")
            for name, module in network.named_modules() if name
        ),
    )  # fmt: skip
    data = Examples(name="data", digest=digest_of(b"data"), inputs=inputs, labels=labels, further=further)
    return Subject(
        model=network, facts=facts, manifest=manifest, digest=digest_of(b"a model"), examples={"evaluation": data},
        device=torch.device("cpu"),
    )  # fmt: skip


def context(digest: str = DIGEST, memory_bytes: int = 1 << 28, stop: Callable[[], bool] = lambda: False) -> Context:
    """A context that listens to nobody."""
    return Context(
        digest=digest, device="cpu", threads=1, memory_bytes=memory_bytes, report=lambda fraction, stage: None,
        cancelled=stop,
    )  # fmt: skip


@dataclass
class Answer:
    """Everything a kind says of a subject."""

    computed: Computed[Any]
    controls: tuple[ControlRun, ...]
    context: Context = field(repr=False)

    @property
    def outcome(self) -> Any:
        return self.computed.outcome


def answer(kind: AnalysisKind[Any, Any], of: Subject, within: Context | None = None, **parameters: Any) -> Answer:
    """Plan, compute, merge and control, as a group does for one member."""
    asked = kind.parameters.model_validate(parameters)
    assert kind.applies(of, asked) == ()
    within = within or context()
    torch.manual_seed(0)
    partials = [kind.compute(of, part, asked, within) for part in kind.plan(of, asked, within)]
    computed = kind.merge(of, asked, partials, within)
    return Answer(computed, tuple(control.run(of, asked, within) for control in kind.controls), within)


def classifier(examples: int = 6) -> Subject:
    """A three-class MLP on six features, labelled."""
    inputs = networks.points(examples, 6).float()
    return subject(networks.smooth_mlp().float(), inputs, torch.arange(examples) % 3)


def rows(examples: int = 6) -> Subject:
    """The classifier's rows, within the bounds that are declared."""
    inputs = networks.points(examples, 6).float().tanh()
    return subject(networks.smooth_mlp().float(), inputs, torch.arange(examples) % 3)


def images(examples: int = 5) -> Subject:
    """A residual network with in-place activations on 3x12x12, labelled."""
    inputs = networks.points(examples, 3, 12, 12).float().tanh()
    return subject(networks.resnet().float(), inputs, torch.arange(examples) % 5)


def series(examples: int = 4) -> Subject:
    """An LSTM on (7, 5), labelled."""
    return subject(networks.lstm().float(), networks.points(examples, 7, 5).float(), torch.arange(examples) % 3)


def pairs(examples: int = 4) -> Subject:
    """A siamese network on two tables of six features, the second in its own units, labelled."""
    left, right = networks.points(2 * examples, 6).float().split(examples)
    facts = model_facts((6,))
    preprocessing = {"mean": [10.0], "std": [2.0]}
    other = FurtherInput.model_validate(
        {"name": "right", "input": {**input_facts((6,), low=0.0, high=20.0), "preprocessing": preprocessing}}
    )
    facts = facts.model_copy(update={"further_inputs": (other,)})
    network = networks.ready(networks.Siamese()).float()
    return subject(network, left, torch.arange(examples) % 3, facts, further=(10 + 2 * right,))


def masked(examples: int = 4) -> Subject:
    """A network on (6, 8) and a mask of integers that keeps 3 of 6 and more, labelled."""
    mask = (torch.arange(6) < 3 + torch.arange(examples).unsqueeze(1)).long()
    facts = model_facts((6, 8))
    kept = {"kind": "tokens", "layout": "NT", "shape": [6], "bounds": {"low": [0], "high": [1]}}
    other = FurtherInput.model_validate({"name": "mask", "input": kept})
    facts = facts.model_copy(update={"further_inputs": (other,)})
    network = networks.ready(networks.Masked()).float()
    return subject(network, networks.points(examples, 6, 8).float(), torch.arange(examples) % 3, facts, further=(mask,))


def attends(examples: int = 4) -> Subject:
    """One self-attention over (6, 8), labelled."""
    network = networks.ready(networks.Attention()).float()
    return subject(network, networks.points(examples, 6, 8).float(), torch.arange(examples) % 3, model_facts((6, 8)))


def speaks(examples: int = 4) -> Subject:
    """The zoo's causal language model, on ids."""
    family = FAMILIES["gpt"]
    return subject(family.network(), family.examples(examples)[0], None, family.facts)
