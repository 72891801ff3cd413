"""Which few tokens, swapped for others of the vocabulary, decide a text otherwise? HotFlip, by beam search.

Ebrahimi, Rao, Lowd and Dou 2018, arXiv:1712.06751, section 3: the gradient proposes, the network is asked. A text that
is not tokenised as what was proposed is no candidate: it is rejected, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.robustness.text.case import Case, Place
from workers.robustness.text.found import Change, Found
from workers.robustness.text.reading import Rows
from workers.robustness.text.victim import Slope, Victim

PATIENCE = 60
"""Proposals for one place that the tokenizer may reject before another place is gone on with."""

Swapped = tuple[tuple[int, int], ...]
"""(position, id) of each swap, by position."""


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    swapped: Swapped
    margin: float


def swaps(case: Case, victim: Victim, index: int, told: Callable[[], None]) -> Found:
    """Of one example. told: called before each step, from where it can be cancelled."""
    asked, made = victim.whose(), Found.none(case, index, "swaps")
    places, budget = dict(case.open_places(index)), made.most
    beam, seen = [_State((), float("inf"))], set[Swapped]()
    proposed = rejected = 0
    for _ in range(budget):
        told()
        if asked.forwards + len(beam) >= case.parameters.queries:
            break
        rows = case.with_ids(torch.stack([ids_of(case, index, each.swapped) for each in beam]), index)
        slopes = victim.gradients(rows, index)
        wanted, room = list[Swapped](), case.parameters.queries - asked.forwards
        for at, state in enumerate(beam):
            taken, of_place = 0, Counter[int]()
            for position, token in _proposals(case, index, state, tuple(places), slopes, at):
                swapped = tuple(sorted((*state.swapped, (position, token))))
                if swapped in seen or of_place[position] == case.parameters.per_token:
                    continue
                seen.add(swapped)
                proposed += 1
                if not survives(case, index, swapped):
                    rejected += 1
                    continue
                wanted.append(swapped)
                taken, of_place[position] = taken + 1, of_place[position] + 1
                if taken == case.parameters.tries or len(wanted) == room:
                    break
            if len(wanted) == room:
                break
        if not wanted:
            break
        answer = victim.answers(rows_of(case, index, wanted), index)
        order = sorted(range(len(wanted)), key=lambda k: (float(answer.margin[k]), k))
        broken = next((k for k in order if bool(answer.broken[k])), None)
        if broken is not None:
            made = _found(case, index, wanted[broken], made, int(answer.decided[broken]))
            break
        beam = [_State(wanted[k], float(answer.margin[k])) for k in order[: case.parameters.beam]]
    return made.asked(asked.forwards, asked.gradients, proposed, rejected)


def _proposals(
    case: Case, index: int, state: _State, places: tuple[int, ...], slopes: tuple[Slope, ...], at: int
) -> list[tuple[int, int]]:
    """(position, id), the largest fall of the margin first; more than are asked, since the tokenizer rejects some."""
    taken = {position for position, _ in state.swapped}
    free = [each for each in places if each not in taken]
    if not free:
        return []
    form = case.vocabulary.form
    ids = ids_of(case, index, state.swapped)[free].cpu()
    count = min(len(form), *(len(each.table) for each in slopes))
    gain = torch.zeros(len(free), count, dtype=slopes[0].table.dtype)
    for slope in slopes:
        by, table = slope.by[at, free].to(slope.table), slope.table
        own = (by * table[ids.to(by.device)]).sum(1, keepdim=True)
        gain += (own - by @ table[:count].T).cpu()
    others = (form[:count] == form[ids][:, None]) & (torch.arange(count) != ids[:, None])
    gain[~others] = -torch.inf
    each, tokens = gain.topk(min(PATIENCE + case.parameters.per_token, count), dim=1)
    flat = each.flatten()
    order = torch.argsort(flat, descending=True, stable=True)[: PATIENCE + 4 * case.parameters.tries]
    return [
        (free[int(k) // each.shape[1]], int(tokens.flatten()[k])) for k in order if float(flat[k]) > -float("inf")
    ]  # fmt: skip


def ids_of(case: Case, index: int, swapped: Swapped) -> Tensor:
    """The ids of an example with these swaps, (T,)."""
    made: Tensor = case.x[case.position][index].clone()
    for position, token in swapped:
        made[position] = token
    return made


def text_of(case: Case, index: int, swapped: Swapped) -> str:
    """The text of an example with these swaps; white space that a token holds stays."""
    assert case.texts is not None
    text, places = case.texts[index], dict(case.open_places(index))
    for position, token in sorted(swapped, reverse=True):
        place = places[position]
        assert place is not None
        own = text[place.start : place.end]
        space = own[: len(own) - len(own.lstrip())]
        text = text[: place.start] + space + case.vocabulary.written[token] + text[place.end :]
    return text


def survives(case: Case, index: int, swapped: Swapped) -> bool:
    """Whether the text with these swaps is tokenised as the ids with them."""
    if case.texts is None:
        return True
    again = case.encoded([text_of(case, index, swapped)], index)[case.position][0]
    return bool((again == ids_of(case, index, swapped)).all())


def rows_of(case: Case, index: int, wanted: list[Swapped]) -> Rows:
    """What the network reads; of texts, what their tokens are with their mask."""
    if case.texts is not None:
        return case.encoded([text_of(case, index, each) for each in wanted], index)
    return case.with_ids(torch.stack([ids_of(case, index, each) for each in wanted]), index)


def _found(case: Case, index: int, swapped: Swapped, made: Found, decided: int) -> Found:
    places = dict(case.open_places(index))
    own = case.x[case.position][index]
    changes = tuple(
        Change(*_worded(case, index, places[position], int(own[position]), token), position)
        for position, token in swapped
    )
    return made.breaking(
        changes, decided, text=None if case.texts is None else text_of(case, index, swapped),
        ids=ids_of(case, index, swapped),
    )  # fmt: skip


def _worded(case: Case, index: int, place: Place | None, before: int, after: int) -> tuple[str, str]:
    if place is None or case.texts is None:
        return f"id {before}", f"id {after}"
    return case.texts[index][place.start : place.end].strip(), case.vocabulary.written[after]
