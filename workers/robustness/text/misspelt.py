"""How may one word be misspelt by one edit? Characters are mistaken (Gao et al. 2018, arXiv:1801.04354)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workers.robustness.text.parameters import EditName

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_CYRILLIC = "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455"
_ALIKE = dict(zip("aceopxyijs", _CYRILLIC, strict=True))
"""Latin letters, and the Cyrillic ones that look like them."""


def misspelt(word: str, edits: Sequence[EditName], most: int, draws: np.random.Generator) -> tuple[str, ...]:
    """At most `most` other spellings of `word`, none twice; about as many of each kind, drawn where too many."""
    kinds = [[each for each in dict.fromkeys(_EDITS[name](word)) if each != word] for name in edits]
    shuffled = [[kind[at] for at in draws.permutation(len(kind))] for kind in kinds]
    turns = (kind[turn] for turn in range(max(map(len, shuffled), default=0)) for kind in shuffled if turn < len(kind))
    return tuple(dict.fromkeys(turns))[:most]


def _swap(word: str) -> list[str]:
    return [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)]


def _drop(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(len(word))] if len(word) > 1 else []


def _insert(word: str) -> list[str]:
    return [word[:at] + letter + word[at:] for at in range(len(word) + 1) for letter in _LETTERS]


def _homoglyph(word: str) -> list[str]:
    return [word[:at] + _alike(one) + word[at + 1 :] for at, one in enumerate(word)]


def _alike(letter: str) -> str:
    other = _ALIKE.get(letter.lower(), letter)
    return other.upper() if letter.isupper() and other != letter else other


def _keyboard(word: str) -> list[str]:
    return [
        word[:at] + (near.upper() if one.isupper() else near) + word[at + 1 :]
        for at, one in enumerate(word)
        for near in _BESIDE.get(one.lower(), "")
    ]


def _case(word: str) -> list[str]:
    return [word.swapcase(), word.upper(), word.capitalize(), word.lower()]


def _whitespace(word: str) -> list[str]:
    return [f"{word[:at]} {word[at:]}" for at in range(1, len(word))]


_BESIDE = {
    letter: "".join(row[near] for near in (at - 1, at + 1) if 0 <= near < len(row))
    for row in _ROWS
    for at, letter in enumerate(row)
}
_EDITS: dict[EditName, Callable[[str], list[str]]] = {
    "swap": _swap, "drop": _drop, "insert": _insert, "homoglyph": _homoglyph, "keyboard": _keyboard, "case": _case,
    "whitespace": _whitespace,
}  # fmt: skip
