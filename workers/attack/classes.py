"""When is a prediction broken, and what is climbed to break it? Goals over the classes of an output (rows, C).

Losses: cross-entropy; the difference of logits ratio and its targeted form, Croce and Hein, Reliable evaluation of
adversarial robustness with an ensemble of diverse parameter-free attacks, arXiv:2003.01690, equations 6 and 7; plain
differences of logits, Carlini and Wagner, arXiv:1608.04644, section V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

_LEAST = 1e-12
"""Of a denominator: where all logits are equal their differences are zero, and so is the loss."""


@dataclass(frozen=True, slots=True, eq=False)
class Misclassified:
    """Another class than the label comes first. labels: int64 (N,)."""

    labels: Tensor

    @property
    def losses(self) -> tuple[str, ...]:
        return ("ce", "dlr", "margin", "margin-to")

    @property
    def targeted(self) -> tuple[str, ...]:
        return ("margin-to", "dlr-to")

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:
        return torch.isfinite(outputs).all(1) & (outputs.argmax(1) != self._labels(index))

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        """The label's logit above the largest other: at or below zero where that comes first."""
        own, other = _own_and_other(outputs, self._labels(index))
        return torch.nan_to_num(own - other, nan=torch.inf)

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:
        others = outputs.scatter(1, self._labels(index)[:, None], -torch.inf)
        count = min(count, outputs.shape[1] - 1)
        return others.topk(count, dim=1).indices

    def loss(self, name: str, outputs: Tensor, index: Tensor, towards: Tensor | None) -> Tensor:
        labels = self._labels(index)
        if name == "ce":
            return cross_entropy(outputs, labels, reduction="none")
        if name == "dlr" and outputs.shape[1] > 2:
            own, other = _own_and_other(outputs, labels)
            first, _, third = outputs.topk(3, dim=1).values.unbind(1)
            return (other - own) / (first - third).clamp(min=_LEAST)
        if towards is not None:
            own, to = (outputs.gather(1, each[:, None]).squeeze(1) for each in (labels, towards))
            if name == "dlr-to" and outputs.shape[1] > 3:
                first, _, third, fourth = outputs.topk(4, dim=1).values.unbind(1)
                return (to - own) / (first - (third + fourth) / 2).clamp(min=_LEAST)
            return to - own
        own, other = _own_and_other(outputs, labels)
        return other - own

    def _labels(self, index: Tensor) -> Tensor:
        return self.labels.to(index.device)[index]


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """The class that is wanted comes first: a targeted attack. wanted: int64 (N,)."""

    wanted: Tensor

    @property
    def losses(self) -> tuple[str, ...]:
        return ("ce", "dlr", "margin")

    @property
    def targeted(self) -> tuple[str, ...]:
        return ()

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:
        return torch.isfinite(outputs).all(1) & (outputs.argmax(1) == self._wanted(index))

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        """The largest other logit above that of the class wanted."""
        own, other = _own_and_other(outputs, self._wanted(index))
        return torch.nan_to_num(other - own, nan=torch.inf)

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:  # noqa: ARG002  # there is one way
        return torch.full((len(index), 0), -1, dtype=torch.int64, device=index.device)

    def loss(
        self,
        name: str,
        outputs: Tensor,
        index: Tensor,
        towards: Tensor | None,  # noqa: ARG002  # as above
    ) -> Tensor:
        wanted = self._wanted(index)
        if name == "ce":
            return -cross_entropy(outputs, wanted, reduction="none")
        own, other = _own_and_other(outputs, wanted)
        if name == "dlr" and outputs.shape[1] > 2:
            first, _, third = outputs.topk(3, dim=1).values.unbind(1)
            return (own - other) / (first - third).clamp(min=_LEAST)
        return own - other

    def _wanted(self, index: Tensor) -> Tensor:
        return self.wanted.to(index.device)[index]


def _own_and_other(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The logit of the label, and the largest of the others, (rows,) each."""
    own = outputs.gather(1, labels[:, None]).squeeze(1)
    return own, outputs.scatter(1, labels[:, None], -torch.inf).amax(1)
