"""Which figures and tables hold the numbers of attacks on texts?"""

from __future__ import annotations

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Number, Table, Word
from workers.robustness.text.outcome import Average, TextOutcome

_MOST_BARS, _WIDE = 20, 600
TITLES = {"swaps": "tokens swapped by the gradient", "characters": "words misspelt", "synonyms": "words replaced"}


def right(title: str, unit: str = "") -> Column:
    """A column of numbers."""
    return Column(title=title, unit=unit, align="right")


def number(of: Average | None, because: str = "No example was broken.") -> Cell:
    """An average with its interval, or why there is none."""
    if of is None:
        return Blank(because=because)
    return Number(value=of.value, low=of.low, high=of.high, n=of.n)


def attacks(outcome: TextOutcome) -> Bars:
    """Success of each attack beside that of as many drawn edits."""
    none = "No example was decided rightly without an attack."
    bars = [
        Bar(label=TITLES[each.name], value=of.value, low=of.low, high=of.high, group=group)
        for each in outcome.attacks
        for group, of in (("searched", each.success), ("drawn", each.drawn))
        if of is not None
    ]
    rows = tuple(
        (
            Word(value=TITLES[each.name]), number(each.success, none), number(each.drawn, none), number(each.edits),
            number(each.share), Word(value=each.counts),
        )
        for each in outcome.attacks
    )  # fmt: skip
    return Bars(
        title="What each attack breaks", value_title="Share of examples that were right", bars=tuple(bars),
        table=Table(
            title="By attack",
            columns=(
                Column(title="Attack"), right("Success"), right("Drawn edits, as many"), right("Changed, median"),
                right("Changed, median share"), Column(title="Of"),
            ),
            rows=rows, note="95 %: Wilson of shares, bootstrap of medians over broken examples.",
        ),
        caption="Each attack meets every example that is right without it. Drawn: as many edits, places and edits"
        " drawn. Whiskers: 95 %.",
    )  # fmt: skip


def asked(outcome: TextOutcome) -> Table:
    """How often the model was asked."""
    return Table(
        title="What each attack asked",
        columns=(
            Column(title="Attack"), right("Forwards"), right("Gradients"), right("Forwards of one example, median"),
            right("Candidates"), right("Rejected"),
        ),
        rows=tuple(
            (
                Word(value=TITLES[each.name]), Number(value=each.forwards, count=True),
                Number(value=each.gradients, count=True),
                Blank(because="No example was attacked.") if each.queries is None else Number(value=each.queries),
                Number(value=each.proposed, count=True), Number(value=each.rejected, count=True),
            )
            for each in outcome.attacks
        ),
        note="Rejected unasked: texts that are tokenised as other tokens than were meant, or read as no change.",
    )  # fmt: skip


def fragile(outcome: TextOutcome) -> Bars:
    """The words that successful attacks changed most often."""
    shown = outcome.fragile[:_MOST_BARS]
    return Bars(
        title="Most fragile words" if outcome.of_texts else "Most fragile ids", value_title="Broken examples",
        bars=tuple(Bar(label=each.word, value=float(each.broken)) for each in shown),
        table=Table(
            title="By word" if outcome.of_texts else "By id",
            columns=(Column(title="Word" if outcome.of_texts else "Id"), right("Broken with it"), right("Hold it")),
            rows=tuple(
                (Word(value=each.word), Number(value=each.broken, count=True), Number(value=each.texts, count=True))
                for each in outcome.fragile
            ),
            note="Examples, each counted once for a word; of swapped tokens, what the token stands for.",
        ),
        caption="Examples that an attack broke by changing the word, alone or with others.",
    )  # fmt: skip


def diffs(outcome: TextOutcome) -> Table:
    """A line for each edit of the examples shown, and the text after."""
    made: list[tuple[Cell, ...]] = []
    for each in outcome.shown:
        for at, change in enumerate(each.changes):
            first = at == 0
            made.append(
                (
                    Word(value=f"example {each.index}" if first else ""),
                    Word(value=TITLES[each.attack] if first else ""),
                    Word(value=f"{each.decided} \u2192 {each.became}"[:_WIDE] if first else ""),
                    Word(value=change.before), Word(value=change.after),
                    Word(value=each.after[:_WIDE] if first else ""),
                    Number(value=each.queries, count=True) if first else Word(value=""),
                )
            )  # fmt: skip
    return Table(
        title="Examples broken by the fewest edits",
        columns=(
            Column(title="Example"), Column(title="Attack"), Column(title="Decided"), Column(title="Before"),
            Column(title="After"), Column(title="Whole text after"), right("Forwards"),
        ),
        rows=tuple(made), note="Meaning is not verified: read whether the text after still deserves its label.",
    )  # fmt: skip
