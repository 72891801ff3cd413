"""When does a control apply? A line of words about the subject, with not, and, or; nothing else can be said in it.

    family lime
    task classification and not tier minimal
    used layer_conductance or used integrated_gradients

`and` binds closer than `or`. Words: `task T`, `tier T`, `family F`, `used KIND`, `deployer`, `provider`.
"""

from collections.abc import Collection
from typing import get_args

from service.contracts.facts import Task

TIERS = frozenset({"high", "medium", "low"})
ROLES = frozenset({"deployer", "provider"})
TASKS = frozenset(get_args(Task))


class BadPredicate(ValueError):
    """A line that says nothing that can be decided; the message says which word."""


def facts(*, task: str, tier: str, role: str, kinds: Collection[str], families: Collection[str]) -> frozenset[str]:
    """What is true of a subject, in the words of predicates."""
    found = {f"task {task}", f"tier {tier}", role}
    return frozenset(found | {f"used {kind}" for kind in kinds} | {f"family {family}" for family in families})


def applies(text: str, true: Collection[str]) -> bool:
    """Whether a predicate holds; an empty one always does. Raises BadPredicate."""
    alternatives = _parsed(text)
    return not alternatives or any(
        all((word in true) is wanted for wanted, word in clauses) for clauses in alternatives
    )


def check(text: str, *, kinds: Collection[str], families: Collection[str]) -> None:
    """Raise BadPredicate where a word is not one that can be decided."""
    known = {
        **{f"task {task}": True for task in TASKS},
        **{f"tier {tier}": True for tier in TIERS},
        **{f"family {family}": True for family in families},
        **{f"used {kind}": True for kind in kinds},
        **dict.fromkeys(ROLES, True),
    }
    for clauses in _parsed(text):
        for _, word in clauses:
            if word not in known:
                raise BadPredicate(
                    f"{word!r} cannot be decided; there are task, tier, family, used, deployer, provider"
                )


def _parsed(text: str) -> list[list[tuple[bool, str]]]:
    """Alternatives of clauses: whether the word is to hold, and the word."""
    if not text.strip():
        return []
    return [[_clause(clause) for clause in part.split(" and ")] for part in f" {' '.join(text.split())} ".split(" or ")]


def _clause(clause: str) -> tuple[bool, str]:
    word = " ".join(clause.split())
    wanted = not word.startswith("not ")
    word = word.removeprefix("not ")
    if not word or len(word.split()) > 2:
        raise BadPredicate(f"{clause.strip()!r} is no word about a subject")
    return wanted, word
