"""How do people and systems misspell a text? Each corruption changes a share of its words, one edit in each.

What words are is what `\\w+` finds. A word that an edit cannot change (one letter cannot be swapped) is passed over.
Meaning is not verified.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import torch

from workers.corruption.spec import Corruption, ceiling

_WORD = re.compile(r"\w+")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MARKS = ",.;:!?"
_ALIKE = dict(zip("aceopxyijsABCEHIKMOPTXS", "асеорхуіјѕАВСЕНІКМОРТХЅ", strict=True))
_ODD = 0.5

Edit = Callable[[str, torch.Generator], str]
"""From a word to another one, or to itself where it cannot be changed."""


def edited(text: str, share: float, draws: torch.Generator, *, edit: Edit) -> str:
    """`text` with one edit in each of a share of its words, at least in one; more words hold all that fewer hold."""
    words = list(_WORD.finditer(text))
    made = [edit(word.group(), draws) for word in words]
    open_to = [at for at, word in enumerate(words) if made[at] != word.group()]
    order = torch.randperm(len(open_to), generator=draws).tolist()
    taken = {open_to[at] for at in order[: ceiling(share * len(words))]}
    parts, end = [], 0
    for at, word in enumerate(words):
        parts += [text[end : word.start()], made[at] if at in taken else word.group()]
        end = word.end()
    return "".join([*parts, text[end:]])


def swap(word: str, draws: torch.Generator) -> str:
    """Two neighbouring letters that differ change places."""
    places = [at for at in range(len(word) - 1) if word[at] != word[at + 1]]
    at = _one(places, draws)
    return word if at is None else word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def drop(word: str, draws: torch.Generator) -> str:
    """A letter is left out; one is always left."""
    at = _one(list(range(len(word))) if len(word) > 1 else [], draws)
    return word if at is None else word[:at] + word[at + 1 :]


def insert(word: str, draws: torch.Generator) -> str:
    """A letter from a to z comes in."""
    at, letter = _number(len(word) + 1, draws), _LETTERS[_number(len(_LETTERS), draws)]
    return word[:at] + letter + word[at:]


def keyboard(word: str, draws: torch.Generator) -> str:
    """A letter becomes a neighbour on its row of the keyboard (QWERTY)."""
    at = _one([at for at, one in enumerate(word) if one.lower() in _BESIDE], draws)
    if at is None:
        return word
    beside = _BESIDE[word[at].lower()]
    other = beside[_number(len(beside), draws)]
    return word[:at] + (other.upper() if word[at].isupper() else other) + word[at + 1 :]


def case(word: str, _: torch.Generator) -> str:
    """Small letters become capitals and the reverse."""
    return word.swapcase()


def homoglyph(word: str, draws: torch.Generator) -> str:
    """A Latin letter becomes the Cyrillic one that looks like it."""
    at = _one([at for at, one in enumerate(word) if one in _ALIKE], draws)
    return word if at is None else word[:at] + _ALIKE[word[at]] + word[at + 1 :]


def whitespace(word: str, draws: torch.Generator) -> str:
    """A space comes in between two letters."""
    at = _one(list(range(1, len(word))), draws)
    return word if at is None else f"{word[:at]} {word[at:]}"


def punctuation(word: str, draws: torch.Generator) -> str:
    """A mark comes in behind it."""
    return word + _MARKS[_number(len(_MARKS), draws)]


def _number(count: int, draws: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=draws))


def _one(places: list[int], draws: torch.Generator) -> int | None:
    return places[_number(len(places), draws)] if places else None


_BESIDE = {
    letter: [row[near] for near in (at - 1, at + 1) if 0 <= near < len(row)]
    for row in _ROWS
    for at, letter in enumerate(row)
}


def _of_words(name: str, group: str, title: str, edit: Edit) -> Corruption:
    return Corruption(
        name=name, group="typing" if group == "typing" else "form", title=title, strength="share of words",
        strengths=(0.05, 0.1, 0.2, 0.35, 0.5), apply=partial(edited, edit=edit),
    )  # fmt: skip


TEXT = (
    _of_words("letters_swapped", "typing", "letters swapped", swap),
    _of_words("letters_dropped", "typing", "letters dropped", drop),
    _of_words("letters_inserted", "typing", "letters inserted", insert),
    _of_words("keyboard", "typing", "neighbours on the keyboard", keyboard),
    _of_words("case", "form", "letter case", case),
    _of_words("homoglyphs", "form", "letters that look alike", homoglyph),
    _of_words("whitespace", "form", "spaces within words", whitespace),
    _of_words("punctuation", "form", "punctuation", punctuation),
)
