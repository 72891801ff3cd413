"""What does a network give, and hold in its layers, for inputs of its examples that were changed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from workers.attack.victim import Network
from workers.passes.attacked import Read
from workers.suffix.rerun import Rerun
from workers.sweep.block import padded
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import ChangingGraph
from workers.sweep.watch import differentiable_recurrence, frozen


class Through:
    """A probed network, asked about rows that are its examples with one input changed.

    position: the input that changes. reads: from raw rows of it to what the network reads. said: from an output to
    (rows, classes). rows: most in one call, or the
    number that the network takes.
    """

    def __init__(
        self, ready: Prepared, position: int, reads: Callable[[Tensor], Tensor], said: Read, rows: int
    ) -> None:  # fmt: skip
        self._ready, self._position, self._reads, self._said = ready, position, reads, said
        self.rows = rows
        self._rerun = Rerun(ready.model, ready.probe)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """No parameter asks for a gradient, and recurrent layers have one; around everything that is asked."""
        with frozen(self._ready.model), differentiable_recurrence(self._ready.model):
            yield

    def inputs(self, made: Tensor, index: Tensor) -> tuple[Tensor, ...]:
        """What the network is called with. made: (rows, ...) raw. index: int64 (rows,), the example of each."""
        x = [each[index.to(each.device)] for each in self._ready.x]
        x[self._position] = self._reads(made).to(x[self._position].dtype)
        return tuple(x)

    def outputs(self, made: Tensor, index: Tensor) -> Tensor:
        """(rows, classes), with gradients to `made` where it asks for them."""
        return torch.cat([self._output(some, which) for some, which in self._blocks(made, index)])

    def values(self, made: Tensor, index: Tensor, taps: Sequence[Tap]) -> dict[str, Tensor]:
        """What layers give, by key, (rows, units...); without gradients. Raises ChangingGraph."""
        parts = [self._rerun.record(self.inputs(*each), taps).values for each in self._blocks(made, index)]
        for part, (some, _) in zip(parts, self._blocks(made, index), strict=True):
            for tap in taps:
                if len(part[tap.key]) != len(some):  # an expert that is sent some rows: which, it does not tell
                    raise ChangingGraph(f"'{tap.key}' gave {len(part[tap.key])} rows for {len(some)} inputs")
        return {tap.key: torch.cat([part[tap.key] for part in parts]) for tap in taps}

    def known(self, made: Tensor, index: Tensor, taps: Sequence[Tap]) -> dict[str, Tensor]:
        """As `values`, with NaN for a layer that does not run at some of these inputs."""
        try:
            return self.values(made, index, taps)
        except ChangingGraph:
            return {tap.key: self._or_unknown(made, index, tap) for tap in taps}

    def _or_unknown(self, made: Tensor, index: Tensor, tap: Tap) -> Tensor:
        try:
            return self.values(made, index, [tap])[tap.key]
        except ChangingGraph:
            return made.new_full((len(made), *tap.shape), torch.nan)

    def after(self, tap: Tap, x: Tensor, rows: Tensor) -> Network:
        """The network from a layer's output on, differentiable in (k, units...) of the layer; its index counts in x.

        x: (m, ...), raw, what goes before. rows: int64 (m,), the example of each. It raises ChangingGraph, and what the
        model raises.
        """

        def network(values: Tensor, index: Tensor) -> Tensor:
            parts = []
            for some, which in self._blocks(values, index):
                given = self.inputs(x[which], rows[which])
                output = self._ready.target.read(self._rerun.output(tap, given, some))[: len(some)]
                parts.append(self._said(output, given, rows[which]))
            return torch.cat(parts)

        return network

    def _output(self, made: Tensor, index: Tensor) -> Tensor:
        own, probe = self.inputs(made, index), self._ready.probe
        given = padded(own, probe.rows or probe.least_rows)
        if probe.clones_input:
            given = tuple(each.clone() for each in given)
        return self._said(self._ready.target.read(self._ready.model(*given))[: len(made)], own, index)

    def _blocks(self, made: Tensor, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(made), self.rows):
            yield made[start : start + self.rows], index[start : start + self.rows]
