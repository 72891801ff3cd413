"""What of a subject may an attack change: which numbers, within which bounds, and counted in which unit?

Raw numbers, with preprocessing inside the network, so that a budget means what its owner declared. Between tokens
nothing lies: there it is what their embedding gives, which no input may reach, a diagnosis and no attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod, sqrt

import torch
from torch import Tensor, nn

from service.contracts.facts import InputFacts
from workers.attack.space import Norm, Space
from workers.attack.victim import Victim
from workers.kind import AnalysisError
from workers.passes.asked import ROLE, Precision
from workers.passes.baselines import baselines_of
from workers.passes.positions import real
from workers.subject.subject import Examples, Subject, along_channels
from workers.sweep.block import padded
from workers.sweep.copies import in_precision
from workers.sweep.entered import entered
from workers.sweep.run import outputs
from workers.sweep.target import Target
from workers.sweep.watch import Watch, differentiable_recurrence, frozen

Inputs = tuple[Tensor, ...]
Read = Callable[[Tensor, Inputs, Tensor], Tensor]
"""From an output (rows, ...), what the network was called with, and whose rows they are, to what a goal reads."""

RAW = ("image", "video")
"""Kinds of input whose raw unit is an epsilon's; others count it in standard deviations."""

BACKGROUND = ("background", "training")
MOST_ROWS = 256
_BLOCK_BYTES = 64 << 20
_OUTSIDE = 1e-5
"""Of the range of the bounds: by what an example may leave them through rounding."""
_FAR = 10.0
"""How many norms of a token an embedding may move at most: a bound where there is none."""
_KEPT = 4
"""Tensors as large as all layers' outputs together that a forward with its backward takes at its peak."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Attacked:
    """The first n examples of the evaluation data, and the network around them.

    x: (n, ...), what is changed: raw numbers, or embeddings where `embedded`. inputs: what the network is called with;
    the one at `position` is made of x by `reads`. own: the inputs as the subject gives them, before ids are embedded.
    given: what the network gives, (n, ...). labels: int64 (n,) or None. unit: of epsilon, in words. raw_unit: of x.
    notes: what a reader must know of it. fixed: the one batch size that the network takes.
    """

    subject: Subject
    network: nn.Module
    x: Tensor
    inputs: Inputs
    own: Inputs
    position: int
    reads: Callable[[Tensor], Tensor]
    given: Tensor
    labels: Tensor | None
    space: Space
    unit: str
    facts: InputFacts
    input: int
    embedded: bool
    notes: tuple[str, ...]
    fixed: int | None

    @classmethod
    def of(cls, subject: Subject, *, norm: Norm, examples: int, precision: Precision = "float32") -> Attacked:
        """Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        data, fixed = subject.examples[ROLE], subject.manifest.batch
        dtype = None if subject.black_box else getattr(torch, precision)
        own = subject.arguments(data, stop=examples, dtype=dtype)
        network = subject.model if dtype is None else in_precision(subject.model, dtype)
        given = outputs(network, own, fixed, Target.value())
        labels = None if data.labels is None else data.labels[:examples].to(torch.int64).cpu()
        made = cls(
            subject=subject, network=network, x=own[0], inputs=own, own=own, position=0, reads=_same, given=given,
            labels=labels, space=Space(norm=norm, low=own[0], high=own[0], unit=own[0]), unit="",
            facts=subject.facts.input, input=0, embedded=False, notes=(), fixed=fixed,
        )  # fmt: skip
        found = next((at for at, each in enumerate(own) if each.is_floating_point()), None)
        if found is None:
            return _of_tokens(made, data, norm)
        return _of_numbers(made, data, found, norm)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.x)

    def victim(self, read: Read, rows: int) -> Victim:
        """The network as attacks ask it; most `rows` in one call."""

        def network(made: Tensor, index: Tensor) -> Tensor:
            size = self.fixed or max(1, len(made))
            parts = [
                self._answer(made[start : start + size], index[start : start + size], read)
                for start in range(0, len(made), size)
            ]
            return torch.cat(parts)

        return Victim(network=network, black_box=self.subject.black_box, rows=rows)

    def called_with(self, made: Tensor, index: Tensor) -> Inputs:
        """What the network reads where x of these examples, int64 (rows,), is `made`, (rows, ...)."""
        at = index.to(self.x.device)
        like = self.inputs[self.position]
        return tuple(
            self.reads(made).to(like.dtype) if position == self.position else each[at]
            for position, each in enumerate(self.inputs)
        )

    def _answer(self, made: Tensor, index: Tensor, read: Read) -> Tensor:
        given = self.called_with(made, index)
        output = Target.value().read(self.network(*padded(given, self.fixed or 1)))[: len(made)]
        return read(output, given, index)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Around everything that is asked: no parameter asks for a gradient, and recurrent layers have one."""
        with frozen(self.network), differentiable_recurrence(self.network):
            yield

    def rows(self, memory_bytes: int) -> int:
        """How many rows go through the network at once: as many as half of the memory takes, and caches like."""
        each = self.row_bytes()
        wanted = min(MOST_ROWS, max(8, _BLOCK_BYTES // each), max(1, memory_bytes // 2 // (_KEPT * each)))
        return max(1, wanted // self.fixed) * self.fixed if self.fixed else wanted

    def row_bytes(self) -> int:
        """What all layers give for one row, bytes."""
        found = [each[:1].numel() * each.element_size() for each in (*self.inputs, self.given)]
        least = self.fixed or 1

        def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
            found.append(tensor.numel() * tensor.element_size() // least)
            return tensor

        with torch.no_grad(), Watch(self.network, see) as watch:
            watch.run(padded(tuple(each[:1].clone() for each in self.inputs), least))
        return max(1, sum(found))


def _same(rows: Tensor) -> Tensor:
    return rows.clone()  # a network that changes its input in place must not change what is attacked


# --- numbers


def _of_numbers(made: Attacked, data: Examples, found: int, norm: Norm) -> Attacked:
    subject, facts = made.subject, made.subject.declared[found]
    raw = (data.inputs, *data.further)[found][: len(made)].to(made.own[found].device, made.own[found].dtype)
    low, high = (along_channels(ends, facts, raw) for ends in (facts.bounds.low, facts.bounds.high))
    _refuse_outside(raw, low, high, facts)
    notes = []
    if found or len(made.own) > 1:
        notes.append("The first floating-point input is attacked; the other inputs stay as they are.")
    free, unit, said = None, torch.ones((), dtype=raw.dtype, device=raw.device), facts.unit
    if facts.kind not in RAW:
        unit, free, constant = _spread(subject, found, facts, raw)
        said = "standard deviations"
        if constant:
            notes.append(
                f"{constant} of {facts.channels} {_features(facts)} have the same value in all data: they have no"
                " standard deviation to count in, and stay as they are."
            )
    along = tuple(axis for axis, letter in enumerate(facts.layout) if letter in "DHWT")
    space = Space(norm=norm, low=low, high=high, unit=unit, free=free, along=along)
    return replace(
        made, x=torch.maximum(torch.minimum(raw, high), low), position=found, input=found, facts=facts, space=space,
        reads=lambda rows: subject.prepared(rows, found), unit=said, notes=tuple(notes),
    )  # fmt: skip


def _features(facts: InputFacts) -> str:
    return "channels" if "C" in facts.layout else "features"


def _spread(subject: Subject, found: int, facts: InputFacts, x: Tensor) -> tuple[Tensor, Tensor | None, int]:
    """(standard deviation per channel or feature, where x may change, how many have none)."""
    roles = [role for role in BACKGROUND if role in subject.examples]
    data = subject.examples[roles[0] if roles else ROLE]
    raw = (data.inputs, *data.further)[found].to(torch.float64)
    axes = [axis for axis in range(raw.ndim) if axis != facts.channel_axis + 1]
    spread = raw.std(axes, correction=0, keepdim=True)
    moves = spread > 1e-9 * spread.max().clamp(min=1e-30)
    if not bool(moves.any()):
        raise AnalysisError(
            "no-spread",
            "no feature differs between the examples, and epsilon counts their standard deviations",
            remedy="Give a dataset with more examples in the role background.",
        )
    unit = torch.where(moves, spread, 1.0).to(x)
    constant = int((~moves).sum())
    return unit, moves.to(x.device) if constant else None, constant


def _refuse_outside(raw: Tensor, low: Tensor, high: Tensor, facts: InputFacts) -> None:
    """Raises AnalysisError where an example is not one that an attack within the bounds could begin at."""
    slack = _OUTSIDE * (high - low)
    wrong = ~((raw >= low - slack) & (raw <= high + slack))  # also what is not a number
    if not bool(wrong.any()):
        return
    example, *place = wrong.nonzero()[0].tolist()
    value = float(raw[(example, *place)])
    least, most = (float(ends.expand_as(raw)[(example, *place)]) for ends in (low, high))
    outside = int(wrong.flatten(1).any(1).sum())
    name = facts.feature_names[place[facts.channel_axis]] if facts.feature_names else tuple(place)
    where = f"feature {name}" if len(place) == 1 or facts.feature_names else f"element {name}"
    raise AnalysisError(
        "bounds",
        f"{outside} of {len(raw)} examples lie outside the declared bounds: example {example} has {value:.6g} at"
        f" {where}, where {least:g} to {most:g} is declared; the data reach from {float(raw.min()):.6g} to"
        f" {float(raw.max()):.6g}",
        remedy="Declare the bounds of the raw values as the data have them (0 to 255 for 8-bit pictures) and how the"
        " network reads them (preprocessing), or send the data in the units that are declared.",
    )


# --- tokens


def _of_tokens(made: Attacked, data: Examples, norm: Norm) -> Attacked:
    """The embeddings of the first input of ids, in units of a token's mean norm."""
    subject = made.subject
    if subject.black_box:
        raise AnalysisError(
            "not-applicable",
            "the model reads ids and shows its outputs only: neither ids nor their embeddings can be moved a little",
            remedy="Send a .pt2; or ask for robustness_text, which changes words.",
        )
    names = tuple(further.name for further in subject.facts.further_inputs)
    starts = baselines_of(subject, data, made.own, "zero")
    into = entered(made.network, made.own, starts, rows=made.fixed, names=names)
    name, position = min(into.inputs.items(), key=lambda item: item[1])
    x = into.x[position].detach()
    kept = real(subject, made.own, into.entrances[name].input)
    free = kept.reshape(*kept.shape, *[1] * (x.ndim - kept.ndim)) if kept.shape == x.shape[: kept.ndim] else None
    length = x.norm(dim=-1)
    length = length[kept] if free is not None and length.shape == kept.shape else length
    unit = float(length.mean()) / (sqrt(x.shape[-1]) if norm == "linf" else 1.0)
    if not unit > 0:
        raise AnalysisError("not-applicable", "the embedding of these tokens is zero: nothing is relative to zero")
    reach = _FAR * unit
    space = Space(
        norm=norm, low=x.amin() - reach, high=x.amax() + reach, unit=x.new_tensor(unit),
        free=None if free is None or bool(free.all()) else free,
    )  # fmt: skip
    said = "root mean square of a token's embedding" if norm == "linf" else "norm of a token's embedding"
    notes = (
        "Diagnostic only: what is moved is what the embedding gives, and no text or ids need have such an embedding.",
    )
    return replace(
        made, network=into.model, x=x, inputs=into.x, position=position, space=space, unit=f"times the mean {said}",
        embedded=True, notes=notes,
    )  # fmt: skip


def elements(x: Tensor) -> int:
    """How many numbers an example has."""
    return prod(x.shape[1:])
