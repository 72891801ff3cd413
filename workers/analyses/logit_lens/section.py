"""What does a reader see of the lens: in words, tables and figures?"""

from __future__ import annotations

from service.contracts.section import Block, Cell, Column, Lines, Measure, Number, Point, Prose, Section, Table
from service.contracts.section import Word as Text
from service.contracts.vocabulary import METRICS
from workers.analyses.logit_lens.outcome import LensOutcome, Read, Stage, Word
from workers.attribution.words import number

TITLE = "Logit lens"
QUESTION = "What would the model predict if it stopped after each of its blocks, and where is the prediction decided?"
SOURCE = (
    "nostalgebraist 2020, interpreting GPT: the logit lens (LessWrong); the divergence as in Belrose et al. 2023,"
    " arXiv:2303.08112, section 2"
)
_LIMITS = (
    "The head was trained on the state after the last block; earlier states may hold what it cannot read.",
    "A token that is first after a block is not therefore caused by it, and later blocks may use other parts of it.",
    "It reads one position. What other positions hold for later is not shown.",
    "Where the network adds positions or scales its embedding outside a layer, the state after the embedding lacks it.",
    "Intervals are over the examples analysed, as if drawn at random.",
)
_MOST_STAGES = 400


def section(outcome: LensOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=_LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: LensOutcome) -> str:
    most = max(outcome.stages, key=lambda stage: stage.decided)
    text = (
        f"On average over {outcome.examples} of {outcome.available} examples the final token is the first from"
        f" {number(outcome.decided).display} of the depth on; most often ({most.decided} examples) from {most.key}."
    )
    doubt = next((each.meaning for each in outcome.findings if each.code == "not-readable"), "")
    return f"{text} {doubt}".strip()


def _blocks(outcome: LensOutcome) -> tuple[Block, ...]:
    position = "the next token" if outcome.position == "next" else f"position {outcome.position}"
    before = "" if outcome.embedding is None else f" Before the first block stands {outcome.embedding}."
    stages = _stages(outcome)
    return (
        Prose(
            text=f"Read: {position}. States of {outcome.width} numbers for each of {outcome.tokens} tokens, given to"
            f" the model's own final norm and head over {outcome.vocabulary} tokens. {outcome.precision}, the first"
            f" {outcome.examples} of {outcome.available} examples.{before}"
        ),
        Measure(
            label="Depth at which it is decided",
            number=number(outcome.decided, METRICS["lens_decided"].unit),
            note="0 after the embedding, 1 after the last block: from there on the final token stays the first.",
        ),
        _lines("Probability of the final token, block by block", "Probability", stages, outcome, "probability"),
        _lines("Divergence from the final distribution, block by block", "KL (nat)", stages, outcome, "divergence"),
        *(_said(each) for each in outcome.read),
    )


def _lines(title: str, y_title: str, table: Table, outcome: LensOutcome, which: str) -> Lines:
    shown = outcome.stages[:_MOST_STAGES]
    return Lines(
        title=title,
        x_title="Depth (blocks that have run, over all)",
        y_title=y_title,
        points=tuple(_point(stage, which) for stage in shown),
        table=table,
        caption="Mean over examples; bounds: 95 % Student's t over examples.",
    )


def _point(stage: Stage, which: str) -> Point:
    found = stage.probability if which == "probability" else stage.divergence
    return Point(x=stage.depth, y=found.value, low=found.low, high=found.high)


def _stages(outcome: LensOutcome) -> Table:
    return Table(
        title="What is read after each block",
        columns=(
            Column(title="After"), Column(title="Depth", align="right"),
            Column(title="Probability of the final token", align="right"), Column(title="Its rank", align="right"),
            Column(title="KL from the final distribution", unit="nat", align="right"),
            Column(title="First", unit="share of examples", align="right"),
            Column(title="Decided here", unit="examples", align="right"),
        ),
        rows=tuple(_row(stage) for stage in outcome.stages),
        note="Rank 1 is the first of all tokens. First: Wilson's interval. Decided: it stays the first from here on.",
    )  # fmt: skip


def _row(stage: Stage) -> tuple[Cell, ...]:
    first = stage.first
    return (
        Text(value=stage.key), Number(value=stage.depth), number(stage.probability), number(stage.rank),
        number(stage.divergence), Number(value=first.value, low=first.low, high=first.high, n=first.n),
        Number(value=stage.decided, count=True),
    )  # fmt: skip


def _said(read: Read) -> Table:
    count = len(read.stages[0].words)
    return Table(
        title=f"What example {read.example} would say",
        columns=(Column(title="After"), *(Column(title=f"{at + 1}.") for at in range(min(count, 19)))),
        rows=tuple(
            (Text(value=stage.key), *(Text(value=_word(word)) for word in stage.words[:19])) for stage in read.stages
        ),
        note=f"Tokens of the largest probability, with it in per cent. Finally: {_word(read.final)}. Text stands beside"
        " the number of a token where it is known.",
    )


def _word(word: Word) -> str:
    named = f"{word.text} ({word.id})" if word.text else f"{word.id}"
    return f"{named} {100 * word.probability:.3g} %"
