"""Which attack is run on one example, and with what?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workers.robustness.text.case import Case
from workers.robustness.text.chance import by_chance
from workers.robustness.text.found import Found
from workers.robustness.text.misspelt import misspelt
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.swaps import swaps
from workers.robustness.text.victim import Victim
from workers.robustness.text.words import Propose, of_words


def attacked(
    case: Case, victim: Victim, index: int, attack: str, seed: int, told: Callable[[], None]
) -> tuple[Found, bool]:  # fmt: skip
    """What an attack finds of an example, and whether as many drawn edits break it too (not counted as asked)."""
    propose = proposing(case.parameters, attack, seed)
    found = (
        swaps(case, victim, index, told)
        if propose is None
        else of_words(case, victim, index, attack, propose, told)
    )  # fmt: skip
    victim.whose()
    return found, by_chance(case, victim, found, propose, np.random.Generator(np.random.PCG64([seed, 1])))


def proposing(parameters: TextParameters, attack: str, seed: int) -> Propose | None:
    """What may stand in the place of a word; None where tokens are swapped."""
    if attack == "characters":
        return lambda word: misspelt(
            word, parameters.edits, parameters.tries, np.random.Generator(np.random.PCG64(seed))
        )  # fmt: skip
    if attack == "synonyms":
        known = synonyms(parameters)
        return lambda word: _as_written(word, known.get(word.casefold(), ()))[: parameters.tries]
    return None


def synonyms(parameters: TextParameters) -> dict[str, tuple[str, ...]]:
    """By word, whatever its case, what may stand for it."""
    made = dict[str, list[str]]()
    for each in parameters.synonyms:
        made.setdefault(each.one.casefold(), []).append(each.other)
        made.setdefault(each.other.casefold(), []).append(each.one)
    return {word: tuple(dict.fromkeys(others)) for word, others in made.items()}


def _as_written(word: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """With a capital where the word has one."""
    return tuple(each[:1].upper() + each[1:] if word[:1].isupper() else each for each in others)
