"""What does a reader see of attacks on texts: the answer with its doubt, attacks, words, texts before and after?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section
from workers.robustness.text import tables
from workers.robustness.text.findings import FEW, percent
from workers.robustness.text.outcome import TextOutcome

TITLE = "Texts under attack"
QUESTION = "How few words or tokens must change until the model decides otherwise?"
SOURCE = "Ebrahimi et al. 2018, arXiv:1712.06751; Gao et al. 2018, arXiv:1801.04354; Jin et al. 2020, arXiv:1907.11932"
LIMITS = (
    "Meaning is not verified: a swapped token, a misspelt word or a synonym may change what a text says.",
    "Robust accuracy is an upper bound on the truth: a stronger attack may break more texts. It is no guarantee.",
    "Tokens are swapped one for one, among those that begin or go on with a word alike: none is added or left out.",
    "Words are what letters, digits and low lines make; languages that write no spaces have long ones.",
    "Searches are greedy, with a beam or word by word: fewer edits than were found may do.",
    "How often people make such changes is not known here; the kind corruption draws them at random.",
)


def section(outcome: TextOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: TextOutcome) -> str:
    if outcome.success is None:
        return f"{_doubt(outcome)}No example is decided rightly without an attack: there is nothing to break."
    kept = "keep the right decision" if outcome.labelled else "keep the model's own decision"
    from_ = f", from {outcome.clean.value:.1%} without an attack" if outcome.labelled else ""
    what = "words or tokens" if outcome.of_texts else "ids"
    return (
        f"{_doubt(outcome)}Meaning is not verified: at most {percent(outcome.kept)} of the examples {kept} where up to"
        f" {outcome.share:.0%} of their {what} change{from_}."
    )


def _doubt(outcome: TextOutcome) -> str:
    grave = [each for each in outcome.findings if each.severity == "failure"]
    if grave:
        return f"Not to be relied on: {grave[0].meaning} "
    return f"With care, n = {outcome.examples}: intervals are wide. " if outcome.examples < FEW else ""


def _blocks(outcome: TextOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    blocks += [tables.attacks(outcome)] if any(each.success for each in outcome.attacks) else []
    blocks += [tables.fragile(outcome)] if outcome.fragile else []
    blocks += [tables.diffs(outcome)] if outcome.shown else []
    blocks += [_picture(name, outcome) for name in outcome.pictures]
    blocks.append(tables.asked(outcome))
    return tuple(blocks)


def _asked(outcome: TextOutcome) -> str:
    named = ", ".join(tables.TITLES[each.name] for each in outcome.attacks)
    read = "texts" if outcome.of_texts else "rows of ids, whose texts are not known,"
    next_ = " Broken is where the token that follows is another one." if outcome.reading == "last" else ""
    return (
        f"{outcome.examples} of {outcome.available} {read} were attacked: {named}.{next_} At most {outcome.share:.0%}"
        " of the words (of swaps: tokens) of each may change, and one always may. Added tokens stay, and a text counts"
        f" only as its tokenizer reads it again. Of {outcome.rechecked} stored as broken, {outcome.confirmed} are"
        " confirmed, one by one, by a check that shares nothing with the attacks."
    )


def _measures(outcome: TextOutcome) -> list[Measure]:
    label = "Robust accuracy, at most" if outcome.labelled else "Decisions kept, at most"
    shown = [(label, outcome.kept, "share of examples", "All attacks; an upper bound, no guarantee.")]
    shown += [
        (f"Changed, median: {tables.TITLES[each.name]}", each.share, f"share of {each.counts}", "In a broken example.")
        for each in outcome.attacks if each.share
    ]  # fmt: skip
    return [
        Measure(
            label=label, direction="higher is better", note=note,
            number=Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n),
        )
        for label, of, unit, note in shown
    ]  # fmt: skip


def _picture(name: str, outcome: TextOutcome) -> Picture:
    _, index, when = name.removesuffix(".png").split("_")
    one = next(each for each in outcome.shown if each.index == int(index))
    text = one.before if when == "before" else one.after
    edits = "; ".join(f"{each.before} \u2192 {each.after}" for each in one.changes)
    return Picture(
        title=f"Example {index}, {when}", artifact=name, alternative=f"{text[:3000]} Changed: {edits}"[:4000],
        caption=f"{one.decided} \u2192 {one.became}. A dark ground: this word is not in the other text.",
    )  # fmt: skip
