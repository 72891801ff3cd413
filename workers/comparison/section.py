"""What does a reader see of a comparison: what is kept, what is lost, what moved?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from service.contracts.section import Bar, Bars, Block, Column, Measure, Number, Prose, Section, Table, Word
from workers.comparison.compute import CONFIDENCE
from workers.comparison.outcome import CompareOutcome, Estimated

TITLE = "Two versions compared"
QUESTION = (
    "Does the later version decide on the same grounds, is it as accurate, and are its outputs distributed alike?"
)
SOURCE = (
    "Järvelin and Kekäläinen 2002 (nDCG); Agresti and Min 2005; McNemar 1947; Yurdakul 2018, arXiv:2307.11878 (PSI)"
)
LIMITS = (
    "It compares what two analyses kept; neither model is run again.",
    "No difference shown is not the same as none: the intervals say how large one could be.",
    "A shift of outputs does not say whether the data or the model moved; on the same data it is the model.",
)
METRIC_NAMES = ("attribution_ndcg", "paired_accuracy_difference", "psi_over_critical_value_99")


def section(outcome: CompareOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=tuple(_blocks(outcome)),
        findings=outcome.findings, controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS,
        source=SOURCE,
    )  # fmt: skip


def measurements(outcome: CompareOutcome) -> tuple[Measurement, ...]:
    """Of rankings: layers within an example, and units of each layer; of answers: the difference and each shift."""
    made = []
    if outcome.ndcg is not None:
        made.append(_point("attribution_ndcg", outcome.ndcg))
    made.extend(
        Measurement(
            metric="attribution_ndcg",
            layer=each.layer,
            facets={"of": "units"},
            value=each.ndcg,
            n=max(1, outcome.pairs),
        )
        for each in outcome.layers
    )
    if outcome.difference is not None:
        made.append(_point("paired_accuracy_difference", outcome.difference))
    made.extend(
        Measurement(
            metric="psi_over_critical_value_99",
            class_name=None if shift.score == CONFIDENCE else shift.score,
            facets={},
            value=shift.ratio,
            n=min(shift.n, shift.m),
        )
        for shift in outcome.shifts
    )
    return tuple(made)


def _point(metric: str, of: Estimated) -> Measurement:
    return Measurement(metric=metric, facets={}, value=of.value, low=of.low, high=of.high, n=of.n)


def _answer(outcome: CompareOutcome) -> str:
    versions = f"{outcome.after.model_version} against {outcome.before.model_version}"
    said = []
    if outcome.ndcg is not None:
        said.append(f"{outcome.ndcg.value:.3f} of the ranking of layers is kept{_bounds(outcome.ndcg)}")
    elif outcome.layers:
        least = min(outcome.layers, key=lambda each: each.ndcg)
        said.append(f"the ranking of {least.layer} is kept least, {least.ndcg:.3f}")
    if outcome.difference is not None:
        said.append(
            f"accuracy changes by {100 * outcome.difference.value:+.1f} points in pairs{_bounds(outcome.difference)}"
        )
    if outcome.shifts:
        worst = max(outcome.shifts, key=lambda each: each.ratio)
        most = f"of the outputs {worst.score} moved most, {worst.ratio:.2f} times what chance allows"
        said.append(most if worst.ratio else "no output moved")
    return f"{versions}: {'; '.join(said)}.".replace("-", "\u2212") if said else f"{versions}: nothing can be said."


def _bounds(of: Estimated) -> str:
    return "" if of.low is None or of.high is None else f" (95 % {of.low:.3f} to {of.high:.3f})"


def _blocks(outcome: CompareOutcome) -> list[Block]:
    blocks: list[Block] = [Prose(text=_asked(outcome))]
    if outcome.notes:
        blocks.append(Prose(text=" ".join(outcome.notes)))
    for label, of, unit, direction in (
        ("Ranking of layers kept (nDCG)", outcome.ndcg, "", "higher is better"),
        ("Accuracy, later less earlier", outcome.difference, "share of examples", "higher is better"),
        ("Log loss, later less earlier", outcome.loss_difference, "nat", "lower is better"),
    ):
        if of is not None:
            number = Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n)
            blocks.append(Measure(label=label, number=number, direction=direction, note=f"Interval: {of.interval}."))
    if outcome.layers:
        blocks.append(_layers(outcome))
    if outcome.difference is not None:
        blocks.append(_pairs(outcome))
    if outcome.shifts:
        blocks.append(_shifts(outcome))
    return blocks


def _asked(outcome: CompareOutcome) -> str:
    one, other = outcome.before, outcome.after
    return (
        f"Two analyses of kind {outcome.compared}, asked alike: {one.model_name} {one.model_version}"
        f" ({one.examples} examples) and {other.model_name} {other.model_version} ({other.examples} examples);"
        f" {outcome.pairs} examples stand in both."
    )


def _right(title: str) -> Column:
    return Column(title=title, align="right")


def _layers(outcome: CompareOutcome) -> Bars:
    return Bars(
        title="How much of each layer's ranking of units is kept",
        value_title="nDCG",
        bars=tuple(Bar(label=each.layer, value=each.ndcg) for each in outcome.layers[:400]),
        table=Table(
            title="Layers",
            columns=(Column(title="Layer"), _right("nDCG"), _right("By chance"), _right("Units")),
            rows=tuple(
                (
                    Word(value=each.layer),
                    Number(value=each.ndcg),
                    Number(value=each.chance),
                    Number(value=each.units, count=True),
                )
                for each in outcome.layers
            ),
            note="By chance: what a random ranking of the same units keeps on average. Of means over examples, so"
            " without an interval.",
        ),
        caption="1 is the same ranking. Compare with what chance keeps, in the table.",
    )


def _pairs(outcome: CompareOutcome) -> Table:
    return Table(
        title="The same examples, answered by both",
        columns=(Column(title="What"), _right("Examples")),
        rows=(
            (Word(value="wrong before, right after"), Number(value=outcome.gained, count=True)),
            (Word(value="right before, wrong after"), Number(value=outcome.lost, count=True)),
            (Word(value="in all"), Number(value=outcome.pairs, count=True)),
        ),
        note="" if outcome.p is None else f"McNemar's exact test: p = {outcome.p:.3g}.",
    )


def _shifts(outcome: CompareOutcome) -> Table:
    return Table(
        title="How far outputs moved",
        columns=(
            Column(title="Score"), _right("Index (PSI)"), _right("Critical value, 99 %"), _right("Ratio"),
            Column(title="By convention"),
        ),
        rows=tuple(
            (
                Word(value=each.score),
                Number(value=each.index),
                Number(value=each.critical),
                Number(value=each.ratio),
                Word(value="large" if each.index > 0.25 else "moderate" if each.index > 0.1 else "small"),
            )
            for each in outcome.shifts
        ),
        note="By convention: above 0.1 moderate, above 0.25 large, whatever the number of examples.",
    )  # fmt: skip
