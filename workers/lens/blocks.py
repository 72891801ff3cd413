"""After which layers of a language model can its last norm and its unembedding be applied?

Its blocks give the residual stream: the largest modules that hold one self-attention each and give a state of the
shape (tokens, width). They are found through the attentions, or named by whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workers.attention.find import find
from workers.attention.refusals import AttentionRefused
from workers.attention.structure import EncoderDecoder, Stack, structure
from workers.lens.refusals import NoLens
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import UnknownTap
from workers.sweep.tree import tensors


@dataclass(frozen=True, slots=True)
class Blocks:
    """The taps of the residual stream: after the embedding where that is a layer, then after each block."""

    embedding: Tap | None
    blocks: tuple[Tap, ...]

    @property
    def all(self) -> tuple[Tap, ...]:
        """In the order in which they run."""
        return self.blocks if self.embedding is None else (self.embedding, *self.blocks)


def blocks(ready: Prepared, named: Sequence[str] = ()) -> Blocks:
    """The blocks of a model, or the layers `named` in their place. Raises NoLens, UnknownTap."""
    made = _structure(ready)
    if not named and isinstance(made, AttentionRefused):
        raise NoLens(f"{made}; blocks are told by their attentions, so name them as layers") from made
    names = frozenset(named) or _holding(ready, made)
    missing = names - {tap.layer for tap in ready.layers}
    if missing:
        raise UnknownTap(f"{', '.join(sorted(missing))}: no such layer ran")
    reads_more = isinstance(made, EncoderDecoder)
    found = tuple(tap for tap in ready.layers if tap.layer in names and _is_state(tap, beside=reads_more))
    without = names - {tap.layer for tap in found}
    if without or not found[-1].cut:
        raise NoLens(
            f"'{min(without) if without else found[-1].key}' gives nothing of the shape (tokens, width) through which"
            " everything passes on to the output: its state does not stand for the model there"
        )
    shapes = {tap.shape for tap in found}
    if len(shapes) > 1:
        raise NoLens(
            f"the blocks give states of the shapes {', '.join(map(str, sorted(shapes)))}: the head reads one width, and"
            " cannot be applied to the others"
        )
    return Blocks(None if reads_more else _embedding(ready, found[0]), found)


def _structure(ready: Prepared) -> Stack | EncoderDecoder | AttentionRefused:
    try:
        return structure(find(ready.model, ready.x, ready.probe.rows))
    except AttentionRefused as error:
        return error


def _is_state(tap: Tap, *, beside: bool) -> bool:
    """Whether everything passes through this tensor; what a decoder reads of an encoder passes `beside` its states."""
    return tap.status == "on_path" and len(tap.shape) == 2 and (tap.cut or beside)


def _embedding(ready: Prepared, first: Tap) -> Tap | None:
    """The last state before anything of the first block runs."""
    before: Tap | None = None
    for tap in ready.layers:
        if tap.layer == first.layer or tap.layer.startswith(f"{first.layer}."):
            break
        if _is_state(tap, beside=False) and tap.shape == first.shape:
            before = tap
    return before


def _holding(ready: Prepared, made: Stack | EncoderDecoder | AttentionRefused) -> frozenset[str]:
    """The layers that hold one self-attention each of the sequence from which the output comes."""
    assert not isinstance(made, AttentionRefused)
    own = made.layers if isinstance(made, Stack) else made.decoder
    names = list(dict.fromkeys(each.layer for each in own if each.reads == "self"))
    if len(names) > 1:
        return _parted(names)
    return frozenset((_alone(ready, names[0] if names else own[0].layer),))


def _parted(names: Sequence[str]) -> frozenset[str]:
    """Where the names of several attentions part: `h.0` and `h.1` of `h.0.attn` and `h.1.attn`."""
    parts = [name.split(".") for name in names]
    shared = 0
    while len({tuple(each[: shared + 1]) for each in parts}) == 1:
        shared += 1
    return frozenset(".".join(each[: shared + 1]) for each in parts)


def _alone(ready: Prepared, name: str) -> str:
    """The block of the only attention: of the modules around it that are given a state of the shape that they give,
    the outermost numbered one, else the outermost."""
    parts = name.split(".")
    around = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
    usable = {tap.layer for tap in ready.layers if _is_state(tap, beside=False)}
    given = [each for each in around if each in usable and each in _handing_on(ready, around)]
    chosen = [each for each in given if each.rpartition(".")[2].isdecimal()] or given
    if not chosen:
        raise NoLens(
            f"no module around the attention in '{name}' is given a state of the shape (tokens, width) and gives one"
            " through which everything passes; name the blocks as layers"
        )
    return chosen[0]


def _handing_on(ready: Prepared, names: Sequence[str]) -> set[str]:
    """Which of these modules are given a floating-point tensor of a shape that they also give."""
    found: set[str] = set()

    def hook(name: str) -> Callable[..., None]:
        def on_forward(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            given = {each.shape for each in tensors((args, kwargs)) if each.is_floating_point()}
            if any(each.shape in given for each in tensors(output)):
                found.add(name)

        return on_forward

    modules = dict(ready.model.named_modules())
    handles = [modules[name].register_forward_hook(hook(name), with_kwargs=True) for name in names if name in modules]
    try:
        with torch.no_grad():
            ready.model(*first_rows(ready))
    finally:
        for handle in handles:
            handle.remove()
    return found


def first_rows(ready: Prepared) -> tuple[Tensor, ...]:
    """The first example, as often as the model takes rows."""
    rows = ready.probe.rows or ready.probe.least_rows
    return tuple(each[:1].expand(rows, *each.shape[1:]).clone() for each in ready.x)
