"""Do the attacks find what is known to be there, and nothing where nothing is?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import torch
from safetensors.torch import save
from torch import Tensor

from service.contracts.outcome import ControlRun
from workers.kind import Context
from workers.numerics.determinism import seed_for
from workers.recheck.texts import recheck_texts
from workers.robustness.text.case import Case
from workers.robustness.text.compute import REFUSED
from workers.robustness.text.found import Found
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.reading import Answer, Rows, answered
from workers.robustness.text.rechecked import stored
from workers.robustness.text.search import attacked, proposing
from workers.robustness.text.swaps import PATIENCE, survives
from workers.robustness.text.victim import Slope, Victim
from workers.subject.subject import Subject

CONTROL_EXAMPLES = 4
_HALF, _UNLIKE = 0.5, 1000

PLANTED = ("one planted word", "Is a model that looks at one word broken by changing that word, and no other?")
CONSTANT = ("a constant model", "Is a model that gives one answer to everything never broken?")
UNCHANGED = ("texts as they are", "Does the independent check refuse every text that was not changed?")

Observed = tuple[str, bool | None]


def run(which: tuple[str, str], subject: Subject, parameters: TextParameters, context: Context) -> ControlRun:
    """One of `RUNS`."""
    expected, check = RUNS[which]
    try:
        observed, passed = check(Case.of(subject, parameters), context)
    except REFUSED as refused:
        observed, passed = f"not applicable, because {refused}", None
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


# --- a model of one id: it decides for its label while that id is there


def _counting(case: Case, index: int, planted: int) -> Victim:
    """The margin is how often the id is read, less a half; its embedding is 1, and that of others less the higher."""
    count = max(len(case.vocabulary), int(case.x[case.position].max()) + 1)
    table = -torch.arange(count)[:, None] / (_UNLIKE * count)
    table[planted] = 1.0
    most = int((case.x[case.position][index] == planted).sum()) - _HALF

    def read(rows: Rows, _index: int) -> Answer:
        ids = rows[case.position]
        kept = (ids == planted).sum(1).double() - most
        return answered(torch.stack([kept, torch.zeros_like(kept)], dim=1).cpu(), 0)

    def slopes(rows: Rows, _index: int) -> tuple[Slope, ...]:
        return (Slope(torch.ones(*rows[case.position].shape, 1), table),)

    return Victim(read=read, slopes=slopes)


def _planted(case: Case, context: Context) -> Observed:
    """Of each example the first id that occurs once and may be changed by the attack."""
    hits, tried, told = 0, 0, list[str]()
    for attack in case.attacks:
        own = 0
        for index in case.kept[:CONTROL_EXAMPLES]:
            place = _once(case, attack, index, context)
            if place is None:
                continue
            planted = int(case.x[case.position][index][place])
            victim = _counting(case, index, planted)
            found, _ = attacked(case, victim, index, attack, seed_for(context.digest, index), context_told(context))
            tried += 1
            own += found.broken and _is(case, index, found, place)
        hits += own
        told.append(f"{attack}: {own}")
    if not tried:
        return "not applicable, because no example has a word or id that occurs once and may be changed", None
    return f"{hits} of {tried} broken by the planted word alone ({', '.join(told)})", hits == tried


def context_told(context: Context) -> Callable[[], None]:
    """Says that controls are run."""
    return lambda: context.progress(1.0, "controls")


def _once(case: Case, attack: str, index: int, context: Context) -> int | None:
    """The position of an id that occurs once, and that the attack can take away by one change."""
    often = Counter(case.x[case.position][index].tolist())
    if attack == "swaps":
        once = [at for at, _ in case.open_places(index) if often[_id(case, index, at)] == 1]
        return next((at for at in once if _yields(case, index, at)), None)
    propose = proposing(case.parameters, attack, seed_for(context.digest, index))
    assert propose is not None
    assert case.texts is not None
    text = case.texts[index]
    for at, (_, start, end) in enumerate(case.tokenizer.pieces(text, case.length)):
        word = next((each for each in case.words(index) if each.start <= start < end <= each.end), None)
        if word is None or often[_id(case, index, at)] != 1:
            continue
        others = [f"{text[: word.start]}{each}{text[word.end :]}" for each in propose(text[word.start : word.end])]
        if not others:
            continue
        ids = case.encoded(others, index)[case.position]
        if bool((ids != _id(case, index, at)).all(1).any()):
            return at
    return None


def _yields(case: Case, index: int, at: int) -> bool:
    """Whether some of the tokens that would be proposed first survive the tokenizer there."""
    form, own = case.vocabulary.form, _id(case, index, at)
    others = [each for each in (form == form[own]).nonzero().flatten().tolist() if each != own]
    return any(survives(case, index, ((at, each),)) for each in others[-PATIENCE:])


def _id(case: Case, index: int, at: int) -> int:
    return int(case.x[case.position][index][at])


def _is(case: Case, index: int, found: Found, place: int) -> bool:
    """Whether one thing changed, and that is what stands at the position."""
    if len(found.changes) != 1:
        return False
    (change,) = found.changes
    if found.attack == "swaps":
        return change.place == place
    assert case.texts is not None
    _, start, _ = case.tokenizer.pieces(case.texts[index], case.length)[place]
    word = case.words(index)[change.place]
    return word.start <= start < word.end


# --- a model that gives one answer


def _constant(case: Case, context: Context) -> Observed:
    broken = tried = 0
    for attack in case.attacks:
        for index in case.kept[:CONTROL_EXAMPLES]:
            victim = _counting(case, index, _id(case, index, 0))
            victim.read = _one_answer
            victim.slopes = lambda rows, _index: (
                Slope(torch.zeros(*rows[case.position].shape, 1), torch.ones(len(case.vocabulary), 1)),
            )  # fmt: skip
            found, drawn = attacked(case, victim, index, attack, seed_for(context.digest, index), context_told(context))
            tried, broken = tried + 1, broken + (found.broken or drawn)
    return f"{broken} of {tried} broken", broken == 0


def _one_answer(rows: Rows, _index: int) -> Answer:
    scores: Tensor = torch.zeros(len(rows[0]), 2)
    scores[:, 0] = 1.0
    return answered(scores, 0)


# --- texts that were not changed


def _unchanged(case: Case, _context: Context) -> Observed:
    few = case.kept[:CONTROL_EXAMPLES]
    claims = [
        replace(
            Found.none(case, index, case.attacks[0]), decided=0, text=None if case.texts is None else case.texts[index],
            ids=tuple(case.x[case.position][index].tolist()),
        )
        for index in few
    ]  # fmt: skip
    checked = recheck_texts(case.subject, save(stored(case, claims)), position=case.position)
    return f"{len(checked.refused)} of {checked.n} refused", len(checked.refused) == checked.n


RUNS: dict[tuple[str, str], tuple[str, Callable[[Case, Context], Observed]]] = {
    PLANTED: ("every example broken by one change, of the planted word", _planted),
    CONSTANT: ("no example broken", _constant),
    UNCHANGED: ("every one refused", _unchanged),
}
