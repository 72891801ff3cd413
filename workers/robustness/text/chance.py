"""What do as many edits do that are drawn, and not searched for? The comparison without which success tells little."""

from __future__ import annotations

import numpy as np
import torch

from workers.robustness.text.case import Case
from workers.robustness.text.found import Found
from workers.robustness.text.swaps import Swapped, rows_of, survives
from workers.robustness.text.victim import Victim
from workers.robustness.text.words import Propose

_TRIES = 20


def by_chance(case: Case, victim: Victim, found: Found, propose: Propose | None, draws: np.random.Generator) -> bool:
    """Whether as many edits as `found` has, or else as may be, break the example where places and edits are drawn.

    propose: what may stand in the place of a word; None for swaps of tokens.
    """
    count = len(found.changes) or found.most
    if propose is None:
        swapped = _swapped(case, found.index, count, draws)
        rows = rows_of(case, found.index, [swapped])
    else:
        rows = case.encoded([_replaced(case, found.index, count, propose, draws)], found.index)
    return bool(victim.answers(rows, found.index).broken[0])


def _swapped(case: Case, index: int, count: int, draws: np.random.Generator) -> Swapped:
    """Drawn places, each with a drawn token of the same form, as far as some survive the tokenizer."""
    places, form = [at for at, _ in case.open_places(index)], case.vocabulary.form
    own = case.x[case.position][index]
    made: Swapped = ()
    for at in draws.permutation(len(places))[:count]:
        position = places[at]
        token = int(own[position])
        others = ((form == form[token]) & (torch.arange(len(form)) != token)).nonzero().flatten().numpy()
        for other in draws.permutation(others)[:_TRIES].tolist():
            wanted = tuple(sorted((*made, (position, other))))
            if survives(case, index, wanted):
                made = wanted
                break
    return made


def _replaced(case: Case, index: int, count: int, propose: Propose, draws: np.random.Generator) -> str:
    assert case.texts is not None
    text, places = case.texts[index], case.words(index)
    drawn = {int(at): propose(text[places[at].start : places[at].end]) for at in draws.permutation(len(places))}
    taken = [at for at, each in drawn.items() if each][:count]
    for at in sorted(taken, reverse=True):
        other = drawn[at][int(draws.integers(len(drawn[at])))]
        text = text[: places[at].start] + other + text[places[at].end :]
    return text
