"""Which tables and curves does a reader see of attacks?"""

from __future__ import annotations

from service.contracts.section import Blank, Cell, Column, Lines, Number, Point, Table, Word, exact
from workers.robustness.outcome import At, Mean, RobustnessOutcome, Share, Worst

_MOST_BUDGETS = 8
"""Columns of a table; with more it does not fit the page."""
_WIDE = 3
"""Columns with intervals, beside others."""
_NO_CLEAN = "no example is right without an attack"


def said_unit(outcome: RobustnessOutcome) -> str:
    """Of an epsilon, short enough for the head of a column."""
    return outcome.unit[:64]


def share(of: Share) -> Number:
    """With its interval."""
    return Number(value=of.value, low=of.low, high=of.high, n=of.n)


def held_name(outcome: RobustnessOutcome) -> str:
    """What a share of the examples that hold is called."""
    return "Robust accuracy" if outcome.accuracy else "Share that holds"


def curve(outcome: RobustnessOutcome) -> Lines:
    """What holds at each budget: all attacks together, and those that everybody names on their own."""
    name = held_name(outcome)
    points = [Point(x=0.0, y=outcome.clean.value, low=outcome.clean.low, high=outcome.clean.high, series="all attacks")]
    points += [
        Point(x=at.epsilon, y=at.robust.value, low=at.robust.low, high=at.robust.high, series="all attacks")
        for at in outcome.curve
    ]
    for named in outcome.named:
        points += [
            Point(x=at.epsilon, y=one.value, series=f"{named.name} alone")
            for at, one in zip(outcome.curve, named.robust, strict=True)
        ]
    return Lines(
        title=f"{name} by budget",
        x_title=f"epsilon ({outcome.norm}, {said_unit(outcome)})"[:128],
        y_title=name,
        points=tuple(points),
        table=budgets(outcome),
        caption="At most: an upper bound of the truth, which a stronger attack can only lower. Whiskers: 95 % (Wilson)."
        " At 0: without an attack.",
    )


def budgets(outcome: RobustnessOutcome) -> Table:
    """A row for each budget."""
    named = [each.name for each in outcome.named]
    shifts = any(at.shift is not None for at in outcome.curve)
    columns = [
        Column(title="epsilon", unit=said_unit(outcome), align="right"),
        Column(title=f"{held_name(outcome)}, at most", align="right"),
        Column(title="Broken, of those right", align="right"),
        *(Column(title=f"{name} alone leaves", align="right") for name in named),
    ]
    if shifts:
        columns.append(Column(title="Largest shift found", unit=outcome.limit_unit[:64], align="right"))
    rows = [_budget(outcome, place, at, shifts) for place, at in enumerate(outcome.curve)]
    clean: list[Cell] = [Word(value="0 (no attack)"), share(outcome.clean), Blank(because="nothing was tried")]
    clean += [Blank(because="nothing was tried")] * (len(columns) - 3)
    return Table(
        title=f"{held_name(outcome)} by budget", columns=tuple(columns), rows=(tuple(clean), *rows),
        note="Brackets: 95 %, Wilson for shares, Student's t for means.",
    )  # fmt: skip


def _budget(outcome: RobustnessOutcome, place: int, at: At, shifts: bool) -> tuple[Cell, ...]:
    made: list[Cell] = [_epsilon(at.epsilon), share(at.robust)]
    made.append(Blank(because=_NO_CLEAN) if at.broken is None else share(at.broken))
    made += [share(named.robust[place]) for named in outcome.named]
    if shifts:
        made.append(_mean(at.shift))
    return tuple(made)


def _mean(of: Mean | None) -> Cell:
    if of is None:
        return Blank(because="the output is no number")
    return Number(value=of.value, low=of.low, high=of.high, n=of.n)


def _epsilon(value: float) -> Cell:
    return Word(value=exact(float(f"{value:.6g}")))


def _some(count: int) -> list[int]:
    """At most so many places, evenly, the last among them."""
    if count <= _MOST_BUDGETS:
        return list(range(count))
    return sorted({round(k * (count - 1) / (_MOST_BUDGETS - 1)) for k in range(_MOST_BUDGETS)})


def attacks(outcome: RobustnessOutcome) -> Table:
    """What each attack cost, and what it was the first to break."""
    places = _some(len(outcome.curve))
    heads = [Column(title=f"first at {exact(float(f'{outcome.curve[p].epsilon:.4g}'))}", align="right") for p in places]
    rows: list[tuple[Cell, ...]] = [
        (Word(value=each.name), Number(value=each.gradients, count=True), Number(value=each.forwards, count=True),
         *(Number(value=each.broke[place], count=True) for place in places))
        for each in outcome.ran
    ]  # fmt: skip
    total: tuple[Cell, ...] = (
        Word(value="together"), Number(value=outcome.gradients, count=True),
        Number(value=outcome.forwards, count=True),
        *(Number(value=sum(each.broke[place] for each in outcome.ran), count=True) for place in places),
    )  # fmt: skip
    return Table(
        title="What each attack contributed",
        columns=(Column(title="Attack"), Column(title="Gradients", align="right"),
                 Column(title="Forwards", align="right"), *heads),
        rows=(*rows, total),
        note="Examples that an attack was the first to break at a budget, in the order of the rows. Forwards are rows"
        " that went through the network, those of gradients among them.",
    )  # fmt: skip


def _telling(outcome: RobustnessOutcome) -> list[int]:
    """The places of the budgets at which the most is open: nearest to half of what is right holds."""
    half, curve = outcome.clean.value / 2, outcome.curve
    return sorted(sorted(range(len(curve)), key=lambda place: (abs(curve[place].robust.value - half), place))[:_WIDE])


def by_class(outcome: RobustnessOutcome) -> Table:
    """A row for each class."""
    places = _telling(outcome)
    heads = [Column(title=f"at {exact(float(f'{outcome.curve[p].epsilon:.4g}'))}", align="right") for p in places]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (Word(value=each.name), Number(value=each.clean.n, count=True), share(each.clean),
         *(share(each.robust[place]) for place in places))
        for each in outcome.by_class
    )  # fmt: skip
    return Table(
        title=f"{held_name(outcome)} by class",
        columns=(Column(title="Class"), Column(title="n", align="right"), Column(title="No attack", align="right"),
                 *heads),
        rows=rows,
        note="Brackets: 95 %, Wilson. The budgets that tell the most. Classes with few examples tell little.",
    )  # fmt: skip


def worst(outcome: RobustnessOutcome) -> Table:
    """The examples broken by the least."""
    rows = tuple(
        (Number(value=each.index, count=True), Word(value=each.truth) if each.truth else Blank(because="a number"),
         Word(value=each.before), Word(value=each.after), _epsilon(each.epsilon), Number(value=each.distance),
         Word(value=each.by), *(() if each.survives is None else (Word(value="yes" if each.survives else "no"),)))
        for each in outcome.worst
    )  # fmt: skip
    rounded = (Column(title="Survives 8 bits"),) if outcome.worst[0].survives is not None else ()
    truth = "Label" if outcome.judged == "labels" else "Predicted"
    return Table(
        title="Broken by the least",
        columns=(Column(title="Example", align="right"), Column(title=truth), Column(title="Before"),
                 Column(title="After"), Column(title="Smallest epsilon", align="right"),
                 Column(title="Distance", unit=said_unit(outcome), align="right"), Column(title="By"), *rounded),
        rows=rows,
        note="Chosen for being broken by the smallest distance; the order says nothing of the other examples.",
    )  # fmt: skip


def changes(outcome: RobustnessOutcome, one: Worst) -> Table:
    """What was changed of a row of a table."""
    rows = tuple(
        (Word(value=each.name), Number(value=each.before, digits=4), Number(value=each.after, digits=4),
         Number(value=each.units))
        for each in one.changes
    )  # fmt: skip
    return Table(
        title=f"What breaks example {one.index}",
        columns=(Column(title="Feature"), Column(title="Before", align="right"), Column(title="After", align="right"),
                 Column(title="Change", unit=said_unit(outcome), align="right")),
        rows=rows,
        note=f"{one.before} becomes {one.after}. The features changed most, largest first.",
    )  # fmt: skip


def line(one: Worst) -> Lines:
    """A series before and after."""
    assert one.line is not None
    series = (("example", one.line.before), ("adversarial", one.line.after))
    points = tuple(Point(x=float(x), y=y, series=name) for name, values in series for x, y in enumerate(values))
    rows = tuple(
        (Number(value=float(x), count=True), Number(value=a, digits=4), Number(value=b, digits=4))
        for x, (a, b) in enumerate(zip(one.line.before, one.line.after, strict=True))
    )
    return Lines(
        title=f"What breaks example {one.index}: {one.line.name}"[:128],
        x_title="Time step",
        y_title=one.line.name,
        points=points,
        table=Table(
            title=f"Example {one.index}: {one.line.name}"[:128],
            columns=(Column(title="Step", align="right"), Column(title="Example", align="right"),
                     Column(title="Adversarial", align="right")),
            rows=rows,
        ),
        caption=f"{one.before} becomes {one.after}. The channel that is changed most.",
    )  # fmt: skip


def verdicts(outcome: RobustnessOutcome) -> Table:
    """Every check of the attack itself, those that failed first."""
    order = {"fail": 0, "warn": 1, "not run": 2, "pass": 3}
    rows = tuple(
        (Word(value=each.name), Word(value=each.verdict),
         Word(value=each.observed[:600]) if each.observed else Blank(because="it was not run"),
         Word(value=each.expected[:600]), Word(value=each.because[:600]))
        for each in sorted(outcome.verdicts, key=lambda one: order[one.verdict])
    )  # fmt: skip
    return Table(
        title="May the attack be believed?",
        columns=(Column(title="Check"), Column(title="Verdict"), Column(title="Seen"), Column(title="Expected"),
                 Column(title="Because")),
        rows=rows,
        note="Failures first. Carlini et al. 2019, arXiv:1902.06705; Zimmermann et al. 2022, arXiv:2206.13991.",
    )  # fmt: skip
