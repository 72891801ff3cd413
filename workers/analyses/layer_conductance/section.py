"""What does a reader see of the conductance of all layers: in words, tables and figures?"""

from __future__ import annotations

from service.contracts.section import (
    Bar,
    Bars,
    Blank,
    Block,
    Cell,
    Column,
    Measure,
    Number,
    Picture,
    Prose,
    Section,
    Table,
    Word,
)
from service.contracts.vocabulary import METRICS
from workers.analyses.layer_conductance.outcome import Average, ConductanceOutcome, Conducted

TITLE = "Conductance of every layer"
QUESTION = (
    "How much of the output's change, from the baseline to the input, flows through each layer and each of its units?"
)
SOURCE = "Dhamdhere, Sundararajan and Yan 2018, arXiv:1805.12233, equation 2"

_MOST_BARS = 60
_LIMITS = (
    "Conductance depends on the baseline: another one gives other numbers.",
    "It says what flows through a layer, not what would happen if the layer were removed.",
    "Totals of different layers do not add up: branches share the change, layers in a row each carry all of it.",
    "Signed totals let units cancel: a total near zero may hide large units. The absolute total shows them.",
    "Intervals are over the examples analysed, as if drawn at random; the error of the steps is not in them.",
)


def section(outcome: ConductanceOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=_LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: ConductanceOutcome) -> str:
    layers = outcome.own
    most = max(layers, key=lambda layer: layer.absolute_total.value)
    change = _number(outcome.output_change, outcome.unit)
    text = (
        f"From baseline to input the {_target(outcome)} changes by {change.display} {outcome.unit} on average over"
        f" {outcome.examples} of {outcome.available} examples. Of {len(layers)} layers, {most.key} carries most:"
        f" {_number(most.absolute_total, outcome.unit).display} {outcome.unit} in absolute terms."
    )
    errors = [layer.completeness_error.value for layer in layers if layer.completeness_error is not None]
    if errors:
        text += f" Where everything passes through a layer, its units add up to the change within {max(errors):.2%}."
    return text


def _target(outcome: ConductanceOutcome) -> str:
    words = {"predicted": "predicted output", "label": "output of the labelled class"}
    return words.get(outcome.target, f"output {outcome.target}")


def _blocks(outcome: ConductanceOutcome) -> tuple[Block, ...]:
    layers = outcome.own
    blocks: list[Block] = [
        Prose(
            text=f"Target: {_target(outcome)} ({outcome.unit}). Baseline: {outcome.baseline}, in raw units."
            f" {outcome.steps} steps, rule {outcome.rule}, {outcome.precision}, the first"
            f" {outcome.examples} of {outcome.available} examples."
            + (f" Held as they are, not moved: {', '.join(outcome.held)}." if outcome.held else "")
        )
    ]
    blocks += _measures(outcome)
    leaves = [layer for layer in layers if not layer.container] or list(layers)
    shown = sorted(leaves, key=lambda layer: -layer.absolute_total.value)[:_MOST_BARS]
    blocks.append(
        Bars(
            title="Absolute conductance by layer, from input to output",
            value_title="Absolute conductance",
            unit=outcome.unit,
            bars=tuple(_bar(layer) for layer in leaves if layer in shown),
            table=_layer_table(outcome),
            caption=f"Sum of magnitudes over a layer's units, mean over {outcome.examples} examples; whiskers: 95 %"
            " Student's t over examples."
            + (f" The {_MOST_BARS} largest of {len(leaves)} layers." if len(leaves) > _MOST_BARS else ""),
        )
    )
    units = _unit_table(outcome, leaves)
    if units.rows:
        blocks.append(units)
    if outcome.overlay_layer is not None:
        blocks.append(_picture(outcome.overlay_layer))
    if outcome.verified:
        blocks.append(_verified_table(outcome))
    return tuple(blocks)


def _measures(outcome: ConductanceOutcome) -> list[Measure]:
    made = [
        Measure(
            label="Change of the output", number=_number(outcome.output_change, outcome.unit),
            note="F(x) − F(x'), mean over examples, 95 % Student's t.",
        )
    ]  # fmt: skip
    errors = [layer for layer in outcome.own if layer.completeness_error is not None]
    if errors:
        worst = max(errors, key=lambda layer: layer.completeness_error.value if layer.completeness_error else 0.0)
        assert worst.completeness_error is not None
        made.append(
            Measure(
                label="Completeness error, worst cut layer",
                number=_number(worst.completeness_error, METRICS["completeness_error"].unit),
                direction=METRICS["completeness_error"].direction,
                note=f"At {worst.key}, one of {len(errors)} layers through which every path passes; tolerance"
                f" {outcome.tolerance:g}. Denominator: {METRICS['completeness_error'].denominator}.",
            )
        )
    known = [check.difference for check in outcome.verified if check.difference is not None]
    if known:
        made.append(
            Measure(
                label="Largest difference from captum",
                number=Number(value=max(known), unit=METRICS["captum_difference"].unit, n=len(known), digits=2),
                direction=METRICS["captum_difference"].direction,
            )
        )
    if outcome.accuracy is not None:
        right = outcome.accuracy
        made.append(
            Measure(
                label="Accuracy on the examples analysed",
                number=Number(value=right.value, low=right.low, high=right.high, n=right.n),
                direction=METRICS["clean_accuracy"].direction,
                note=f"Interval: {right.method}.",
            )
        )
    return made


def _bar(layer: Conducted) -> Bar:
    total = layer.absolute_total
    return Bar(label=layer.key, value=total.value, low=total.low, high=total.high)


def _number(average: Average, unit: str = "") -> Number:
    return Number(value=average.value, unit=unit, low=average.low, high=average.high, n=average.n)


def _layer_table(outcome: ConductanceOutcome) -> Table:
    unit = outcome.unit
    return Table(
        title="Conductance by layer",
        columns=(
            Column(title="Layer"),
            Column(title="Type"),
            Column(title="Units", align="right"),
            Column(title="Signed conductance", unit=unit, align="right"),
            Column(title="Absolute conductance", unit=unit, align="right"),
            Column(title="Completeness error", unit="share", align="right"),
        ),
        rows=tuple(_layer_row(layer, unit) for layer in outcome.layers),
        note=f"Means over {outcome.examples} examples, 95 % Student's t. In order of running. A layer that passes on"
        " the output of a layer inside it shows that layer's numbers.",
    )


def _layer_row(layer: Conducted, unit: str) -> tuple[Cell, ...]:
    count = 1
    for axis in layer.shape:
        count *= axis
    error = layer.completeness_error
    return (
        Word(value=layer.key if layer.same_as is None else f"{layer.key} (= {layer.same_as})"[:600]),
        Word(value=layer.type),
        Number(value=count, count=True),
        _number(layer.total, unit),
        _number(layer.absolute_total, unit),
        Blank(because="some paths pass this layer by") if error is None else _number(error),
    )


def _unit_table(outcome: ConductanceOutcome, layers: list[Conducted]) -> Table:
    rows = [
        (
            Word(value=layer.key),
            Word(value=", ".join(map(str, layer.top_units[0].index)) or "the only one"),
            _number(layer.top_units[0].mean, outcome.unit),
            Number(value=layer.top_units[0].share, unit="share"),
        )
        for layer in layers
        if layer.top_units
    ]
    return Table(
        title="The strongest unit of each layer",
        columns=(
            Column(title="Layer"),
            Column(title="Unit", align="right"),
            Column(title="Mean signed conductance", unit=outcome.unit, align="right"),
            Column(title="Share of the layer's absolute conductance", align="right"),
        ),
        rows=tuple(rows),
        note="Units by their index in one example's output, from 0. Chosen for being the largest of all units, so the"
        " interval does not account for the choice.",
    )


def _picture(layer: str) -> Picture:
    return Picture(
        title="Where the layer nearest to the input conducts",
        artifact="overlay.png",
        alternative=f"The first examples of the data, and below each the conductance of {layer}, summed over channels,"
        " laid over it.",
        caption=f"Layer {layer}, summed over channels, enlarged to the input. Blue raises the target, orange lowers it;"
        " each example has its own scale. The first examples, not chosen.",
    )


def _verified_table(outcome: ConductanceOutcome) -> Table:
    return Table(
        title="Recomputed by captum",
        columns=(
            Column(title="Layer"),
            Column(title="Largest difference", unit="share", align="right"),
            Column(title="Note"),
        ),
        rows=tuple(
            (
                Word(value=check.layer),
                Blank(because=check.reason[:600] or "not compared")
                if check.difference is None
                else Number(value=check.difference, digits=2),
                Word(value=check.reason[:600]),
            )
            for check in outcome.verified
        ),
        note="Layers drawn by a seed from the analysis; two examples. The share is of the layer's largest attribution.",
    )
