"""Which tables hold the numbers of an attribution?"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from service.contracts.section import Blank, Cell, Column, Number, Table, Word
from workers.attribution.outcome import Attributed, AttributionOutcome, Average, Certified
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.attribution.words import number
from workers.certificate.definitions import DEFINITIONS

Kind = Attribution[AttributionParameters]
_MOST_ROWS, _CLASS_LAYERS = 2000, 40


def title(kind: Kind) -> str:
    """The noun at the beginning of a title."""
    return kind.noun[:1].upper() + kind.noun[1:]


def totals(kind: Kind, outcome: AttributionOutcome) -> Table:
    """A row for each layer or input, in order of running."""
    place, unit = kind.places.removesuffix("s"), outcome.unit
    return Table(
        title=f"{title(kind)} by {place}",
        columns=(
            Column(title=place.capitalize()),
            Column(title="Type"),
            Column(title="Units", align="right"),
            Column(title=f"Signed {kind.noun}", unit=unit, align="right"),
            Column(title=f"Absolute {kind.noun}", unit=unit, align="right"),
            Column(title="Completeness error", unit="share", align="right"),
            Column(title="Effective number of units", align="right"),
        ),
        rows=tuple(_row(each, unit) for each in outcome.found),
        note=f"Means over {outcome.examples} examples, 95 % intervals: bootstrap over examples, Student's t of few. In"
        " order of running. A layer that passes on the output of a layer inside it shows that layer's numbers."
        " Effective number: that many equal units would be as spread.",
    )


def _row(each: Attributed, unit: str) -> tuple[Cell, ...]:
    error, spread = each.completeness_error, each.spread
    return (
        Word(value=each.key if each.same_as is None else f"{each.key} (= {each.same_as})"[:600]),
        Word(value=each.type),
        Number(value=prod(each.shape), count=True),
        number(each.total, unit),
        number(each.absolute_total, unit),
        Blank(because="the method claims no completeness here") if error is None else number(error),
        Blank(because="nothing is attributed") if spread is None else number(spread.effective),
    )


def units(kind: Kind, outcome: AttributionOutcome) -> Table:
    """The strongest units: one of each layer, five of an input."""
    leaves = [each for each in outcome.own if not each.container] or list(outcome.own)
    most = 1 if kind.places == "layers" else 5
    place = kind.places.removesuffix("s")
    rows = [
        (
            Word(value=each.key),
            Word(value=", ".join(map(str, unit.index)) or "the only one"),
            number(unit.mean, outcome.unit),
            Blank(because="it was not kept") if unit.magnitude is None else number(unit.magnitude, outcome.unit),
            Number(value=unit.share, unit="share"),
        )
        for each in leaves
        for unit in each.top_units[:most]
    ]
    return Table(
        title=f"The strongest unit{'s' if most > 1 else ''} of each {place}",
        columns=(
            Column(title=place.capitalize()),
            Column(title="Unit", align="right"),
            Column(title=f"Mean signed {kind.noun}", unit=outcome.unit, align="right"),
            Column(title=f"Mean absolute {kind.noun}", unit=outcome.unit, align="right"),
            Column(title=f"Share of its absolute {kind.noun}"[:128], align="right"),
        ),
        rows=tuple(rows[:_MOST_ROWS]),
        note="Units by their index in one example's attribution, from 0. Chosen for being the largest of all, for"
        f" which the interval does not account ({_how(each.mean for row in leaves for each in row.top_units[:most])}).",
    )


def _how(averages: Iterable[Average]) -> str:
    """How the bounds were found, in words."""
    known = {"poisson-bootstrap": "bootstrap over examples", "student-t": "Student's t"}
    return " or ".join(sorted({known.get(each.interval, each.interval) for each in averages})) or "none"


def class_units(kind: Kind, outcome: AttributionOutcome) -> Table | None:
    """The strongest unit of each layer, three of an input, for each class; None where none are told by class."""
    leaves = [each for each in outcome.own if not each.container] or list(outcome.own)
    most, place = (1 if kind.places == "layers" else 3), kind.places.removesuffix("s")
    shown = sorted(leaves, key=lambda each: -each.absolute_total.value)[:_CLASS_LAYERS]
    found = [
        (each, name, unit)
        for each in leaves
        if each in shown and len(each.classes) > 1
        for name in each.classes
        for unit in name.top_units[:most]
    ][:_MOST_ROWS]
    if not found:
        return None
    return Table(
        title=f"The strongest unit{'s' if most > 1 else ''} of each {place} by class",
        columns=(
            Column(title=place.capitalize()),
            Column(title="Class"),
            Column(title="Unit", align="right"),
            Column(title=f"Mean signed {kind.noun}", unit=outcome.unit, align="right"),
            Column(title=f"Mean absolute {kind.noun}", unit=outcome.unit, align="right"),
            Column(title="Share in its class", align="right"),
        ),
        rows=tuple(
            (
                Word(value=each.key),
                Word(value=name.name),
                Word(value=", ".join(map(str, unit.index)) or "the only one"),
                number(unit.mean, outcome.unit),
                Blank(because="it was not kept") if unit.magnitude is None else number(unit.magnitude, outcome.unit),
                Number(value=unit.share, unit="share"),
            )
            for each, name, unit in found
        ),
        note="By the examples' labels; 95 % intervals over the examples of the class"
        f" ({_how(unit.mean for _, _, unit in found)}), which do not account for the choice of the largest.",
    )


def sums(outcome: AttributionOutcome) -> Table | None:
    """The chosen units and their identity; None where none were chosen."""
    if not outcome.chosen_units:
        return None
    return Table(
        title="The chosen units, found two ways",
        columns=(
            Column(title="Unit", align="right"),
            Column(title="Attributed to all inputs", unit=outcome.unit, align="right"),
            Column(title="From its own values", unit=outcome.unit, align="right"),
            Column(title="Difference", unit="share", align="right"),
        ),
        rows=tuple(
            (
                Word(value=", ".join(map(str, each.index)) or "the only one"),
                number(each.summed, outcome.unit),
                number(each.own, outcome.unit),
                Blank(because="nothing flows through it") if each.error is None else number(each.error),
            )
            for each in outcome.chosen_units
        ),
        note=f"Means over {outcome.examples} examples, 95 % Student's t. What the inputs get for a unit must be the"
        " unit's own conductance; the difference is the error of the steps, as a share of what flows through the unit"
        " there and back.",
    )


def classes(kind: Kind, outcome: AttributionOutcome) -> Table | None:
    """Absolute totals by class; None where there is one class or none."""
    leaves = [each for each in outcome.own if not each.container] or list(outcome.own)
    names = list(dict.fromkeys(name.name for each in leaves for name in each.classes))
    if len(names) < 2:
        return None
    place, shown = kind.places.removesuffix("s"), sorted(leaves, key=lambda e: -e.absolute_total.value)[:_CLASS_LAYERS]
    return Table(
        title=f"{title(kind)} by class",
        columns=(
            Column(title=place.capitalize()),
            Column(title="Class"),
            Column(title="Examples", align="right"),
            Column(title=f"Signed {kind.noun}", unit=outcome.unit, align="right"),
            Column(title=f"Absolute {kind.noun}", unit=outcome.unit, align="right"),
        ),
        rows=tuple(
            (
                Word(value=each.key), Word(value=name.name), Number(value=name.total.n, count=True),
                number(name.total, outcome.unit), number(name.absolute_total, outcome.unit),
            )
            for each in leaves
            if each in shown
            for name in each.classes
        )[:_MOST_ROWS],
        note="By the examples' labels."
        + (f" The {_CLASS_LAYERS} largest of {len(leaves)} {place}s." if len(leaves) > _CLASS_LAYERS else ""),
    )  # fmt: skip


def verified(outcome: AttributionOutcome) -> Table:
    """captum's opinion."""
    place = outcome.places.removesuffix("s").capitalize()
    return Table(
        title="Recomputed by captum",
        columns=(
            Column(title=place),
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
        note="Drawn by a seed from the analysis; two examples. The share is of the largest attribution.",
    )


def beside(found: Certified, name: str) -> Table | None:
    """This method beside plainer ones; None where nothing was compared."""
    if not found.compared:
        return None
    return Table(
        title="Beside other methods",
        columns=(
            Column(title="Place"),
            Column(title="Method"),
            Column(title="Rank correlation", align="right"),
            Column(title="Strongest units in common", unit="share", align="right"),
            Column(title="By chance", unit="share", align="right"),
        ),
        rows=tuple(
            (
                Word(value=each.place),
                Word(value=each.other),
                Blank(because=each.because[:600] or "no rank") if each.ranks is None else number(each.ranks),
                Blank(because=each.because[:600] or "no units") if each.top is None else number(each.top),
                Blank(because="nothing to compare") if each.chance is None else Number(value=each.chance, digits=2),
            )
            for each in found.compared
        )[:_MOST_ROWS],
        note=f"Magnitudes of {name} and of two plain methods over the certificate's {found.examples} examples; 95 %"
        " Student's t. Methods answer different questions: where they disagree, neither is wrong for it.",
    )


def certificate(found: Certified) -> Table:
    """Every check with its verdict."""
    rows = tuple(
        (
            Word(value=DEFINITIONS[check.name].title + (" (necessary)" if check.necessary else "")),
            Word(value="all inputs" if check.place is None else check.place),
            Blank(because=check.because[:600])
            if check.value is None
            else Number(
                value=check.value, unit=check.unit[:64], low=check.low, high=check.high, n=max(1, check.n),
            ),
            Word(value=check.direction),
            Word(value=check.verdict),
            Word(value=check.because[:600]),
        )
        for check in found.certificate.checks
    )  # fmt: skip
    return Table(
        title="Certificate",
        columns=(
            Column(title="Check"),
            Column(title="Place"),
            Column(title="Value", align="right"),
            Column(title="Direction"),
            Column(title="Verdict"),
            Column(title="Because"),
        ),
        rows=rows[:_MOST_ROWS],
        note=f"{'Usable' if found.certificate.usable else 'Not usable'}: {found.certificate.because[:1500]}. Made with"
        f" {found.examples} examples, at {len(found.places)} places, evenly over depth. What each check is, and after"
        " whom: docs/certificate.md.",
    )
