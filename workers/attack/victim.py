"""What is attacked? A function of one floating-point tensor, and how often it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
"""From rows of inputs (rows, ...), raw units, and the example that each is of, int64 (rows,), to outputs (rows, ...).

Differentiable in its first argument where the victim is no black box. It takes any number of rows.
"""


@dataclass(slots=True)
class Asked:
    """How often: rows that went forward (those of gradients too), and rows whose gradient was taken."""

    forwards: int = 0
    gradients: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Victim:
    """A network with its count.

    black_box: it gives no gradients. rows: most that go through it in one call; a larger call is cut. asked: the count
    that is now kept; `whose` starts another.
    """

    network: Network
    black_box: bool = False
    rows: int = 512
    asked: Asked = field(default_factory=Asked)

    def whose(self) -> Asked:
        """Start a new count and give it: from now on this one is kept."""
        self.asked = Asked()
        return self.asked

    def outputs(self, made: Tensor, index: Tensor) -> Tensor:
        """Without gradients, (rows, ...)."""
        with torch.no_grad():
            parts = [
                self.network(made[start : start + self.rows], index[start : start + self.rows])
                for start in range(0, len(made), self.rows)
            ]
        self.asked.forwards += len(made)
        return torch.cat(parts)

    def gradient(
        self, made: Tensor, index: Tensor, loss: Callable[[Tensor, slice], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(outputs, loss, gradient of each row's loss by its input), the last (rows, ...), all detached.

        loss: from outputs of the rows in the slice to one number each. Raises RuntimeError where the network's output
        does not hang on its input.
        """
        outputs, losses, gradients = [], [], []
        for start in range(0, len(made), self.rows):
            part = slice(start, min(start + self.rows, len(made)))
            some = made[part].detach().requires_grad_()
            with torch.enable_grad():
                output = self.network(some, index[part])
                value = loss(output, part)
                (by_input,) = torch.autograd.grad(value.sum(), some)
            outputs.append(output.detach())
            losses.append(value.detach())
            gradients.append(by_input)
        self.asked.forwards += len(made)
        self.asked.gradients += len(made)
        return torch.cat(outputs), torch.cat(losses), torch.cat(gradients)
