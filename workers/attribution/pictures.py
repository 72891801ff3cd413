"""Which pictures and maps of the first examples show where the attributions lie?"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workers.attribution.compute import Case
from workers.attribution.outcome import Along, Line, Shown
from workers.attribution.parameters import baseline_of
from workers.passes.asked import ROLE
from workers.pictures.layers import LayerMap, layer_strip
from workers.subject.subject import along_channels

_EXAMPLES = 4
_TOKEN_LETTERS = 64


def pictures(case: Case, arrays: Mapping[str, Tensor]) -> tuple[tuple[Shown, bytes], ...]:
    """A strip of layers over the first examples, where the input is a picture and its places are known."""
    shown = case.shown()
    if shown.which != "place" or not shown.of:
        return ()
    few = _in_colour(case, _EXAMPLES)
    layers = [LayerMap(case.names[key], arrays[f"map/{case.names[key]}"][: len(few)]) for key, _ in shown.of]
    unit = case.kind.unit("probability" if case.parameters.scale == "probability" else case.subject.facts.output.unit)
    png = layer_strip(few, layers, unit, meaning=case.kind.signs)
    what = f"{len(layers)} layers, from input to output" if case.kind.places == "layers" else "the input"
    from_baseline = "" if baseline_of(case.parameters) is None else f" Baseline: {baseline_of(case.parameters)}."
    return (
        (
            Shown(
                artifact="layers.png",
                title=f"Where {what.partition(',')[0]} {'hold' if len(layers) > 1 else 'holds'} the {case.kind.noun}",
                alternative=f"The first {len(few)} examples, one a row, and beside each the {case.kind.noun} of {what},"
                " summed over channels, laid over it.",
                caption="Summed over channels, each cell of a layer spread evenly over the pixels it stands for."
                f" {case.kind.signs} Each row has its own scale, written beside it. The first examples, not"
                f" chosen.{from_baseline}",
            ),
            png,
        ),
    )


def sequence(case: Case, arrays: Mapping[str, Tensor]) -> Along | None:
    """The first example's attributions along its tokens or time steps; None where the input is no sequence."""
    shown = case.shown()
    if shown.which not in ("token", "time") or not shown.of:
        return None
    lines = tuple(
        Line(key=name, values=tuple(arrays[f"map/{name}"][0].double().tolist()))
        for name in (case.names[key] for key, _ in shown.of)
    )
    return Along(
        along="token" if shown.which == "token" else "time",
        labels=_tokens(case, len(lines[0].values)) if shown.which == "token" else (),
        lines=lines,
    )


def _in_colour(case: Case, most: int) -> Tensor:
    """(n, channels, H, W) in [0, 1]: the first examples, scaled by their bounds."""
    facts = case.subject.facts.input
    raw = case.subject.examples[ROLE].inputs[: min(most, len(case.ready))].double()
    low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
    scaled = (raw - low) / (high - low)
    letters = facts.layout
    if "C" not in letters:
        return scaled.unsqueeze(1)
    return scaled.permute(0, letters.index("C"), letters.index("H"), letters.index("W"))


def _tokens(case: Case, count: int) -> tuple[str, ...]:
    """How the tokens of the first example read; their ids where they are not of a text."""
    data, words = case.subject.examples[ROLE], case.subject.tokenizer
    read = [str(int(each)) for each in data.inputs[0].flatten()[:count]]
    if words is not None and data.texts is not None:
        pieces = [piece for piece, _, _ in words.pieces(data.texts[0], count)]
        read[: len(pieces)] = pieces[:count]
    read += [""] * (count - len(read))
    return tuple(each[:_TOKEN_LETTERS] for each in read)
