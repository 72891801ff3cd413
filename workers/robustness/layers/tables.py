"""Which figures and tables hold the numbers of where an attack lands?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Lines, Number, Point, Table, Word
from workers.robustness.layers.outcome import LayerReport, Median, RobustnessLayersOutcome, Share

_DEPTH = "Layer, in the order in which they run"
_UNKNOWN = "it has no meaning here, or was not asked for"
_SO_MANY = "Medians over {n} adversarials; bounds: 95 %, bootstrap over examples."

Series = tuple[str, Callable[[LayerReport], Median | Share | None]]


def displacement(outcome: RobustnessLayersOutcome) -> list[Lines]:
    """How far layers are carried, and how much of that is of the attack."""
    layers = [layer for layer in outcome.layers if layer.adversarial is not None]
    if not layers:
        return []
    over = _SO_MANY.format(n=outcome.broken)
    return [
        _lines(
            "Displacement by the attack over that by noise", "Ratio", layers,
            (("adversarial over random", lambda layer: layer.ratio),), _propagation(layers),
            f"Noise of equal norm carries every layer too; above 1 is the attack's own. {over}",
        ),
        _lines(
            "Relative displacement of each layer", "|h(x') - h(x)| / |h(x)|", layers,
            (("adversarial", lambda layer: layer.adversarial), ("random", lambda layer: layer.random)),
            _ranges(outcome, layers), f"{over} By itself it says little: read the ratio.",
        ),
    ]  # fmt: skip


def attributions(outcome: RobustnessLayersOutcome) -> list[Lines]:
    """Which layers' attributions move."""
    layers = [layer for layer in outcome.layers if layer.ranks is not None or layer.random_ranks is not None]
    if not layers:
        return []
    table = Table(
        title="Attributions of each layer at adversarials",
        columns=(
            Column(title="Layer"), _right("Rank correlation, adversarial"), _right("Rank correlation, random"),
            _right("Strongest kept, adversarial", "share"), _right("Strongest kept, random", "share"),
            _right("By chance", "share"),
        ),
        rows=tuple(
            (
                Word(value=layer.key), _median(layer.ranks), _median(layer.random_ranks), _median(layer.shared),
                _median(layer.random_shared),
                Blank(because=_UNKNOWN) if layer.chance is None else Number(value=layer.chance, unit="share"),
            )
            for layer in layers
        ),
        note="Gradient x activation of the right class at the changed input, beside that at the example: Spearman's"
        " correlation of magnitudes, and how many of the strongest tenth of units stay.",
    )  # fmt: skip
    series: tuple[Series, ...] = (
        ("adversarial", lambda layer: layer.ranks), ("random", lambda layer: layer.random_ranks)
    )  # fmt: skip
    return [
        _lines(
            "Whether the units that matter stay", "Rank correlation", layers, series, table,
            "Low beside noise: at the adversarial the class rests on other units.",
        )
    ]  # fmt: skip


def latent(outcome: RobustnessLayersOutcome) -> list[Bars]:
    """How little at a layer breaks half of the examples."""
    layers = [layer for layer in outcome.layers if layer.latent is not None]
    bars = [
        Bar(label=layer.key, value=layer.latent.rho50, low=layer.latent.low, high=layer.latent.high)
        for layer in layers
        if layer.latent is not None and layer.latent.rho50 is not None
    ]
    if not bars:
        return []
    return [
        Bars(
            title="Budget at a layer's output that breaks half", value_title="Share of the layer's norm, at most",
            bars=tuple(_whole(bar) for bar in bars), table=latent_table(outcome),
            caption="L2, relative to the norm of the layer's output at each example: upper bounds. Bounds: 95 %,"
            " bootstrap over examples; none where they lie above the largest budget.",
        )
    ]  # fmt: skip


def _whole(bar: Bar) -> Bar:
    """Error bars have two ends or none."""
    return bar if bar.low is not None and bar.high is not None else bar.model_copy(update={"low": None, "high": None})


def latent_table(outcome: RobustnessLayersOutcome) -> Table:
    """The numbers of it, also of layers that held."""
    rows = []
    for layer in outcome.layers:
        found = layer.latent
        if found is None:
            continue
        above = f"half held at the largest budget, {outcome.largest:g}"
        budget: Cell = Blank(because=above)
        if found.rho50 is not None:
            both = found.low is not None and found.high is not None
            budget = Number(
                value=found.rho50, low=found.low if both else None, high=found.high if both else None,
                n=found.n or None,
            )  # fmt: skip
        rows.append(
            (
                Word(value=layer.key), Word(value="yes" if layer.cut else "no"), budget,
                Number(value=found.n, count=True), Number(value=found.held, count=True),
                Number(value=found.gradients, count=True),
            )
        )  # fmt: skip
    return Table(
        title="Latent budgets by layer",
        columns=(
            Column(title="Layer"), Column(title="All paths"), _right("Budget that breaks half, at most", "share"),
            _right("Examples"), _right("Held"), _right("Gradients", "rows"),
        ),
        rows=tuple(rows),
        note="All paths: everything from input to output passes through it; at another layer an attack has to do with"
        " what goes around it.",
    )  # fmt: skip


def probes(outcome: RobustnessLayersOutcome) -> list[Lines | Bars]:
    """What linear probes read, and where adversarials flip first."""
    layers = [layer for layer in outcome.layers if layer.probe is not None]
    if not layers:
        return []
    table = Table(
        title="Linear probes by layer",
        columns=(
            Column(title="Layer"), _right("Right on clean examples", "share"), Column(title="Trusted"),
            _right("Adversarials flipped", "share"), _right("Random flipped", "share"), _right("Flip first here"),
            _right("Random flip first here"),
        ),
        rows=tuple(
            (
                Word(value=layer.key), _share(layer.probe.accuracy), Word(value="yes" if layer.probe.trusted else "no"),
                _share(layer.probe.flips), _share(layer.probe.random_flips), Number(value=layer.probe.first, count=True)
                if layer.probe.trusted else Blank(because="the probe is too weak to lay a flip at"),
                Number(value=layer.probe.random_first),
            )
            for layer in layers
            if layer.probe is not None
        ),
        note="Ridge probes, cross-fitted: no example is read by a probe fitted on it. Trusted: at least 90 % as often"
        f" right as the network. {outcome.never} of {outcome.broken} adversarials flip at no trusted probe.",
    )  # fmt: skip
    series: tuple[Series, ...] = (
        ("right on clean examples", lambda layer: None if layer.probe is None else layer.probe.accuracy),
        ("adversarials flipped", lambda layer: None if layer.probe is None else layer.probe.flips),
        ("random flipped", lambda layer: None if layer.probe is None else layer.probe.random_flips),
    )
    return [
        _lines(
            "What a linear probe of each layer reads", "Share", layers, series, table,
            "A flip is weak evidence: probes are no more robust than networks. Random changes of equal norm are the"
            " null.",
        ),
        *_first(outcome, layers, table),
    ]  # fmt: skip


def _first(outcome: RobustnessLayersOutcome, layers: Sequence[LayerReport], table: Table) -> list[Bars]:
    """Where adversarials flip first, over the probes that are trusted."""
    trusted = [(layer.key, layer.probe) for layer in layers if layer.probe is not None and layer.probe.trusted]
    if not trusted:
        return []
    bars = [Bar(label=key, value=float(probe.first), group="adversarial") for key, probe in trusted]
    bars += [Bar(label=key, value=probe.random_first, group="random") for key, probe in trusted]
    return [
        Bars(
            title="At which probe examples flip first", value_title="Examples", bars=tuple(bars), table=table,
            caption=f"Of {outcome.broken} adversarials; {outcome.never} flip at no trusted probe. Random: by draw.",
        )
    ]  # fmt: skip


def _propagation(layers: Sequence[LayerReport]) -> Table:
    return Table(
        title="What the attack does in each layer",
        columns=(
            Column(title="Layer"), Column(title="Kind"), _right("Over noise", "ratio"),
            _right("Displacement, adversarial"), _right("Displacement, random"), _right("Cosine"),
            _right("Gain", "ratio"), _right("Gain, random", "ratio"), Column(title="Gain over"),
        ),
        rows=tuple(
            (
                Word(value=layer.key), Word(value=layer.kind), _median(layer.ratio), _median(layer.adversarial),
                _median(layer.random), _median(layer.cosine), _median(layer.gain), _median(layer.random_gain),
                Word(value=layer.before),
            )
            for layer in layers
        ),
        note="Medians over adversarials with 95 % bootstrap intervals. Gain: the displacement over that of the layer"
        " before. Layers that are zero at an example have none there.",
    )  # fmt: skip


def _ranges(outcome: RobustnessLayersOutcome, layers: Sequence[LayerReport]) -> Table:
    inputs: list[tuple[Cell, ...]] = []
    if outcome.at_input is not None and outcome.random_at_input is not None:
        inputs = [(Word(value="input"), *_spread(outcome.at_input), *_spread(outcome.random_at_input))]
    names = ("median", "5 %", "95 %")
    return Table(
        title="Relative displacement, spread over examples",
        columns=(
            Column(title="Layer"), *(_right(f"Adversarial, {name}") for name in names),
            *(_right(f"Random, {name}") for name in names),
        ),
        rows=(
            *inputs, *((Word(value=each.key), *_spread(each.adversarial), *_spread(each.random)) for each in layers),
        ),
    )  # fmt: skip


def _spread(median: Median | None) -> tuple[Cell, Cell, Cell]:
    if median is None:
        blank = Blank(because=_UNKNOWN)
        return blank, blank, blank
    return Number(value=median.value), Number(value=median.q05), Number(value=median.q95)


def _lines(
    title: str, y: str, layers: Sequence[LayerReport], series: Sequence[Series], table: Table, caption: str
) -> Lines:
    points = [
        Point(x=float(at + 1), y=found.value, low=found.low, high=found.high, series=name)
        for name, pick in series
        for at, layer in enumerate(layers)
        if (found := pick(layer)) is not None
    ]
    return Lines(title=title, x_title=_DEPTH, y_title=y, points=tuple(points), table=table, caption=caption)


def _right(title: str, unit: str = "") -> Column:
    return Column(title=title, unit=unit, align="right")


def _median(median: Median | None) -> Cell:
    if median is None:
        return Blank(because=_UNKNOWN)
    return Number(value=median.value, low=median.low, high=median.high, n=median.n)


def _share(share: Share | None) -> Cell:
    if share is None:
        return Blank(because="no clean example among them is read rightly")
    return Number(value=share.value, unit="share", low=share.low, high=share.high, n=share.n)
