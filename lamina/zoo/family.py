"""What is one family of networks? A small network, the facts its owner would declare, and what is explained of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from service.contracts.facts import DatasetFacts, InputFacts, ModelFacts
from workers.subject.subject import along_channels

EXAMPLES = 4
SEED = 11
CLASSES = ("low", "middle", "high")
_GAIN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family.

    title: what the network is, in a few words. target: what the kinds are asked to explain, as their parameter says it.
    batch: the only batch size it is exported with, None for any.
    no_export: the words with which its export is refused, None where it is exported.
    """

    name: str
    title: str
    make: Callable[[], nn.Module]
    facts: ModelFacts
    target: str = "predicted"
    batch: int | None = None
    no_export: str | None = None

    def network(self) -> nn.Module:
        """In eval mode, with weights drawn from a seed, larger than untrained ones; batch norms have statistics."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            network = self.make()
            for parameter in network.parameters():
                if parameter.ndim > 1:
                    parameter.data.mul_(_GAIN)
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    _used(module)
        return network.eval()

    def examples(self, count: int = EXAMPLES) -> tuple[Tensor, ...]:
        """Raw examples within the declared bounds, one tensor for each input; the same ones each time."""
        draws = torch.Generator().manual_seed(SEED)
        return tuple(_drawn(each, count, draws) for each in self.inputs)

    @property
    def inputs(self) -> tuple[InputFacts, ...]:
        return (self.facts.input, *(further.input for further in self.facts.further_inputs))

    def prepared(self, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Raw examples as the network reads them."""
        return tuple(_prepared(each, facts) for each, facts in zip(raw, self.inputs, strict=True))

    @property
    def dataset_facts(self) -> DatasetFacts:
        """The facts of its examples, which have labels where there are classes to label a whole example with."""
        labelled = self.facts.task == "classification"
        return DatasetFacts(
            input=self.facts.input, further_inputs=self.facts.further_inputs,
            classes=self.facts.output.classes if labelled else (), labels_array="labels" if labelled else None,
        )  # fmt: skip


def _used(norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Gives a batch norm statistics as training would leave them."""
    if norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)


def _drawn(facts: InputFacts, count: int, draws: torch.Generator) -> Tensor:
    share = torch.rand((count, *facts.shape), generator=draws)
    low, high = (along_channels(values, facts, share) for values in (facts.bounds.low, facts.bounds.high))
    if facts.kind != "tokens":
        return low + (high - low) * share
    ids = torch.minimum(low + ((high - low + 1) * share).floor(), high).long()
    if float(high.max()) == 1:  # a mask: it keeps the first ids, of each example one more
        length = facts.shape[0]
        kept = (length // 2 + torch.arange(count)).clamp(max=length)
        ids = (torch.arange(length) < kept.unsqueeze(1)).long()
    return ids


def _prepared(raw: Tensor, facts: InputFacts) -> Tensor:
    if not raw.is_floating_point():
        return raw
    mean, std = (along_channels(v, facts, raw) for v in (facts.preprocessing.mean, facts.preprocessing.std))
    return (raw - mean) / std


def image(*shape: int, **changes: Any) -> dict[str, Any]:
    """Grey values 0 to 255 of shape (C, H, W), which the network reads from -1 to 1."""
    preprocessing = {"mean": [127.5], "std": [127.5]}
    bounds = {"low": [0.0], "high": [255.0]}
    return {
        "kind": "image", "layout": "NCHW", "shape": list(shape), "bounds": bounds, "unit": "grey level 0-255",
        "preprocessing": preprocessing, **changes,
    }  # fmt: skip


def table(features: int) -> dict[str, Any]:
    """Features from -2 to 2."""
    return {"kind": "table", "layout": "NF", "shape": [features], "bounds": {"low": [-2.0], "high": [2.0]}}


def series(steps: int, channels: int) -> dict[str, Any]:
    """Values from -2 to 2 of shape (T, C)."""
    bounds = {"low": [-2.0], "high": [2.0]}
    return {"kind": "series", "layout": "NTC", "shape": [steps, channels], "bounds": bounds}


def tokens(length: int, vocabulary: int) -> dict[str, Any]:
    """Ids below `vocabulary`."""
    bounds = {"low": [0], "high": [vocabulary - 1]}
    return {"kind": "tokens", "layout": "NT", "shape": [length], "bounds": bounds, "unit": "id"}


def facts(
    task: str,
    first: dict[str, Any],
    *,
    kind: str = "logits",
    further: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> ModelFacts:
    """Declared facts; a classifier has the classes of CLASSES, and a network of `further` inputs their names."""
    classes = CLASSES if task in ("classification", "segmentation") else ()
    return ModelFacts.model_validate(
        {
            "task": task, "input": first,
            "further_inputs": [{"name": name, "input": each} for name, each in (further or {}).items()],
            "output": {"kind": kind, "classes": classes, **more},
        }
    )  # fmt: skip
