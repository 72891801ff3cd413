"""Which layers can DeepLIFT attribute to, in this network and between these baselines and inputs?

Found by running one example and its baseline. Where the network computes something from its input outside the graph
(a comparison that chooses, an index, a number read out), every example may run another function, and all are run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from workers.rescale.calls import Calls
from workers.rescale.choices import Choices
from workers.rescale.graph import Graph, paired
from workers.rescale.rules import needs_values
from workers.rescale.run import Ends, Passes, ends_of, seen_through
from workers.sweep.looks import Place
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import ChangingGraph
from workers.sweep.target import Target


@dataclass(frozen=True, slots=True)
class Ran:
    """An operation, as it is called in the tables of `rules`, and the module that it ran in.

    shared: something else reads what it reads, too. follows: the module that gave its module's input, if one did.
    """

    name: str
    module: str
    shared: bool
    follows: str


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """obstacles: by the key of each tap that has one, what has no rule between it and the target, in words.
    calls: by the key of each tap, the operations whose rules lie between it and the target, of the first example.
    operations: how many operations on what varies a pass has."""

    obstacles: Mapping[str, str]
    calls: Mapping[str, tuple[Ran, ...]]
    operations: int


_KNOWN: WeakKeyDictionary[nn.Module, tuple[tuple[Tensor, ...], Target, Survey]] = WeakKeyDictionary()
"""The last survey of a model, and what of: it is asked for tap by tap."""


def survey(ready: Prepared) -> Survey:
    """Raises whatever the model does."""
    known = _KNOWN.get(ready.model)
    if known is None or known[0] is not ready.x or known[1] is not ready.target:
        known = (ready.x, ready.target, _survey(ready))
        _KNOWN[ready.model] = known
    return known[2]


def _survey(ready: Prepared) -> Survey:
    taps = {tap.place: tap for tap in ready.probe.taps if tap.status == "on_path" and tap.same_as is None}
    passes = Passes(ready.model, ready.probe, taps)
    obstacles: dict[str, str] = {}
    calls: dict[str, tuple[Ran, ...]] = {}
    operations = 0
    with seen_through(ready.model):
        for example in range(len(ready)):
            ends = ends_of(ready.probe, ready.x, ready.origin, ready.target, example, example + 1, ready.device)
            try:
                found = _look(ready.model, passes, ends, taps)
            except ChangingGraph as changing:
                return Survey({tap.key: str(changing) for tap in taps.values()}, calls, operations)
            obstacles, calls = {**found.obstacles, **obstacles}, calls or dict(found.calls)
            operations = max(operations, found.operations)
            if example == 0 and not _chooses(passes, ends):
                break
    return Survey(obstacles, calls, operations)


def _look(model: nn.Module, passes: Passes, ends: Ends, taps: Mapping[Place, Tap]) -> Survey:
    """One example."""
    before = Calls(needs_values)
    passes.origin(ends, before)
    with Modules(model) as modules:
        after = Calls(needs_values, modules.innermost)
        here = passes.forward(ends, ends.inputs, after)
    pairs = paired(after.made, before.made)
    if not here.scores.requires_grad:
        return Survey({}, {}, len(pairs))
    graph = Graph(here.scores, pairs)
    named = {taps[place].key: tensor for place, tensor in here.values.items()}
    ran = {
        key: tuple(Ran(call.name, call.module, shared, modules.follows.get(call.module, "")) for call, shared in calls)
        for key, calls in graph.calls(named).items()
    }
    return Survey(graph.obstacles(named), ran, len(pairs))


def _chooses(passes: Passes, ends: Ends) -> bool:
    choices = Choices()
    passes.forward(ends, ends.inputs, choices)
    return choices.found


class Modules:
    """A context in which it is known which modules run. follows: of each, the one that gave the tensor it is given."""

    def __init__(self, model: nn.Module) -> None:
        self.follows: dict[str, str] = {}
        self._model, self._running, self._gave = model, [""], dict[int, tuple[Tensor, str]]()
        self._handles: list[RemovableHandle] = []

    def innermost(self) -> str:
        """The name of the module that runs now; empty for the model itself."""
        return self._running[-1]

    def __enter__(self) -> Self:
        for name, module in self._model.named_modules():
            self._handles.append(module.register_forward_pre_hook(partial(self._enter, name)))
            self._handles.append(module.register_forward_hook(partial(self._leave, name), always_call=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str, _module: nn.Module, given: tuple[object, ...]) -> None:
        self._running.append(name)
        if given and id(given[0]) in self._gave:
            self.follows[name] = self._gave[id(given[0])][1]

    def _leave(self, name: str, _module: nn.Module, _given: object, output: object) -> None:
        self._running.pop()
        if isinstance(output, Tensor):
            self._gave.setdefault(id(output), (output, name))
