"""Which tables and bars hold the numbers of LIME?"""

from __future__ import annotations

from itertools import groupby

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Number, Table, Word
from workers.lime.outcome import Average, Coefficient, Compared, Example, Explanation, LimeOutcome, Summary, Verified
from workers.lime.spec import Lime

MOST_ROWS, _MOST_BARS, _LETTERS = 2000, 40, 120
_UNKNOWN = Blank(because="too few different samples to tell")


def right(title: str, unit: str = "") -> Column:
    """A column of numbers."""
    return Column(title=title[:128], unit=unit, align="right")


def cell(value: float | None, unit: str = "", because: str = "too few different samples to tell") -> Cell:
    """A number, or why there is none."""
    return Blank(because=because) if value is None else Number(value=value, unit=unit)


def number(average: Average, unit: str = "") -> Number:
    """A mean with its interval."""
    return Number(value=average.value, unit=unit, low=average.low, high=average.high, n=average.n)


def title_of(example: Example, one: Explanation) -> str:
    """What a figure of one surrogate is called."""
    name = f": {one.class_name}" if one.class_name else ""
    return f"Example {example.index}, {one.target}{name}"[:_LETTERS]


def surrogates(outcome: LimeOutcome) -> Table:
    """A row for each surrogate: what it says, how well it fits and how stable it is."""
    return Table(
        title="Every surrogate: fit and stability",
        columns=(
            right("Example"), Column(title="Target"), Column(title="Class"), right("f(x)", outcome.unit),
            right("Surrogate of x", outcome.unit), right("R2"), right("R2 held out"), right("VSI"), right("CSI"),
            right("Overlap"),
        ),
        rows=tuple(
            (
                *_which(example, one), Number(value=one.prediction, unit=outcome.unit),
                Number(value=one.local, unit=outcome.unit), cell(one.r2), cell(one.held_out),
                cell(one.stable_features), cell(one.stable_values), cell(one.overlap),
            )
            for example, one in outcome.each
        )[:MOST_ROWS],
        note="R2: weighted, on the samples fitted to. Held out: on samples not fitted to; it can be below 0. VSI, CSI:"
        " share of features and of coefficients that other samples of as many would give again (Visani et al. 2020)."
        " Overlap: mean share of the chosen features that two runs have in common. Examples are counted from 0.",
    )  # fmt: skip


def verdicts(outcome: LimeOutcome) -> Table:
    """A row for each surrogate: its samples, and whether it may be read."""
    return Table(
        title="Every surrogate: samples and verdict",
        columns=(
            right("Example"), Column(title="Target"), Column(title="Class"), right("Features"), right("Samples"),
            right("Different"), right("Effective"), right("Lost"), Column(title="Verdict"), Column(title="Because"),
        ),
        rows=tuple(
            (
                *_which(example, one), Number(value=example.features, count=True),
                Number(value=example.samples, count=True), Number(value=example.distinct, count=True),
                Number(value=example.effective), Number(value=example.lost, count=True), Word(value=one.verdict),
                Word(value=one.reason[:600]),
            )
            for example, one in outcome.each
        )[:MOST_ROWS],
        note="Effective: as many samples of weight one would weigh as much. Lost: the network gave no finite number.",
    )  # fmt: skip


def _which(example: Example, one: Explanation) -> tuple[Cell, ...]:
    name: Cell = Word(value=one.class_name) if one.class_name else Blank(because="the target is no class")
    return Number(value=example.index, count=True), Word(value=one.target), name


def coefficients(kind: Lime, outcome: LimeOutcome, example: Example, one: Explanation) -> Bars:  # type: ignore[type-arg] # of any parameters
    """The chosen features of one surrogate, with error bars and their table."""
    chosen = [each for each in one.features if each.chosen]
    doubt = "" if one.verdict == "readable" else f" {one.reason}"
    return Bars(
        title=title_of(example, one),
        value_title="Coefficient",
        unit=outcome.unit,
        bars=tuple(
            Bar(label=label, value=each.value, low=each.low, high=each.high)
            for label, each in zip(_labels(chosen), chosen[:_MOST_BARS], strict=False)
        ),
        table=Table(
            title=f"{title_of(example, one)}: {kind.nouns}"[:128],
            columns=(
                Column(title=kind.noun.capitalize()), right("Coefficient", outcome.unit),
                right("Standard error", outcome.unit), right("With all features", outcome.unit),
                right("Standard error with all", outcome.unit), Column(title="Kept"),
            ),
            rows=tuple(_row(each, outcome.unit, example.samples - example.lost) for each in one.features),
            note=f"Coefficients of the surrogate on the {one.chosen} features kept, intercept"
            f" {one.intercept:.4g} {outcome.unit}; 95 % intervals: what a run with other samples would give. With all"
            " features: of the surrogate that keeps every one.",
        ),
        caption=(
            f"What each {kind.noun} adds when it is there, by the surrogate; {kind.absent} stands for one that is"
            f" absent. Whiskers: 95 % over samples.{doubt}"
        )[:4000],
    )  # fmt: skip


def _labels(features: list[Coefficient]) -> list[str]:
    """Names, told apart where two features have one."""
    names = [each.name for each in features]
    return [
        name if names.count(name) == 1 else f"{name[:560]} (no. {each.feature})"
        for name, each in zip(names, features, strict=True)
    ]


def _row(each: Coefficient, unit: str, n: int) -> tuple[Cell, ...]:
    kept = each.chosen
    return (
        Word(value=each.name),
        Number(value=each.value, unit=unit, low=each.low, high=each.high, n=max(1, n))
        if kept
        else Blank(because="not among the features kept"),
        cell(each.error, unit) if kept else Blank(because="not among the features kept"),
        Number(value=each.whole, unit=unit),
        cell(each.whole_error, unit),
        Word(value="yes" if kept else "no"),
    )


def summaries(kind: Lime, outcome: LimeOutcome) -> list[Bars]:  # type: ignore[type-arg] # of any parameters
    """For each target and class the features over all examples; empty where features mean nothing across examples."""
    return [
        _summary(kind, outcome, target, name, list(some))
        for (target, name), some in groupby(outcome.summaries, lambda each: (each.target, each.class_name))
    ]


def _summary(kind: Lime, outcome: LimeOutcome, target: str, name: str | None, found: list[Summary]) -> Bars:  # type: ignore[type-arg] # as above
    title = f"Over all examples, {target}{f': {name}' if name else ''}"[:_LETTERS]
    return Bars(
        title=title,
        value_title="Mean magnitude of the coefficient",
        unit=outcome.unit,
        bars=tuple(
            Bar(label=each.feature, value=each.absolute.value, low=each.absolute.low, high=each.absolute.high)
            for each in found
        ),
        table=Table(
            title=title,
            columns=(
                Column(title=kind.noun.capitalize()), right("Examples"), right("Mean magnitude", outcome.unit),
                right("Mean coefficient", outcome.unit),
            ),
            rows=tuple(
                (
                    Word(value=each.feature), Number(value=each.mean.n, count=True),
                    number(each.absolute, outcome.unit), number(each.mean, outcome.unit),
                )
                for each in found
            ),
            note="Of the surrogates on all features that may be read; 95 % bootstrap over examples, as if drawn at"
            f" random. The {len(found)} largest.",
        ),
        caption=f"Mean over the examples in which the {kind.noun} occurs; whiskers: 95 % bootstrap over examples.",
    )  # fmt: skip


def picks(outcome: LimeOutcome) -> Table:
    """SP-LIME."""
    return Table(
        title="Examples that together show the most (SP-LIME)",
        columns=(
            Column(title="Target"), right("Example"), right("Coverage added", "share"), right("Coverage", "share"),
        ),
        rows=tuple(
            (
                Word(value=each.target), Number(value=one.index, count=True), Number(value=one.gain, unit="share"),
                Number(value=sum(other.gain for other in each.picked[: at + 1]), unit="share"),
            )
            for each in outcome.picks
            for at, one in enumerate(each.picked)
        )[:MOST_ROWS],
        note="Picked greedily, each for the weight of the features that the earlier ones do not show (Ribeiro et al."
        " 2016, algorithm 2), among the surrogates that may be read.",
    )  # fmt: skip


def verified(found: tuple[Verified, ...]) -> Table:
    """What lime says."""
    return Table(
        title="Fitted by the package lime from the same samples",
        columns=(
            right("Example"), Column(title="Target"), right("Coefficients differ", "share"), right("R2 differs"),
            Column(title="Same features"), Column(title="Note"),
        ),
        rows=tuple(
            (
                Number(value=each.index, count=True), Word(value=each.target),
                cell(each.difference, "share", each.reason[:600] or "not compared"),
                cell(each.score, "", each.reason[:600] or "not compared"),
                Blank(because="not compared") if each.same_features is None
                else Word(value="yes" if each.same_features else "no"),
                Word(value=each.reason[:600]),
            )
            for each in found
        )[:MOST_ROWS],
        note="lime 0.2.0.1: its kernel, selection and regression on unpaired samples. The share is of lime's largest"
        " coefficient.",
    )  # fmt: skip


def compared(kind: Lime, found: tuple[Compared, ...]) -> Table:  # type: ignore[type-arg] # of any parameters
    """Attributions beside."""
    return Table(
        title="Beside an attribution of the same examples",
        columns=(
            right("Example"), Column(title="Target"), Column(title="Method"), right("Rank correlation"),
            right("Kept features in common", "share"), right("By chance", "share"),
        ),
        rows=tuple(
            (
                Number(value=each.index, count=True), Word(value=each.target), Word(value=each.method),
                cell(each.ranks, "", each.because[:600] or "no rank"),
                cell(each.top, "share", each.because[:600] or "every feature is kept"),
                cell(each.chance, "share", each.because[:600] or "every feature is kept"),
            )
            for each in found
        )[:MOST_ROWS],
        note=f"The attribution is summed over each {kind.noun}; ranks and the strongest are by magnitude. Methods"
        " answer different questions: where they disagree, neither is wrong for it.",
    )  # fmt: skip


def widths(outcome: LimeOutcome) -> Table:
    """What other kernel widths would have said."""
    return Table(
        title="With other kernel widths",
        columns=(
            right("Example"), Column(title="Target"), right("Width"), right("Width asked about"), right("R2"),
            right("Chosen features kept", "share"),
        ),
        rows=tuple(
            (
                Number(value=example.index, count=True), Word(value=one.target), Number(value=example.kernel_width),
                Number(value=each.width), cell(each.r2), cell(each.overlap, "share"),
            )
            for example, one in outcome.each
            for each in one.widths
        )[:MOST_ROWS],
        note="The same samples weighed otherwise: how much of the answer is the choice of the width.",
    )  # fmt: skip
