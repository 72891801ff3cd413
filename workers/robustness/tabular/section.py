"""What does a reader see of attacks on a table: the answer with its doubt, a curve, columns, rows before and after?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Prose, Section
from workers.robustness.tabular import tables
from workers.robustness.tabular.findings import FEW, percent
from workers.robustness.tabular.outcome import TabularOutcome

TITLE = "Rows of a table under attack"
QUESTION = "How little must change in a row, within the rules of its columns, until the model decides otherwise?"
SOURCE = "Croce and Hein 2020, arXiv:2003.01690; Simonetto, Ghamizi and Cordy 2024, arXiv:2406.00775"
LIMITS = (
    "Robust accuracy is an upper bound on the truth: a stronger attack may break more rows. It is no guarantee.",
    "A budget counts units of each column by itself: many columns may move by it at once, as data seldom do.",
    "Only the rules that were declared are kept: what else people, time or law forbid is not known here.",
    "Categories that change cost no budget; how many may is part of the question.",
    "How few columns a row needs is counted at the smallest budget that breaks it: with a larger one fewer may do.",
    "With relations, whole numbers and categories the search is greedy in part, and may miss rows that exist.",
    "Whether a changed row still deserves its label is not checked.",
    "A protected column is changed alone: columns that stand for it are not.",
)


def section(outcome: TabularOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: TabularOutcome) -> str:
    last = outcome.budgets[-1]
    units = outcome.unit_name.replace("deviations", "deviation") if last.epsilon == 1 else outcome.unit_name
    within = f"each number moves by at most {last.epsilon:g} {units}"
    if outcome.most_categories:
        count = outcome.most_categories
        within += f" and {'one category changes' if count == 1 else f'{count} categories change'} at most"
    if outcome.clean.value == 0:
        return f"{_doubt(outcome)}No row is decided rightly without an attack: there is nothing to break."
    kept = {
        "accuracy": "rows keep the right decision", "agreement": "rows keep the model's own decision",
        "shift": f"outputs stay within {outcome.tolerance:.3g} {outcome.output_unit} of where they were",
    }[outcome.reading]  # fmt: skip
    from_ = f", from {outcome.clean.value:.1%} without an attack" if outcome.reading == "accuracy" else ""
    most = f" A broken row needs {outcome.changed.value:g} changed columns in the median." if outcome.changed else ""
    return f"{_doubt(outcome)}At most {percent(last.kept)} of {kept} where {within}{from_}.{most}".replace(
        "of rows", "of the rows").replace("of outputs", "of the outputs")  # fmt: skip


def _doubt(outcome: TabularOutcome) -> str:
    grave = [each for each in outcome.findings if each.severity == "failure"]
    if grave:
        return f"Not to be relied on: {grave[0].meaning} "
    made = f"With care, n = {outcome.examples}: intervals are wide. " if outcome.examples < FEW else ""
    return made + ("No label tells what is right. " if outcome.reading == "agreement" else "")


def _blocks(outcome: TabularOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    if outcome.notes:
        blocks.append(Prose(text=" ".join(outcome.notes)[:4000]))
    blocks += [tables.curve(outcome), tables.rules(outcome)]
    blocks += [tables.most_changed(outcome)] if outcome.broken else []
    blocks += [tables.rows(outcome)] if outcome.shown else []
    blocks += [tables.protected(outcome)] if outcome.protected else []
    blocks.append(tables.attacks(outcome))
    return tuple(blocks)


def _asked(outcome: TabularOutcome) -> str:
    how = "outputs alone: a black box has no gradients" if outcome.black_box else "gradients and outputs"
    relations = ""
    if outcome.relations:
        relations = (
            f" Kept throughout: {'; '.join(outcome.relations[:5])}. Of {outcome.proposed} proposals, {outcome.rejected}"
            " broke a relation beyond repair and were taken back."
        )
    return (
        f"{outcome.examples} of {outcome.available} rows were attacked by {how}; {outcome.columns_changeable} columns"
        f" may change. Units and categories are those of the {outcome.background} data.{relations}"
        f" Of {outcome.rechecked} rows stored as broken, {outcome.confirmed} are confirmed by a check that shares"
        f" nothing with the attacks; {outcome.asked_again} of them were asked again one by one."
    )


def _measures(outcome: TabularOutcome) -> list[Measure]:
    last = outcome.budgets[-1]
    label = {"accuracy": "Robust accuracy, at most", "agreement": "Decisions kept, at most",
             "shift": "Outputs kept, at most"}[outcome.reading]  # fmt: skip
    before = {"accuracy": "Clean accuracy", "agreement": "Decisions without an attack",
              "shift": "Outputs without an attack"}[outcome.reading]  # fmt: skip
    shown = [
        (before, outcome.clean, "share of rows", "higher is better", "Without an attack."),
        (label, last.kept, "share of rows", "higher is better", f"At epsilon {last.epsilon:g}, all attacks."),
        ("Columns changed, median", outcome.changed, "columns", "higher is better", "In a row that was broken."),
        ("Cost, median", outcome.cost, "units of cost", "higher is better", "In a row that was broken."),
    ]
    return [
        Measure(
            label=label, direction=direction, note=note,
            number=Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n),
        )
        for label, of, unit, direction, note in shown if of is not None
    ]  # fmt: skip
