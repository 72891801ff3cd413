"""Which units is a text made of, and what is left of it when some are taken away?

Words as lime 0.2.0.1 splits a text (`IndexedString`: at what is no letter, digit or low line), sentences, or the
tokenizer's own tokens. Units that read the same are one feature, or each occurrence is one of its own. What separates
units stays where it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["word", "token", "sentence"]
Shown = NDArray[np.bool_]
"""(samples, features): whether a feature is as in the text."""

NONE = -1
"""Stands for no feature."""

_BETWEEN = {
    "word": re.compile(r"(\W+)"),
    # Behind . ! ? or an ellipsis and what closes a quotation, where white space follows; behind a full stop of Chinese
    # and Japanese; between lines.
    "sentence": re.compile(r"(\s*\n\s*|(?<=[.!?…])\s+|(?<=[.!?…][\"'”’»)\]])\s+|(?<=[。！？])\s*)"),
}
_A_WORD = re.compile(r"\w")
_GOES_ON = re.compile(
    r"(?:(?:^|\W)(?:Dr|Drs|Mr|Mrs|Ms|Prof|St|Mt|Rev|Hon|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Fig|Figs|Eq|Eqs|Vol|Nr|vs|cf"
    r"|approx|ca|bzw|[eE]\.g|[iI]\.e|[zZ]\.\s?B|[dD]\.\s?h)"
    r"|(?:^|(?:^|[\s.])[A-Z]\.\s?|[\s(\"][A-Z][a-z]+\s|^[A-Z][a-z]+\s)[A-Z])\.$"
)
"""A sentence does not end in these: titles and short forms that are followed by what they belong to, and the initial of
a name, which begins a text or stands behind another initial or a name, as letters of "U.S." do too. Whatever may end a
sentence as well ("etc.", "Inc.", "No.", "p.m.") ends one here; no dictionary decides."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text, from character `start` to `end`; feature: which it is, or NONE."""

    text: str
    start: int
    end: int
    feature: int


@dataclass(frozen=True, slots=True)
class Units:
    """A text in stretches, in order, some of which are features.

    names: of the features; where each occurrence is one of its own, the second "good" is called "good (2)".
    """

    stretches: tuple[Stretch, ...]
    names: tuple[str, ...]

    @property
    def places(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Where each feature stands in the text: (start, end) of every occurrence."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.names]
        for each in self.stretches:
            if each.feature != NONE:
                found[each.feature].append((each.start, each.end))
        return tuple(map(tuple, found))

    def only(self, kept: Iterable[int]) -> Units:
        """These stretches alone are features, by their place among `stretches`; features are counted anew."""
        wanted, order = set(kept), dict[int, int]()
        made = []
        for at, each in enumerate(self.stretches):
            feature = order.setdefault(each.feature, len(order)) if at in wanted and each.feature != NONE else NONE
            made.append(Stretch(each.text, each.start, each.end, feature))
        return Units(tuple(made), tuple(self.names[each] for each in order))

    def texts(self, shown: Shown, mask: str | None) -> list[str]:
        """What is left for each sample: what is not shown is taken out, or `mask` stands in its place."""
        owner = np.array([each.feature for each in self.stretches])
        there = stands(shown, owner)
        words = np.array([each.text for each in self.stretches], dtype=object)
        if mask is None:
            return ["".join(words[row]) for row in there]
        return ["".join(np.where(row, words, mask)) for row in there]


def stands(shown: Shown, owner: NDArray[np.int64]) -> Shown:
    """(samples, n): whether what belongs to feature `owner` (n,) is there; what belongs to NONE always is."""
    return np.concatenate([shown, np.ones((len(shown), 1), dtype=np.bool_)], axis=1)[:, owner]


def units_of(text: str, unit: Literal["word", "sentence"], *, together: bool) -> Units:
    """The words or sentences of a text; together: equal ones are one feature."""
    split = _BETWEEN[unit].split(text)
    parts = [part for part in (split if unit == "word" else _rejoined(split)) if part]
    ends = np.cumsum([len(part) for part in parts]).tolist()
    spans = [(end - len(part), end) for part, end in zip(parts, ends, strict=True)]
    units = [at for at, part in enumerate(parts) if (_A_WORD.match if unit == "word" else _A_WORD.search)(part)]
    return _numbered(parts, spans, units, together=together)


def _rejoined(split: Sequence[str]) -> list[str]:
    """Sentences and what is between them, in turn; those that an abbreviation parted on a line are one again."""
    made = [split[0]]
    for between, sentence in zip(split[1::2], split[2::2], strict=True):
        if "\n" not in between and _GOES_ON.search(made[-1]):
            made[-1] += between + sentence
        else:
            made += [between, sentence]
    return made


def tokens_of(text: str, pieces: Sequence[tuple[str, int, int]], keys: Sequence[int], *, together: bool) -> Units:
    """The tokens of a text; each of them is a feature, what is between them none.

    pieces: as `Tokenizer.pieces` has them, without those that it adds. keys: their ids, by which two are equal.
    """
    parts, spans, units, at = list[str](), list[tuple[int, int]](), list[int](), 0
    for piece, start, end in pieces:
        if start > at:
            parts.append(text[at:start])
            spans.append((at, start))
        units.append(len(parts))
        own = start >= at and end > start
        parts.append(text[start:end] if own else piece)  # several tokens may stand for one character, or for a space
        spans.append((start, end))
        at = max(at, end)
    if at < len(text):
        parts.append(text[at:])
        spans.append((at, len(text)))
    return _numbered(parts, spans, units, together=together, keys=keys)


def _numbered(
    parts: Sequence[str], spans: Sequence[tuple[int, int]], units: Sequence[int], *, together: bool,
    keys: Sequence[object] | None = None,
) -> Units:  # fmt: skip
    """units: which of the parts are units. keys: by which two units are equal; their texts where not given."""
    keys = [parts[at] for at in units] if keys is None else keys
    feature, names, seen = dict[object, int](), list[str](), Counter[object]()
    often = Counter(keys)
    owner = [NONE] * len(parts)
    for at, key in zip(units, keys, strict=True):
        seen[key] += 1
        which = key if together else (key, seen[key])
        if which not in feature:
            feature[which] = len(names)
            apart = not together and often[key] > 1
            names.append(f"{parts[at]} ({seen[key]})" if apart else parts[at])
        owner[at] = feature[which]
    return Units(
        tuple(Stretch(part, *span, own) for part, span, own in zip(parts, spans, owner, strict=True)), tuple(names)
    )
