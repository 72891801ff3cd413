"""What does the outcome say of what all attacks found, example by example?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.contracts.outcome import NotApplicable
from workers.kind import Computed, Context, Partial
from workers.numerics.determinism import seed_for
from workers.numerics.intervals import bootstrap, wilson
from workers.passes.asked import ROLE
from workers.robustness.text import outcome as told
from workers.robustness.text.case import WORD, Case
from workers.robustness.text.findings import findings
from workers.robustness.text.found import Found
from workers.robustness.text.outcome import Average, TextOutcome
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.pictures import pictures
from workers.robustness.text.rechecked import rechecked, stored
from workers.robustness.text.vocabulary import listed
from workers.subject.subject import Subject

_MOST_ASIDE, _MOST_REFUSED, _MOST_FRAGILE = 1000, 100, 200
_LONG, _CELL = 4000, 600


def merge(
    subject: Subject, parameters: TextParameters, partials: Sequence[Partial], context: Context
) -> Computed[TextOutcome]:
    """The outcome, with what it rests on."""
    (partial,) = partials
    case, values = Case.of(subject, parameters), partial.values
    found, drawn = _found(values)
    right = int(partial.arrays["clean"].sum())
    broken = [each for each in found if each.broken]
    fallen = {each.index for each in broken}
    shown = _least(broken)[: parameters.shown]
    drawings = pictures(case, shown)
    confirmed = rechecked(case, broken)
    n = len(case.kept)
    outcome = TextOutcome(
        labelled=case.labelled, reading=case.reading.form, of_texts=case.texts is not None,
        black_box=subject.black_box, share=parameters.share, examples=n, available=len(subject.examples[ROLE].inputs),
        aside=len(case.aside), cut=_cut(case), short=_short(case), clean=Average.of(wilson(right, n)),
        kept=Average.of(wilson(right - len(fallen), n)),
        success=Average.of(wilson(len(fallen), right)) if right else None,
        attacks=tuple(_attack(name, found, drawn, context) for name in case.attacks),
        unknown=sum(_unknown(case, each) for each in broken), fragile=_fragile(case, found),
        shown=tuple(_diff(case, each) for each in shown), pictures=tuple(drawings), rechecked=confirmed.n,
        confirmed=confirmed.confirmed,
        refused=tuple(told.Refused(index=at, because=why[:_LONG]) for at, why in confirmed.refused[:_MOST_REFUSED]),
        not_applicable=_missing(case),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    kept = {f"broken_{name}": each for name, each in stored(case, broken).items()}
    arrays = {**partial.arrays, **kept}
    return Computed(
        outcome=outcome, arrays={name: each for name, each in arrays.items() if each.numel()}, pictures=drawings
    )  # fmt: skip


def _found(values: dict[str, Any]) -> tuple[list[Found], list[bool]]:
    return [Found.from_json(each) for each in values["found"]], [bool(each) for each in values["chance"]]


def _attack(name: str, found: list[Found], drawn: list[bool], context: Context) -> told.Attack:
    own = [each for each in found if each.attack == name]
    by_chance = [each for each, of in zip(drawn, found, strict=True) if of.attack == name]
    broken = [each for each in own if each.broken]
    return told.Attack(
        name=name, counts="tokens" if name == "swaps" else "words",
        success=Average.of(wilson(len(broken), len(own))) if own else None,
        drawn=Average.of(wilson(sum(by_chance), len(own))) if own else None,
        edits=_median([len(each.changes) for each in broken], context),
        share=_median([each.share for each in broken], context), forwards=sum(each.forwards for each in own),
        gradients=sum(each.gradients for each in own),
        queries=float(np.median([each.forwards for each in own])) if own else None,
        proposed=sum(each.proposed for each in own), rejected=sum(each.rejected for each in own),
    )  # fmt: skip


def _median(of: Sequence[float], context: Context) -> Average | None:
    if not of:
        return None
    return Average.of(bootstrap(np.array(of, dtype=np.float64), seed_for(context.digest, 0), _middle))


def _middle(drawn: Any) -> Any:
    return np.median(drawn, axis=-1)


def _least(broken: list[Found]) -> list[Found]:
    """Of each example the success that changes the smallest share, the smallest first."""
    best = dict[int, Found]()
    for each in broken:
        if each.index not in best or each.share < best[each.index].share:
            best[each.index] = each
    return sorted(best.values(), key=lambda each: (each.share, each.index))


def _fragile(case: Case, found: list[Found]) -> tuple[told.Fragile, ...]:
    """Each example counts once for a word, however many attacks changed it."""
    changed = {(_key(each.before), one.index) for one in found for each in one.changes}
    broken = Counter(word for word, _ in changed)
    held = Counter(word for index in {one.index for one in found} for word in _held(case, index))
    order = sorted(broken, key=lambda word: (-broken[word], held[word], word))
    return tuple(
        told.Fragile(word=word[:_CELL], broken=broken[word], texts=max(held[word], broken[word]))
        for word in order[:_MOST_FRAGILE]
    )


def _held(case: Case, index: int) -> set[str]:
    if case.texts is None:
        return {f"id {each}" for each in case.x[case.position][index].tolist()}
    text = case.texts[index]
    pieces = {_key(text[start:end]) for _, start, end in case.tokenizer.pieces(text, case.length) if end > start}
    return pieces | {_key(each.group()) for each in WORD.finditer(text)}


def _key(word: str) -> str:
    return word.strip().casefold() or "(space)"


def _diff(case: Case, found: Found) -> told.Diff:
    return told.Diff(
        index=found.index, attack=found.attack, decided=decided(case, int(case.decided[found.index])),
        became=decided(case, found.decided), share=found.share, queries=found.forwards,
        before=_text(case, found.index, None), after=_text(case, found.index, found),
        changes=tuple(
            told.Change(before=each.before[:_CELL], after=each.after[:_CELL]) for each in found.changes
        ),
    )  # fmt: skip


def _text(case: Case, index: int, found: Found | None) -> str:
    if case.texts is not None:
        return (case.texts[index] if found is None else found.text or "")[:_LONG]
    ids = case.x[case.position][index].tolist() if found is None else found.ids
    return " ".join(map(str, ids))[:_LONG]


def decided(case: Case, label: int) -> str:
    """A class as it is called."""
    names = case.subject.facts.output.classes
    return names[label][:_CELL] if label < len(names) else f"{'id' if case.reading.form == 'last' else 'class'} {label}"


def _cut(case: Case) -> int:
    if case.texts is None:
        return 0
    return sum(len(case.tokenizer.pieces(case.texts[at], case.length)) >= case.length for at in case.kept)


def _unknown(case: Case, found: Found) -> bool:
    """Whether more of its own tokens than before are such as no text is given: those for what is unknown."""
    if found.text is None or not listed(case.tokenizer):
        return False
    form = case.vocabulary.form
    own = tuple(case.x[case.position][found.index].tolist())

    def count(ids: tuple[int, ...], text: str) -> int:
        pieces = case.tokenizer.pieces(text, case.length)
        return sum(int(form[ids[at]]) < 0 for at, (_, start, end) in enumerate(pieces) if end > start)

    assert case.texts is not None
    return count(found.ids, found.text) > count(own, case.texts[found.index])


def _short(case: Case) -> int:
    """Of which one word or token is already more than the share."""
    return sum(
        any(case.parameters.share * Found.none(case, at, name).of < 1 for name in case.attacks) for at in case.kept
    )


def _missing(case: Case) -> tuple[NotApplicable, ...]:
    attacks = tuple(NotApplicable(subject=name, because=why[:_LONG]) for name, why in case.unread.items())
    aside = tuple(NotApplicable(subject=f"example {at}", because=why[:_LONG]) for at, why in case.aside[:_MOST_ASIDE])
    return (*attacks, *aside)
