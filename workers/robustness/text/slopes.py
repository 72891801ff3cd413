"""How would a margin move if a token were another one? To first order, by the gradient at what embeddings give.

One backward pass tells it for all tokens of a vocabulary: g . (E[v] - E[t]) (Ebrahimi et al. 2018, arXiv:1712.06751,
section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.kind import AnalysisError
from workers.passes.asked import ROLE
from workers.passes.baselines import baselines_of
from workers.robustness.text.reading import Reading, Rows, margins
from workers.robustness.text.victim import Slope
from workers.subject.subject import Subject
from workers.sweep.block import padded
from workers.sweep.embedded import through
from workers.sweep.entered import Entered, entered
from workers.sweep.entrances import Entrance
from workers.sweep.target import Target

_CLOSE = 1e-5
"""Of the largest entry: by what a looked-up row may differ from that of the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """A network behind its embeddings. own: which of its entrances the attacked ids go through. x: of the examples,
    what the network reads."""

    network: nn.Module
    into: Entered
    found: tuple[Entrance, ...]
    own: tuple[int, ...]
    tables: tuple[Tensor, ...]
    fixed: int | None
    x: Rows

    def of(self, rows: Rows, reading: Reading, label: int) -> tuple[Slope, ...]:
        """One for each embedding of the attacked ids; of the margin by which `label` is decided."""
        made = [each.detach() for each in through(self.network, rows, self.found, self.fixed)]
        moving = [made[at].requires_grad_() for at in self.own]
        with torch.enable_grad():
            given = padded((*made, *(each.clone() for each in rows)), self.fixed or 1)
            output = Target.value().read(self.into.model(*given))[: len(rows[0])]
            margin = margins(reading.scores(output, rows), label)
            by = torch.autograd.grad(margin.sum(), moving, allow_unused=True)
        return tuple(
            Slope(torch.zeros_like(at) if each is None else torch.nan_to_num(each), table)
            for each, at, table in zip(by, moving, self.tables, strict=True)
        )

    def check(self) -> None:
        """Raises AnalysisError where the output does not hang on the embeddings, or they are no table."""
        rows = tuple(each[:1] for each in self.x)
        ids = self.x[self.found[self.own[0]].input][:1]
        for at, table in zip(self.own, self.tables, strict=True):
            made = through(self.network, rows, (self.found[at],), self.fixed)[0]
            looked = table[ids.clamp(max=len(table) - 1)]
            if made.shape != looked.shape or float((made - looked).abs().max()) > _CLOSE * float(table.abs().max()):
                raise AnalysisError("embedding", f"'{self.found[at].module}' does not look up rows of its weight")
        moving = [each.detach().requires_grad_() for each in through(self.network, rows, self.found, self.fixed)]
        with torch.enable_grad():
            output = Target.value().read(self.into.model(*padded((*moving, *rows), self.fixed or 1)))
        if not output.requires_grad:
            raise AnalysisError(
                "no-gradient", "the output does not hang on the embeddings in a way that has a gradient"
            )


def slopes_of(subject: Subject, network: nn.Module, x: Rows, position: int) -> Slopes:
    """Raises SweepRefused or AnalysisError where the ids do not come in through embeddings that can be seen."""
    starts = baselines_of(subject, subject.examples[ROLE], x, "zero")
    names = tuple(further.name for further in subject.facts.further_inputs)
    into = entered(network, x, starts, rows=subject.manifest.batch, names=names)
    found = tuple(into.entrances.values())
    own = tuple(at for at, each in enumerate(found) if each.input == position)
    tables = tuple(_table(network, found[at]) for at in own)
    if not own:
        raise AnalysisError("embedding", "the ids go through no embedding that can be seen")
    return Slopes(network, into, found, own, tables, subject.manifest.batch, x)


def _table(network: nn.Module, entrance: Entrance) -> Tensor:
    weight = getattr(network.get_submodule(entrance.module), "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():
        raise AnalysisError("embedding", f"'{entrance.module}' gives no table of one row for each id")
    return weight.detach()
