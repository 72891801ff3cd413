"""Are the rows that are stored what they are said to be? Read back from their bytes, judged by what made none of them.

The rules: `workers.recheck.constraints`, from the asker's own names. The decision: the network asked again, one row at
a time, on the way that `workers.recheck.asking` writes down for itself.
"""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from workers.recheck.asking import Asking, predicted
from workers.recheck.constraints import forbidden
from workers.recheck.recheck import Rechecked
from workers.recheck.stored import Array, arrays
from workers.robustness.tabular.case import Case, background_of, columns_declared
from workers.robustness.tabular.declared import declared_of

MOST_ASKED = 500
"""Rows that the network is asked about again, one by one; the rules are checked of all."""


def rechecked(case: Case, at: Tensor, made: Tensor) -> Rechecked:
    """at: int64 (n,), made: (n, F), as `Hunt` has them; of the rows that are broken."""
    broken = ((at >= 0) & (at < len(case.parameters.epsilons))).nonzero().flatten().cpu()
    epsilons = torch.tensor(case.parameters.epsilons, dtype=torch.float64)
    data = save(
        {
            "index": case.kept.cpu()[broken].contiguous(), "made": made.cpu()[broken].contiguous(),
            "epsilon": epsilons[at.cpu()[broken]].contiguous(),
        }
    )  # fmt: skip
    stored = arrays(data)
    index, rows, budgets = stored["index"], stored["made"], stored["epsilon"]
    if len(index) == 0:
        return Rechecked(n=0, confirmed=0, refused=())
    position = case.attacked.input
    asking = Asking(case.subject, position=position)
    _, background = background_of(case.subject, position)
    declared = declared_of(case.attacked.facts, columns_declared(case.subject), case.parameters, background)
    originals = asking.originals(index).astype(rows.dtype)
    reasons = forbidden(declared, originals, rows, budgets)
    refused = []
    for place, (number, reason) in enumerate(zip(index.tolist(), reasons, strict=True)):
        why = reason or (_denied(case, asking, rows[place], number) if place < MOST_ASKED else None)
        if why is not None:
            refused.append((int(number), why))
    return Rechecked(n=len(index), confirmed=len(index) - len(refused), refused=tuple(refused))


def _denied(case: Case, asking: Asking, row: Array, index: int) -> str | None:
    """What the network says against the claim that the row is decided otherwise, or None."""
    output = asking.output(row, index)
    if not np.isfinite(output).all():
        return "the network's output for it is not finite"
    if case.judged.reading == "shift":
        before = asking.output(asking.originals(np.array([index]))[0], index)
        moved = float(np.abs(output - before).max())
        return None if moved > case.judged.tolerance * (1 - 1e-4) else f"the output alone moves by {moved:.6g} only"
    kind = case.subject.facts.output.kind
    found = int(predicted(output, kind))
    if case.judged.labels is None:
        own = int(predicted(asking.output(asking.originals(np.array([index]))[0], index), kind))
    else:
        own = int(case.judged.labels[(case.kept == index).nonzero().flatten()[0]])
    return f"the network alone still decides for class {own}" if found == own else None
