"""Which pictures and figures show from where the network reads?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Heat, Number, Table, Word
from workers.analyses.attention_rollout.case import Case
from workers.analyses.attention_rollout.outcome import Attended, Depth, LayerRow, RolloutOutcome, RowMap
from workers.attention.run import keys
from workers.attribution.outcome import Average, Shown
from workers.attribution.words import number
from workers.passes.asked import ROLE
from workers.pictures.figures import time_map, token_map
from workers.pictures.layers import MOST_LAYERS, LayerLine, LayerMap, layer_strip, spread
from workers.subject.subject import along_channels

_PICTURED, _MOST_TOKENS, _MOST_BARS, _LISTED = 4, 2048, 60, 20
_ITSELF = "the network's own forward"


def pictures(case: Case, arrays: Mapping[str, Tensor]) -> tuple[tuple[Shown, bytes], ...]:
    """A strip of the first examples, where the tokens are patches of a picture."""
    if case.grid is None or "rows" not in arrays:
        return ()
    rows, columns, leading = case.grid
    few = _in_colour(case)[: len(arrays["rows"])]
    chosen = [(at, keys(case.structure)[at]) for at in spread(len(keys(case.structure)), MOST_LAYERS)]
    layers = [
        LayerMap(named(key), arrays["rows"][: len(few), at, leading:].reshape(len(few), rows, columns).double())
        for at, key in chosen
    ]
    png = layer_strip(few, layers, "share" if case.parameters.rule == "rollout" else "relevance", meaning=_MEANING)
    beside = f" {leading} leading token{'s are' if leading > 1 else ' is'} not in the picture." if leading else ""
    shown = Shown(
        artifact="rollout.png",
        title="Where what is read comes from",
        alternative=f"The first {len(few)} examples, one a row, and beside each how much of every patch is in what is"
        f" read after each of {len(layers)} layers, laid over it.",
        caption=f"{rows} by {columns} patches in reading order, layers from input to output.{beside} Each row has its"
        " own scale, written beside it. The first examples, not chosen.",
    )
    return ((shown, png),)


_MEANING = "The bluer, the more of what is read comes from here."


def _in_colour(case: Case) -> Tensor:
    """(n, channels, H, W) in [0, 1]: the first examples, scaled by their bounds."""
    facts = case.subject.facts.input
    raw = case.subject.examples[ROLE].inputs[: min(_PICTURED, len(case.ready))].double()
    low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
    scaled = (raw - low) / (high - low)
    if "C" not in facts.layout:
        return scaled.unsqueeze(1)
    return scaled.permute(0, *(facts.layout.index(letter) for letter in "CHW"))


def sequence(case: Case, arrays: Mapping[str, Tensor]) -> RowMap | None:
    """The first example's rows along its tokens or time steps; None where the input is no such sequence."""
    facts = case.subject.facts.input
    if "rows" not in arrays or case.tokens > _MOST_TOKENS or case.grid is not None:
        return None
    rows = tuple(
        LayerRow(key=key, values=tuple(each.double().tolist()))
        for key, each in zip(keys(case.structure), arrays["rows"][0], strict=True)
    )
    if facts.kind in ("text", "tokens") and facts.shape and facts.shape[0] == case.tokens:
        return RowMap(along="token", labels=_tokens(case), rows=rows)
    if facts.kind == "series" and "T" in facts.layout and facts.shape[facts.layout.index("T") - 1] == case.tokens:
        return RowMap(along="time", labels=(), rows=rows)
    return None


def _tokens(case: Case) -> tuple[str, ...]:
    """How the tokens of the first example read; their ids where they are not of a text."""
    data, words = case.subject.examples[ROLE], case.subject.tokenizer
    read = [str(int(each)) for each in data.inputs[0].flatten()]
    if words is not None and data.texts is not None:
        pieces = [piece for piece, _, _ in words.pieces(data.texts[0], case.tokens)]
        read[: len(pieces)] = pieces
    return tuple(each[:64] for each in read[: case.tokens])


def heat(outcome: RolloutOutcome, found: RowMap) -> Heat:
    """The map of the first example."""
    lines = [LayerLine(named(row.key), torch.tensor(row.values, dtype=torch.float64)) for row in found.rows]
    unit = "share" if outcome.rule == "rollout" else "relevance"
    made = (
        token_map(found.labels, lines, unit, "The first example.")
        if found.along == "token"
        else time_map(len(found.rows[0].values), lines, unit, "The first example.")
    )
    title = f"From which {'token' if found.along == 'token' else 'time step'} what is read comes, layer by layer"
    wide = made.caption.partition(" Each column is")
    table = made.table.model_copy(
        update={"title": title, "columns": (*made.table.columns[:-1], Column(title=unit.capitalize(), align="right"))}
    )
    return made.model_copy(
        update={
            "title": title, "value_title": unit.capitalize(), "table": table,
            "caption": "The first example. One scale for all layers; a row says what the tokens read would hold of each"
            f" token if that layer were the last.{wide[1]}{wide[2]}",
        }
    )  # fmt: skip


def entropies(outcome: RolloutOutcome) -> Bars:
    """How wide each layer attends."""
    shown = outcome.attentions[:_MOST_BARS]
    return Bars(
        title="Entropy of attention, by layer from input to output",
        value_title="Entropy",
        unit="nat",
        bars=tuple(
            Bar(label=named(each.key), value=each.entropy.value, low=each.entropy.low, high=each.entropy.high)
            for each in shown
        ),
        table=_attentions(outcome),
        caption=f"Mean over {outcome.examples} examples, heads and the tokens that lead to the target; 0: a token"
        " attends to one token. Whiskers: 95 % Student's t over examples."
        + (f" The first {_MOST_BARS} of {len(outcome.attentions)}." if len(outcome.attentions) > _MOST_BARS else ""),
    )


def _attentions(outcome: RolloutOutcome) -> Table:
    unit = "tokens" if outcome.grid is None else "patches"
    return Table(
        title="The attention of each layer",
        columns=(
            Column(title="Layer"), Column(title="Reads"), Column(title="Heads", align="right"),
            Column(title="Queries", align="right"), Column(title="Keys", align="right"),
            Column(title="Entropy", unit="nat", align="right"), Column(title="Distance", unit=unit, align="right"),
        ),
        rows=tuple(_attention(each) for each in outcome.attentions),
        note="In order of running. Distance: from a token to what it attends to, by its weights.",
    )  # fmt: skip


def _attention(each: Attended) -> tuple[Cell, ...]:
    reads = "itself, what came before" if each.causal else "itself" if each.reads == "self" else "another sequence"
    return (
        Word(value=named(each.key)), Word(value=reads), Number(value=each.heads, count=True),
        Number(value=each.queries, count=True), Number(value=each.keys, count=True), number(each.entropy),
        Blank(because="between two sequences there is no distance") if each.distance is None else number(each.distance),
    )  # fmt: skip


def depths(outcome: RolloutOutcome) -> Table:
    """What the rows hold after each layer."""
    return Table(
        title="What is read, after each layer",
        columns=(
            Column(title="Layer"), Column(title="Entropy of the tokens", unit="nat", align="right"),
            Column(title="Largest token", unit="share", align="right"), Column(title="Total", align="right"),
        ),
        rows=tuple(_depth(each) for each in outcome.depths),
        note="Total: 1 for rollout, whose rows sum to one; the sum of relevances for gradient.",
    )  # fmt: skip


def _depth(each: Depth) -> tuple[Cell, ...]:
    return (Word(value=named(each.key)), _known(each.entropy), _known(each.largest), number(each.total))


def _known(average: Average | None) -> Cell:
    return Blank(because="no example has any relevance here") if average is None else number(average)


def positions(outcome: RolloutOutcome) -> Table:
    """The tokens from which most is read, by their place."""
    first = sorted(outcome.positions, key=lambda each: -each.share.value)[:_LISTED]
    return Table(
        title="Positions from which most is read",
        columns=(Column(title="Position", align="right"), Column(title="Share after the last layer", align="right")),
        rows=tuple((Number(value=each.position, count=True), number(each.share)) for each in first),
        note=f"Positions from 0, the largest of {len(outcome.positions)}; means over examples, 95 % Student's t. Chosen"
        " for being the largest, so the intervals do not account for the choice.",
    )


def named(key: str) -> str:
    """A layer's name; the network's own forward has none."""
    return key or _ITSELF
