"""Which few words, misspelt or replaced, decide a text otherwise? Greedy, by how much the model misses each word.

The order is that of deletion (Jin et al. 2020, arXiv:1907.11932, equation 2; the search of Gao et al. 2018,
arXiv:1801.04354). It asks for outputs alone. A candidate that the network reads as the same ids is rejected unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from workers.robustness.text.case import Case, Place
from workers.robustness.text.found import Change, Found
from workers.robustness.text.reading import Answer
from workers.robustness.text.victim import Victim

Propose = Callable[[str], tuple[str, ...]]
"""From a word to what may stand in its place."""

Replaced = Mapping[int, str]
"""By the number of a word what stands in its place."""


def of_words(
    case: Case, victim: Victim, index: int, attack: str, propose: Propose, told: Callable[[], None]
) -> Found:  # fmt: skip
    """Of one example. told: called before each step, from where it can be cancelled."""
    asked, search = victim.whose(), _Search(case, victim, index)
    made, places = Found.none(case, index, attack), case.words(index)
    options = {at: propose(search.word(at)) for at in range(len(places))}
    open_to = [at for at, each in options.items() if each]
    told()
    missed = search.missed(open_to[: case.parameters.queries - 1]) if open_to else {}
    replaced, margin, decided = dict[int, str](), float("inf"), -1
    for at in sorted(missed, key=lambda each: (missed[each], each)):
        told()
        room = case.parameters.queries - asked.forwards
        if len(replaced) == made.most or room <= 0:
            break
        wanted, answer = search.ask([{**replaced, at: each} for each in options[at]], room)
        if not wanted:
            continue
        best = int(answer.margin.argmin())
        if bool(answer.broken.any()):
            best = int(torch.where(answer.broken, answer.margin, torch.inf).argmin())
        if bool(answer.broken[best]):
            replaced, decided = dict(wanted[best]), int(answer.decided[best])
            break
        if float(answer.margin[best]) < min(margin, search.own):
            replaced, margin = dict(wanted[best]), float(answer.margin[best])
    if decided >= 0:
        made = _found(search, made, *search.fewer(replaced, decided, case.parameters.queries - asked.forwards))
    return made.asked(asked.forwards, asked.gradients, search.proposed, search.rejected)


def _found(search: _Search, made: Found, replaced: Replaced, decided: int) -> Found:
    text = search.text(replaced)
    changes = tuple(Change(search.word(at), replaced[at], at) for at in sorted(replaced))
    ids: Tensor = search.case.encoded([text], search.index)[search.case.position][0]
    return made.breaking(changes, decided, text=text, ids=ids)


class _Search:
    """One text, its words, and what the network said of it as it is."""

    def __init__(self, case: Case, victim: Victim, index: int) -> None:
        self.case, self.victim, self.index = case, victim, index
        self.places: tuple[Place, ...] = case.words(index)
        self.proposed = self.rejected = 0
        self.own = float("inf")

    def word(self, at: int) -> str:
        """As it reads."""
        assert self.case.texts is not None
        return self.case.texts[self.index][self.places[at].start : self.places[at].end]

    def text(self, replaced: Replaced) -> str:
        """The text with these words replaced."""
        assert self.case.texts is not None
        text = self.case.texts[self.index]
        for at in sorted(replaced, reverse=True):
            text = text[: self.places[at].start] + replaced[at] + text[self.places[at].end :]
        return text

    def missed(self, open_to: list[int]) -> dict[int, float]:
        """The margin that is left without each of these words; also asks for the text as it is."""
        texts = [self.text({}), *(self.text({at: ""}) for at in open_to)]
        margin = self.victim.answers(self.case.encoded(texts, self.index), self.index).margin.tolist()
        self.own = margin[0]
        return dict(zip(open_to, margin[1:], strict=True))

    def ask(self, wanted: list[dict[int, str]], room: int) -> tuple[list[dict[int, str]], Answer]:
        """Those that the network reads otherwise than the text as it is, and what it says of them."""
        rows = self.case.encoded([self.text(each) for each in wanted], self.index)
        own = self.case.own(self.index)
        other = torch.stack(
            [(ours != theirs).reshape(len(ours), -1).any(1) for ours, theirs in zip(rows, own, strict=True)]
        ).any(0)  # fmt: skip
        self.proposed += len(wanted)
        self.rejected += int((~other).sum())
        kept = other.nonzero().flatten()[:room]
        if not len(kept):
            return [], Answer(*(torch.empty(0) for _ in range(3)))
        answer = self.victim.answers(tuple(each[kept] for each in rows), self.index)
        return [wanted[at] for at in kept.tolist()], answer

    def fewer(self, replaced: dict[int, str], decided: int, room: int) -> tuple[dict[int, str], int]:
        """Without the changes that are not needed, as far as the room for questions goes."""
        while 1 < len(replaced) <= room:
            without = [{at: to for at, to in replaced.items() if at != each} for each in sorted(replaced)]
            texts = [self.text(each) for each in without]
            answer = self.victim.answers(self.case.encoded(texts, self.index), self.index)
            room -= len(without)
            if not bool(answer.broken.any()):
                break
            best = int(torch.where(answer.broken, answer.margin, torch.inf).argmin())
            replaced, decided = without[best], int(answer.decided[best])
        return replaced, decided
