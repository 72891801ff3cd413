"""Through which inputs does the output's change reach a chosen unit, and through it the target?

Dhamdhere, Sundararajan and Yan, arXiv:1805.12233, equation 1: for unit j of a layer and input k

    (x_k - x'_k) ∫ dF/dh_j  dh_j/dx_k  dα

Summed over all inputs it is the unit's conductance, which is found a second way, from the unit's own values along the
path (equation 2), and compared. A chunk has one forward pass, one backward pass from the target to the layer, and one
from each chosen unit to the inputs over the same graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil

import torch
from captum import attr
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.determinism import NotFinite
from workers.numerics.quadrature import Quadrature
from workers.sweep.block import Examples, padded, straight
from workers.sweep.captum_check import Verification, obstacle
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.jump import why_jumps
from workers.sweep.method import settings
from workers.sweep.methods.along import applicable, fitting, held, in_flight
from workers.sweep.methods.internal_influence import quadrature
from workers.sweep.methods.twin import NoTwin, One, compared, only
from workers.sweep.methods.unit_sums import OwnConductance, UnitEnds
from workers.sweep.plan import Plan, Quote, quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Block, Reducer
from workers.sweep.refusals import ChangingGraph, SweepRefused, UnknownTap
from workers.sweep.rules import Rule
from workers.sweep.watch import Watch, differentiable_recurrence, frozen

_Worked = tuple[Examples, Tensor, OwnConductance, dict[str, Tensor]]
"""A block, the target at its ends, what its units do themselves, and the attributions by input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronConductance:
    """layer: the key of the tap whose units are meant. chosen: their indices among its units, axis by axis.

    steps, rule: as for IntegratedGradients. The attribution at an input has the chosen units along its first axis.
    """

    layer: str
    chosen: tuple[tuple[int, ...], ...]
    steps: int
    rule: Rule = "trapezoid"

    @property
    def name(self) -> str:
        return "neuron_conductance"

    def as_json(self) -> dict[str, JsonValue]:
        return settings(self)

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """Only inputs have numbers, if only steps can follow the path."""
        if tap.key not in ready.inputs:
            return "neuron_conductance attributes to inputs, and this is a layer"
        return why_jumps(ready.jump)

    def units(self, tap: Tap) -> tuple[int, ...]:
        return (len(self.chosen), *tap.shape)

    def complete(self, _ready: Prepared, _tap: Tap) -> bool:
        """The sum is the conductance of the chosen units, not the change of the target."""
        return False

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        self._meant(ready)
        keys = applicable(ready, layers or ready.inputs, self.obstacle, self.name)
        made = ready.plan(len(self._points.nodes), memory_bytes, threads, keys)
        return fitting(made, memory_bytes, lambda chunks: self.quote(ready, chunks))

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """Each chosen unit has a backward pass of its own, which takes two thirds of forward and backward, over a graph
        that is kept whole meanwhile."""
        whole = quote(ready.probe, chunks, len(ready))
        sums = held(ready, chunks) * len(self.chosen)
        seconds = whole.seconds * (1 + 2 / 3 * len(self.chosen))
        return Quote(seconds, whole.bytes + sums + in_flight(ready, chunks))

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        meant, number = self._meant(ready), len(self._points.nodes)
        chunked = Chunks.of(chunks, ready.probe, lambda points: ceil(number / points), on_chunk)
        ends, sums = list[Tensor](), list[Tensor]()

        def work(start: int, stop: int) -> _Worked:
            block = Examples.cut(ready.x, ready.origin, start, stop, chunks.device)
            at_ends, values = self._ends(ready, meant, block)
            own = OwnConductance(values[1])
            totals = {key: self._zeros(ready, key, block) for key in chunks.taps}
            for at in range(0, number, chunked.points):
                self._chunk(ready, meant, block, slice(at, at + chunked.points), totals, own)
                chunked.finished()
            own.finish(values[0])
            return block, at_ends, own, totals

        with frozen(ready.model), differentiable_recurrence(ready.model):
            for block, at_ends, own, totals in chunked.over(len(ready), work):
                ends.append(at_ends)
                sums.append(torch.stack([own.total, own.gross, _give(ready, block, totals, reducers)]))
                totals.clear()  # not held while the next ones are found
        both, (total, gross, summed) = torch.cat(ends, 1), torch.cat(sums, 1)
        return UnitEnds(
            both[0], both[1], tuple(chunked.shrunk), own=total, gross=gross, summed=summed,
            unsummed=_unsummed(ready, chunks.taps),
        )  # fmt: skip

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        """By captum's NeuronConductance, which takes one unit at a time."""
        meant = self._meant(ready)
        points, scale = (self.steps, 1.0) if self.rule == "captum" else (self.steps + 1, (self.steps + 1) / self.steps)

        def theirs(one: One) -> Tensor:
            reason = obstacle(ready.probe, meant)
            if reason:
                raise NoTwin(reason)
            layer = dict(ready.model.named_modules())[meant.module]
            method = attr.NeuronConductance(one.forward, layer)
            made = [
                method.attribute(
                    one.x, unit, one.origin, n_steps=points, additional_forward_args=one.fixed,
                    method="gausslegendre" if self.rule == "captum" else "riemann_trapezoid",
                    internal_batch_size=max(1, chunks.points * chunks.examples),
                )[one.argument]
                for unit in self.chosen
            ]  # fmt: skip
            return torch.stack([only(each) for each in made], 1) * scale

        return compared(ready, ours, theirs)

    @property
    def _points(self) -> Quadrature:
        return quadrature(self.rule, self.steps)

    def _meant(self, ready: Prepared) -> Tap:
        """The tap of `layer`. Raises UnknownTap, SweepRefused where it has no such units or no conductance."""
        known = [tap.key for tap in ready.probe.taps]
        if self.layer not in known:
            near = get_close_matches(self.layer, known, 3, 0.4) or known[:3]
            raise UnknownTap(f"there is no layer '{self.layer}'; did you mean {', '.join(near)}?")
        tap = ready.probe.own(ready.probe.tap(self.layer))
        if tap.status != "on_path" or tap.key in ready.inputs:
            reason = tap.reason or "it is an input: ask for integrated_gradients"
            raise SweepRefused(f"the units of '{self.layer}' have no conductance: {reason}")
        for unit in self.chosen:
            if len(unit) != len(tap.shape) or not all(0 <= i < size for i, size in zip(unit, tap.shape, strict=True)):
                raise SweepRefused(f"'{self.layer}' has no unit {unit}: its units are {tap.shape}, counted from 0")
        if not self.chosen:
            raise SweepRefused(f"name at least one unit of '{self.layer}', whose units are {tap.shape}")
        return tap

    def _zeros(self, ready: Prepared, key: str, block: Examples) -> Tensor:
        x = block.inputs[ready.probe.inputs[key]]
        return x.new_zeros(len(block), len(self.chosen), *x.shape[1:])

    def _ends(self, ready: Prepared, meant: Tap, block: Examples) -> tuple[Tensor, Tensor]:
        """At the inputs and the baselines: the target, (2, examples), and the units, (2, examples, units); float64."""
        target, read, values = ready.target.of(block.start, block.stop), list[Tensor](), list[Tensor]()
        for alpha in (1.0, 0.0):
            rows = padded(straight(block, [alpha]), ready.probe.rows or ready.probe.least_rows)
            with torch.no_grad():
                value, output = _held(ready, meant, tuple(each.clone() for each in rows))
                read.append(target.select(output, len(block)).to("cpu", torch.float64))
                values.append(self._units(meant, value, len(rows[0]))[: len(block)])
        return torch.stack(read), torch.stack(values)

    def _units(self, meant: Tap, tensor: Tensor, rows: int) -> Tensor:
        """What the tap's tensor has at the chosen units: (rows, units), float64."""
        if meant.layout is None:
            raise ChangingGraph(f"'{meant.key}' has no axis of examples")
        split = meant.layout.split(tensor.detach(), rows)
        at: list[tuple[slice | int, ...]] = [(slice(None), *unit) for unit in self.chosen]
        return torch.stack([split[each] for each in at], 1).to("cpu", torch.float64)

    def _chunk(
        self,
        ready: Prepared,
        meant: Tap,
        block: Examples,
        which: slice,
        totals: Mapping[str, Tensor],
        own: OwnConductance,
    ) -> None:
        """Adds Σ_i w_i dF/dh_j dh_j/dx over the points `which`, and what the units themselves do there."""
        alphas, weights = self._points.nodes[which], self._points.weights[which]
        probe, count = ready.probe, len(alphas) * len(block)
        points = padded(straight(block, alphas), probe.rows or probe.least_rows)
        leaves = [each.requires_grad_(each.is_floating_point()) for each in points]
        with torch.enable_grad():
            value, output = _held(ready, meant, tuple(leaves))
        rows = len(points[0])
        score = ready.target.of(block.start, block.stop).select(output, count).sum()
        slope = None
        if score.requires_grad:
            if not value.requires_grad:
                raise ChangingGraph(f"'{meant.key}' was on the path in the probe and is not on it now")
            (slope,) = torch.autograd.grad(score, value, retain_graph=True, allow_unused=True)
        own.add(*(
            self._units(meant, each, rows)[:count].view(len(alphas), len(block), -1)
            for each in (value, torch.zeros_like(value) if slope is None else slope)
        ))  # fmt: skip
        if slope is None or meant.layout is None:
            return  # on this chunk the target does not depend on the layer
        values, slopes = meant.layout.split(value, rows), meant.layout.split(slope, rows)
        share = torch.zeros(rows, dtype=value.dtype, device=value.device)
        share[:count] = torch.tensor(weights, dtype=value.dtype, device=value.device).repeat_interleave(len(block))
        moving = [leaves[probe.inputs[key]] for key in totals]
        for number, unit in enumerate(self.chosen):
            at: tuple[slice | int, ...] = (slice(None), *unit)
            made = torch.autograd.grad(
                (values[at] * (slopes[at] * share)).sum(), moving, allow_unused=True,
                retain_graph=number < len(self.chosen) - 1,
            )  # fmt: skip
            for total, each in zip(totals.values(), made, strict=True):
                if each is not None:
                    total[:, number] += each[:count].view(len(alphas), len(block), *each.shape[1:]).sum(0)


def _unsummed(ready: Prepared, taps: Sequence[str]) -> str:
    """Why the attributions at `taps` are not all that reaches the units."""
    for key in ready.inputs:
        tap = ready.probe.tap(key)
        if key not in taps and tap.status in ("on_path", "refused"):
            return f"what reaches the units through '{key}' is not attributed"
    return ""


def _held(ready: Prepared, meant: Tap, given: tuple[Tensor, ...]) -> tuple[Tensor, object]:
    """The tensor of the tap in a forward pass, whose graph is kept where gradients are on, and the output."""
    held: list[Tensor] = []

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        if (layer, call, position) != meant.place:
            return tensor
        held.append(tensor)
        return tensor.clone() if meant.clone else tensor

    with Watch(ready.model, see, {meant.layer}) as watch:
        output = watch.run(tuple(each.clone() for each in given) if ready.probe.clones_input else given)
    if not held:
        raise ChangingGraph(f"'{meant.key}' ran in the probe and does not run now")
    return held[0], output


def _give(
    ready: Prepared, block: Examples, totals: Mapping[str, Tensor], reducers: Sequence[Reducer]
) -> Tensor:  # fmt: skip
    """Every attribution to every reducer; returns their sums over all inputs, (examples, units), float64."""
    summed = list[Tensor]()
    for key, total in totals.items():
        change = block.differences[ready.probe.inputs[key]]
        if change is None:
            raise ValueError(f"'{key}' is an input of integers and does not move")
        made = total * change[:, None]
        flat = made.reshape(len(block), -1)
        signed, absolute = flat.sum(1, dtype=torch.float64), flat.abs().sum(1, dtype=torch.float64)
        if not bool(torch.isfinite(absolute).all()):
            raise NotFinite(key)
        summed.append(made.reshape(*made.shape[:2], -1).sum(2, dtype=torch.float64).cpu())
        for reducer in reducers:
            reducer.take(Block(key, block.start, block.stop, made, signed, absolute))
    return torch.stack(summed).sum(0)
