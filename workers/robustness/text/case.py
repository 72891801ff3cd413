"""Which texts or ids are attacked, and what does the network read and answer?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from workers.kind import AnalysisError
from workers.passes.asked import ROLE
from workers.passes.positions import ids_of, real
from workers.robustness.text.intake import MOST_ROWS, in_blocks, labels_of, texts_of
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.reading import Answer, Reading, Rows, answered, reading_of
from workers.robustness.text.slopes import Slopes, slopes_of
from workers.robustness.text.victim import Victim
from workers.robustness.text.vocabulary import Vocabulary, vocabulary_of
from workers.subject.network import ONLY_OUTPUTS, Tokenizer
from workers.subject.subject import Subject
from workers.sweep.block import padded
from workers.sweep.copies import in_precision
from workers.sweep.refusals import SweepRefused
from workers.sweep.watch import Watch, differentiable_recurrence, frozen

WORD = re.compile(r"\w+")
_BLOCK_BYTES = 64 << 20
_KEPT = 4
"""Tensors as large as all layers' outputs together that a forward with its backward takes at its peak."""


@dataclass(frozen=True, slots=True)
class Place:
    """Characters start to end of a text."""

    start: int
    end: int


@dataclass(eq=False)
class Case:
    """x: what the network reads of the examples, (n, ...) for each input; position: the input that is ids. given: the
    outputs, (n, ...). decided: int64 (n,), the classes they mean; labels: those that are right, or decided. texts: of
    all n, None where only ids are known. aside: examples that are not attacked, with the reason; kept: the others.
    """

    subject: Subject
    parameters: TextParameters
    network: nn.Module
    x: Rows
    position: int
    given: Tensor
    reading: Reading
    decided: Tensor
    labels: Tensor
    labelled: bool
    texts: tuple[str, ...] | None
    kept: tuple[int, ...]
    aside: tuple[tuple[int, str], ...]
    _open: dict[int, tuple[tuple[int, Place | None], ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, subject: Subject, parameters: TextParameters) -> Case:
        """Made once for each question. Raises AnalysisError, BadTarget; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        held = tuple((role, data.digest, id(data.inputs)) for role, data in sorted(subject.examples.items()))
        if (parameters, held) not in known:
            known[parameters, held] = cls._made(subject, parameters)
        return known[parameters, held]

    @classmethod
    def _made(cls, subject: Subject, parameters: TextParameters) -> Case:
        data, stop = subject.examples[ROLE], parameters.examples
        dtype = None if subject.black_box else getattr(torch, parameters.precision)
        x = subject.arguments(data, stop=stop, dtype=dtype)
        found = ids_of(subject, x) if subject.declared[0].kind in ("text", "tokens") else ()
        if not found or x[found[0]].ndim != 2:
            reads = ", ".join(f"{each.kind} {each.layout}" for each in subject.declared)
            raise AnalysisError("not-applicable", f"the model reads {reads}: its first input is no text and no row of"
                                " ids", remedy="Ask for robustness, or robustness_tabular.")  # fmt: skip
        network = subject.model if dtype is None else in_precision(subject.model, dtype)
        given = in_blocks(network, x, subject.manifest.batch)
        reading = reading_of(subject, given)
        scores = reading.scores(given, x)
        labels = labels_of(reading, scores, None if data.labels is None else data.labels[: len(given)])
        texts = texts_of(subject, x, None if data.texts is None else data.texts[: len(given)])
        made = cls(
            subject=subject, parameters=parameters, network=network, x=x, position=found[0], given=given,
            reading=reading, decided=scores.argmax(1).cpu(),
            labels=scores.argmax(1).cpu() if labels is None else labels,
            labelled=labels is not None, texts=texts, kept=(), aside=(),
        )  # fmt: skip
        finite = torch.isfinite(scores).all(1).tolist()
        made.aside = tuple((at, why) for at in range(len(given)) if (why := made._because(at, finite[at])))
        made.kept = tuple(at for at in range(len(given)) if at not in dict(made.aside))
        if not made.kept:
            raise AnalysisError(
                "nothing-to-attack",
                f"none of the {len(given)} examples can be attacked: example 0, because {made.aside[0][1]}",
                remedy="Give texts with words, of which the model gives finite outputs.",
            )
        return made

    def _because(self, index: int, finite: bool) -> str:
        """Why an example cannot be attacked; empty where it can."""
        if self.texts is not None and not self.words(index):
            return "its text has no word that the model reads and that may be changed"
        if self.texts is None and not self.open_places(index):
            return "it holds padding and untouched ids alone"
        return "" if finite else "the model's output for it is not finite"

    @property
    def length(self) -> int:
        """Tokens that the network reads of an example."""
        return int(self.x[self.position].shape[1])

    @property
    def tokenizer(self) -> Tokenizer:
        """Of texts. Raises ValueError where there are none."""
        if self.subject.tokenizer is None:
            raise ValueError("there is no tokenizer")
        return self.subject.tokenizer

    def own(self, index: int, count: int = 1) -> Rows:
        """What the network reads of an example, `count` times."""
        return tuple(each[index : index + 1].expand(count, *each.shape[1:]) for each in self.x)

    def encoded(self, texts: Sequence[str], index: int) -> Rows:
        """What the network reads where these stand in the place of the text of an example."""
        given, own = self.tokenizer.encode(texts, self.length), self.own(index, len(texts))
        return tuple(
            given[at].to(each.device, each.dtype) if at < len(given) else each for at, each in enumerate(own)
        )  # fmt: skip

    def with_ids(self, ids: Tensor, index: int) -> Rows:
        """What the network reads where ids (rows, T) stand in the place of those of an example."""
        own = self.own(index, len(ids))
        return tuple(ids.to(each) if at == self.position else each for at, each in enumerate(own))

    def words(self, index: int) -> tuple[Place, ...]:
        """The words of a text that the network reads whole and that may be changed."""
        assert self.texts is not None
        text, end = self.texts[index], self._read(index)
        never = {each.casefold() for each in self.parameters.untouched}
        return tuple(
            Place(*each.span())
            for each in WORD.finditer(text)
            if each.end() <= end and each.group().casefold() not in never
        )  # fmt: skip

    def all_words(self, index: int) -> int:
        """How many words of a text the network reads."""
        assert self.texts is not None
        return sum(each.end() <= self._read(index) for each in WORD.finditer(self.texts[index]))

    def _read(self, index: int) -> int:
        assert self.texts is not None
        return max((end for _, _, end in self.tokenizer.pieces(self.texts[index], self.length)), default=0)

    def tokens(self, index: int) -> int:
        """How many tokens of an example are no padding and, of a text, none that the tokenizer adds."""
        if self.texts is None:
            return int(real(self.subject, self.x, self.position)[index].sum())
        return sum(end > start for _, start, end in self.tokenizer.pieces(self.texts[index], self.length))

    def open_places(self, index: int) -> tuple[tuple[int, Place | None], ...]:
        """The positions whose ids may be swapped, and the characters that each stands for where there is a text."""
        if index not in self._open:
            self._open[index] = self._open_places(index)
        return self._open[index]

    def _open_places(self, index: int) -> tuple[tuple[int, Place | None], ...]:
        ids = self.x[self.position][index].tolist()
        if self.texts is None:
            there, never = real(self.subject, self.x, self.position)[index].tolist(), set(self.parameters.untouched_ids)
            return tuple(
                (at, None)
                for at, each in enumerate(ids)
                if there[at] and each not in never and each != self.subject.pad
            )  # fmt: skip
        words, form = self.words(index), self.vocabulary.form
        pieces = self.tokenizer.pieces(self.texts[index], self.length)
        return tuple(
            (at, Place(start, end))
            for at, (_, start, end) in enumerate(pieces)
            if end > start and ids[at] < len(form) and int(form[ids[at]]) >= 0
            and any(start < word.end and word.start < end for word in words)
        )  # fmt: skip

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What ids may be put in. Raises AnalysisError where that cannot be told."""
        if self.texts is not None:
            return vocabulary_of(self.tokenizer)
        bounds = self.subject.declared[self.position].bounds if self.position < len(self.subject.declared) else None
        high = int(max(bounds.high)) if bounds else int(self.x[self.position].max())
        low = int(min(bounds.low)) if bounds else 0
        form = torch.full((high + 1,), -1, dtype=torch.int64)
        form[max(0, low) :] = 0
        for never in (*self.parameters.untouched_ids, *(() if self.subject.pad is None else (self.subject.pad,))):
            if never <= high:
                form[never] = -1
        return Vocabulary(tuple(map(str, range(high + 1))), form)

    @cached_property
    def unread(self) -> dict[str, str]:
        """Attacks asked for that cannot be run, each with the reason."""
        missing = {}
        if self.texts is None:
            why = "the texts behind the ids, or the model's tokenizer, are not known"
            missing = dict.fromkeys(("characters", "synonyms"), why)
        elif not self.parameters.synonyms:
            missing["synonyms"] = "no pair of words was given in `synonyms`"
        elif not self._has_synonyms:
            missing["synonyms"] = "no text holds a word of the pairs in `synonyms`"
        if self.subject.black_box:
            missing["swaps"] = f"they need gradients, and {ONLY_OUTPUTS}"
        else:
            try:
                self._slopes.check()
                _ = self.vocabulary
            except (AnalysisError, SweepRefused) as refused:
                missing["swaps"] = str(refused)
        return {name: missing[name] for name in self.parameters.attacks if name in missing}

    @property
    def _has_synonyms(self) -> bool:
        known = {each.casefold() for pair in self.parameters.synonyms for each in (pair.one, pair.other)}
        return any(
            self.texts[at][word.start : word.end].casefold() in known
            for at in self.kept
            if self.texts is not None
            for word in self.words(at)
        )

    @property
    def attacks(self) -> tuple[str, ...]:
        """Those asked for that can be run."""
        return tuple(each for each in self.parameters.attacks if each not in self.unread)

    @cached_property
    def _slopes(self) -> Slopes:
        return slopes_of(self.subject, self.network, self.x, self.position)

    def victim(self, rows: int) -> Victim:
        """The network as attacks ask it."""

        def read(given: Rows, index: int) -> Answer:
            with torch.no_grad():
                output = in_blocks(self.network, given, self.subject.manifest.batch)
            made = answered(self.reading.scores(output, given), int(self.labels[index]))
            return Answer(*(each.cpu() for each in made))

        slopes = self._slopes if "swaps" in self.attacks else None
        if slopes is None:
            return Victim(read=read, rows=rows)
        return Victim(
            read=read, rows=rows,
            slopes=lambda given, index: slopes.of(given, self.reading, int(self.labels[index])),
        )  # fmt: skip

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Around everything that is asked: no parameter asks for a gradient, and recurrent layers have one."""
        with frozen(self.network), differentiable_recurrence(self.network):
            yield

    def rows(self, memory_bytes: int) -> int:
        """Rows in one forward pass; it hangs on the network and the memory, never on a clock."""
        each = self.row_bytes
        wanted = self.parameters.rows or min(MOST_ROWS, max(8, _BLOCK_BYTES // each))
        wanted = max(1, min(wanted, memory_bytes // 2 // (_KEPT * each)))
        fixed = self.subject.manifest.batch
        return max(1, wanted // fixed) * fixed if fixed else wanted

    @property
    def row_bytes(self) -> int:
        """What all layers give for one row, bytes."""
        return sum(self._given_bytes)

    @property
    def largest(self) -> int:
        """Of what goes in and what layers give for one row, the largest tensor, bytes."""
        return max(self._given_bytes)

    @cached_property
    def _given_bytes(self) -> tuple[int, ...]:
        found = [each[:1].numel() * each.element_size() for each in (*self.x, self.given)]
        least = self.subject.manifest.batch or 1

        def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
            found.append(tensor.numel() * tensor.element_size() // least)
            return tensor

        with torch.no_grad(), Watch(self.network, see) as watch:
            watch.run(padded(tuple(each[:1].clone() for each in self.x), least))
        return (1, *found)


_READY: WeakKeyDictionary[
    nn.Module, dict[tuple[TextParameters, tuple[tuple[str, str, int], ...]], Case]
] = WeakKeyDictionary()  # fmt: skip
