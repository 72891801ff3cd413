"""Which network, which examples, which corruptions, and what is read of the answers?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from service.contracts.outcome import NotApplicable
from workers.corruption.judge import Judge, judge_of
from workers.corruption.of_images import images
from workers.corruption.of_series import series
from workers.corruption.of_tables import TableSettings, refuse_other_tables, tables
from workers.corruption.of_texts import texts
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.source import Source
from workers.corruption.spec import Corruption
from workers.kind import AnalysisError
from workers.passes.asked import ROLE
from workers.subject.subject import Subject
from workers.sweep.block import padded
from workers.sweep.copies import in_precision
from workers.sweep.target import Target
from workers.sweep.watch import Watch

_READABLE = ("image", "video", "series", "table", "text")
_BLOCK_BYTES, _ON_DEVICE = 16 << 20, 512 << 20
LEAST_ROWS, MOST_ROWS = 8, 1024
_IN_FLIGHT = 10
"""Tensors of the largest layer's size that a forward pass without gradients takes at its peak, as measured for LIME."""


@dataclass(eq=False)
class Case:
    """A subject and what is asked of it. x: what the network reads of the clean examples, (n, ...) for each input.

    source: the examples, corrupted. clean: the outputs of the clean examples, (n, ...).
    """

    subject: Subject
    parameters: CorruptionParameters
    network: nn.Module
    x: tuple[Tensor, ...]
    kind: str
    source: Source
    clean: Tensor
    judge: Judge

    @classmethod
    def of(cls, subject: Subject, parameters: CorruptionParameters) -> Case:
        """Made once for each question. Raises AnalysisError, BadTarget; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        held = tuple((role, data.digest, id(data.inputs)) for role, data in sorted(subject.examples.items()))
        if (parameters, held) not in known:
            known[parameters, held] = cls._made(subject, parameters)
        return known[parameters, held]

    @classmethod
    def _made(cls, subject: Subject, parameters: CorruptionParameters) -> Case:
        data, stop = subject.examples[ROLE], parameters.examples
        dtype = getattr(torch, parameters.precision)
        raw = tuple(each[:stop] for each in (data.inputs, *data.further))
        x = subject.arguments(data, stop=stop, dtype=dtype)
        kind, source = _source(subject, parameters, raw, x)
        network = in_precision(subject.model, dtype)
        clean = _in_blocks(network, x, subject.manifest.batch, subject.manifest.batch or LEAST_ROWS)
        finite = torch.isfinite(clean).reshape(len(clean), -1).all(1)
        if not bool(finite.any()):
            raise AnalysisError(
                "not-finite",
                "the model gives NaN or infinity for every clean example",
                remedy="Check the preprocessing, or ask for float64.",
            )
        labels = None if data.labels is None else data.labels[:stop]
        judge = judge_of(subject, x, clean, labels)
        return cls(subject, parameters, network, x, kind, source, clean, judge)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.x[0])

    @property
    def corruptions(self) -> tuple[Corruption, ...]:
        """Those asked for that apply."""
        asked: tuple[str, ...] = self.parameters.corruptions
        return tuple(each for each in self.source.corruptions if not asked or each.name in asked)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of these inputs and answers, in sentences."""
        if self.kind != "text" or self.judge.form != "places":
            return self.source.notes
        return (
            *self.source.notes,
            "Answers are compared position by position, and an edit may move what is behind it.",
        )

    @property
    def missing(self) -> tuple[NotApplicable, ...]:
        """Those asked for that do not apply, each with its reason."""
        asked = self.parameters.corruptions
        known = {*(each.name for each in self.source.corruptions), *(each.subject for each in self.source.skipped)}
        others = tuple(
            NotApplicable(subject=name, because=f"it is not a corruption of input of kind {self.kind}")
            for name in asked
            if name not in known
        )
        return (*(each for each in self.source.skipped if not asked or each.subject in asked), *others)

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor:
        """Of any number of rows, in blocks of the one batch size where the network takes one only."""
        batch = self.subject.manifest.batch
        return _in_blocks(self.network, x, batch, batch or len(x[0]))

    def rows(self, memory_bytes: int) -> int:
        """Examples in one forward pass; it hangs on the network and the memory, never on a clock."""
        each = self.largest
        block = _BLOCK_BYTES if self.x[0].device.type == "cpu" else _ON_DEVICE
        wanted = self.parameters.rows or min(MOST_ROWS, max(LEAST_ROWS, block // each))
        wanted = max(1, min(wanted, memory_bytes // (_IN_FLIGHT * each)))
        batch = self.subject.manifest.batch
        return max(1, wanted // batch) * batch if batch else wanted

    def bytes(self, rows: int) -> int:
        """What a pass of so many rows takes at its peak, beside the network."""
        return _IN_FLIGHT * rows * self.largest

    @cached_property
    def largest(self) -> int:
        """Bytes of the largest tensor that goes in, is corrupted in float64, or is given by a layer, of one row."""
        made = self.subject.manifest.batch or 1
        found = [each[:1].numel() * 8 for each in (*self.x, self.clean)]

        def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
            found.append(tensor.numel() * tensor.element_size() // made)
            return tensor

        with torch.no_grad(), Watch(self.network, see) as watch:
            watch.run(padded(tuple(each[:1] for each in self.x), made))
        return max(1, *found)


_READY: WeakKeyDictionary[
    nn.Module, dict[tuple[CorruptionParameters, tuple[tuple[str, str, int], ...]], Case]
] = WeakKeyDictionary()  # fmt: skip


def _in_blocks(network: nn.Module, x: tuple[Tensor, ...], batch: int | None, rows: int) -> Tensor:
    """The output, (n, ...), without gradients, `rows` at a time, filled up where only one batch size is taken.

    Raises BadTarget where it holds no floating-point numbers.
    """
    found = []
    with torch.no_grad():
        for start in range(0, len(x[0]), rows):
            some = tuple(each[start : start + rows] for each in x)
            found.append(Target.value().read(network(*padded(some, batch or 1)))[: len(some[0])].clone())
    return torch.cat(found)


def _source(
    subject: Subject, parameters: CorruptionParameters, raw: tuple[Tensor, ...], x: tuple[Tensor, ...]
) -> tuple[str, Source]:
    """The kind of the first input that can be corrupted, and its source."""
    dtype = getattr(torch, parameters.precision)
    if subject.facts.input.kind == "text":
        return "text", texts(subject, subject.examples[ROLE], x)
    found = next((at for at, each in enumerate(subject.declared) if each.kind in _READABLE), None)
    if found is None:
        reads = ", ".join(dict.fromkeys(each.kind for each in subject.declared))
        raise AnalysisError(
            "not-applicable",
            f"the model reads {reads}; images, series, tables and texts can be corrupted",
            remedy="Submit the model with its tokenizer, so that the texts behind ids are known."
            if "tokens" in reads
            else "There are no corruptions of it.",
        )
    facts = subject.declared[found]
    if facts.kind == "table":
        refuse_other_tables(facts)
        settings = TableSettings(categories=parameters.categories, one_hot=parameters.one_hot)
        return "table", tables(subject, raw, found, dtype, settings)
    if facts.kind == "series":
        padding = parameters.padding_value if parameters.padding == "value" else None
        return "series", series(subject, raw, found, dtype, padding)
    return facts.kind, images(subject, raw, found, dtype)
