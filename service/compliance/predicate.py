"""When does a control apply? A line of words about the subject, with not, and, or, ( ); nothing else can be said in it.

    family lime
    task classification and not tier low
    deployer and (jurisdiction EU or jurisdiction UK)
    used layer_conductance or layer recurrent

`not` binds closest, then `and`, then `or`. Words: `task T`, `tier T`, `family F` and `used KIND` (ever asked for of the
model), `layer L` (found when it was inspected), `jurisdiction J`, `deployer`, `provider`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from service.contracts.facts import Task
from service.contracts.policies import Jurisdiction, Role, Tier

ROLES = frozenset({"deployer", "provider"})
LAYERS = {
    "attention": re.compile(r"attention", re.IGNORECASE),
    "convolution": re.compile(r"^(Lazy)?Conv"),
    "dropout": re.compile(r"Dropout"),
    "embedding": re.compile(r"Embedding"),
    "gated": re.compile(r"^(GLU|GELU|SiLU|Mish|Hardswish|GRU|LSTM)"),
    "linear": re.compile(r"Linear$"),
    "normalisation": re.compile(r"Norm"),
    "recurrent": re.compile(r"^(RNN|LSTM|GRU)"),
    "relu": re.compile(r"ReLU"),
}
"""Sorts of layers, by the name of their type as inspection shows it."""
_PART = re.compile(r"[()]|[^\s()]+")
_JOINING = frozenset({"and", "or", "not", "(", ")"})
_DEEPEST = 32


class BadPredicate(ValueError):
    """A line that says nothing that can be decided; the message says which word."""


@dataclass(frozen=True, slots=True)
class Words:
    """The kinds of analysis and their families that a predicate may name."""

    kinds: Collection[str]
    families: Collection[str]


def facts(
    *,
    task: str,
    tier: str,
    role: Role,
    kinds: Iterable[str],
    families: Iterable[str],
    layers: Iterable[str] = (),
    jurisdictions: Iterable[str] = (),
) -> frozenset[str]:
    """What is true of a subject, in the words of predicates. `layers`: names of the types of its layers."""
    types = {each.rpartition(".")[2] for each in layers}
    sorts = {name for name, pattern in LAYERS.items() if any(pattern.search(each) for each in types)}
    named = {"family": families, "used": kinds, "layer": sorts, "jurisdiction": jurisdictions}
    found = {f"{word} {name}" for word, names in named.items() for name in names}
    return frozenset(found | {f"task {task}", f"tier {tier}"} | (ROLES if role == "both" else {role}))


def applies(text: str, true: Collection[str]) -> bool:
    """Whether a predicate holds; an empty one always does. Raises BadPredicate for a line that cannot be read."""
    return not text.strip() or _Reader(text, lambda word: word in true).whole()


def check(text: str, words: Words) -> None:
    """Raise BadPredicate where a line cannot be read, or a word of it cannot be decided."""
    named: dict[str, Collection[str]] = {
        "task": get_args(Task),
        "tier": get_args(Tier),
        "family": words.families,
        "used": words.kinds,
        "layer": LAYERS,
        "jurisdiction": get_args(Jurisdiction),
    }

    def known(word: str) -> bool:
        first, _, second = word.partition(" ")
        if word in ROLES or second in named.get(first, ()):
            return True
        if first in named:
            raise BadPredicate(f"{second!r} is no {first}: {', '.join(sorted(named[first]))}")
        raise BadPredicate(f"{word!r} cannot be decided; there are {', '.join((*named, *sorted(ROLES)))}")

    if text.strip():
        _Reader(text, known).whole()


class _Reader:
    """Reads a line by recursive descent; every word of it is looked up, whatever the others say."""

    def __init__(self, text: str, holds: Callable[[str], bool]) -> None:
        self._parts: Iterator[str] = iter(_PART.findall(text))
        self._next = next(self._parts, None)
        self._holds, self._depth = holds, 0

    def whole(self) -> bool:
        found = self._any()
        if self._next is not None:
            raise BadPredicate(f"{self._next!r} stands where and, or, or the end is expected")
        return found

    def _take(self) -> str | None:
        taken, self._next = self._next, next(self._parts, None)
        return taken

    def _any(self) -> bool:
        found = self._all()
        while self._next == "or":
            self._take()
            found = self._all() or found
        return found

    def _all(self) -> bool:
        found = self._one()
        while self._next == "and":
            self._take()
            found = self._one() and found
        return found

    def _one(self) -> bool:
        word = self._take()
        if word in {"not", "("}:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise BadPredicate(f"it is nested more than {_DEEPEST} levels deep")
            found = not self._one() if word == "not" else self._closed()
            self._depth -= 1
            return found
        if word is None or word in _JOINING:
            raise BadPredicate(f"{'the end' if word is None else repr(word)} stands where a word is expected")
        if word not in ROLES and self._next is not None and self._next not in _JOINING:
            word = f"{word} {self._take()}"
        return self._holds(word)

    def _closed(self) -> bool:
        found = self._any()
        if self._take() != ")":
            raise BadPredicate("a ( has no )")
        return found
