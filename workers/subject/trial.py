"""What does a network answer to random examples within its declared bounds?

How many are tried depends on what one costs, not on how long it takes here: the same file gives the same manifest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from service.contracts.facts import ModelFacts
from workers.subject.flops import Flops, count
from workers.subject.layers import random_inputs
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal, in_words, out_of_memory, without_paths

_LEAST, _MOST = 4, 64
_OPERATIONS = 20_000_000_000
_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """inputs: as the network reads them, (N, ...) each. output: the chosen tensor, (N, ...). finite: (N,), bool.

    flops: of one example, None where the pass cannot be watched operator by operator; `unwatched` says why.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    finite: Tensor
    flops: Flops | None
    unwatched: str | None = None

    @property
    def rows(self) -> int:
        """How many examples were tried."""
        return len(self.finite)

    def pair(self) -> tuple[Tensor, ...]:
        """Two examples for each input, of those with a finite output where there are two."""
        at = self.finite.nonzero().flatten().tolist()
        rest = [row for row in range(self.rows) if row not in at]
        chosen = torch.tensor([*at, *rest][:2])
        return tuple(tensor[chosen] for tensor in self.inputs)


def tried(loaded: Loaded, facts: ModelFacts) -> Trial:
    """Runs the network. Raises Refusal where it does not run, or where no example has a finite output."""
    first = random_inputs(loaded, facts, loaded.batch or 1)
    rows = loaded.batch or 2
    _run(loaded, random_inputs(loaded, facts, rows))
    flops, unwatched = _counted(loaded, first)
    affordable = _OPERATIONS // max(1, flops.total) if flops is not None else _ROWS
    total = min(_MOST, max(_LEAST, affordable))
    total += -total % rows
    inputs = random_inputs(loaded, facts, total)
    step = loaded.batch or min(_ROWS, total)
    parts = [_run(loaded, tuple(each[at : at + step] for each in inputs)) for at in range(0, total, step)]
    output = torch.cat(parts)
    finite = torch.isfinite(output).reshape(len(output), -1).all(1)
    if not bool(finite.any()):
        raise Refusal(
            "output-not-finite",
            f"the output holds NaN or infinity for each of {total} random inputs within the declared bounds",
            "Check the declared bounds and preprocessing, and the weights.",
        )
    return Trial(inputs=inputs, output=output, finite=finite, flops=flops, unwatched=unwatched)


def _run(loaded: Loaded, given: tuple[Tensor, ...]) -> Tensor:
    rows = len(given[0])
    try:
        with torch.no_grad():
            output = loaded.model(*(tensor.clone() for tensor in given))
    except Exception as error:  # whatever a network raises, it does not run
        if out_of_memory(error):
            raise
        shapes = " and ".join(str(list(each.shape)) for each in given)
        raise Refusal(
            "does-not-run",
            f"a forward pass of {shapes} fails: {in_words(error)}",
            "Export the model again and run the loaded program once yourself before sending it.",
        ) from error
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != rows:
        found = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise Refusal(
            "output-shape",
            f"the output for {rows} examples is {found}; its first axis must be the batch",
            "Export a model that gives one row per example.",
        )
    return output.detach()


def _counted(loaded: Loaded, first: tuple[Tensor, ...]) -> tuple[Flops | None, str | None]:
    """Operations of one example; a network that takes no single example is counted with two."""
    if loaded.black_box:
        return None, None
    repeats = (1,) if loaded.batch else (1, 2)
    said = ""
    for times in repeats:
        try:
            return count(loaded.model, tuple(torch.cat([tensor] * times) for tensor in first)), None
        except Exception as error:  # a pass that cannot be watched is still a pass; it ran before
            if out_of_memory(error):
                raise
            said = f"{type(error).__name__}: {without_paths(str(error))[:500]}"
    return None, said
