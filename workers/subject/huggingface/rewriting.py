"""What of a Hugging Face folder is kept, and in what form? One archive: the description, the weights, the tokenizer."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from service.contracts.facts import ModelFacts
from workers.subject.archive import Archive, Writer, opened
from workers.subject.digest import digest_of_file
from workers.subject.huggingface import models
from workers.subject.huggingface.archive import CAPS, CONFIG, CONFIG_BYTES, Folder, content_of, folder_of
from workers.subject.huggingface.config import Described, described
from workers.subject.huggingface.preprocessor import compared
from workers.subject.huggingface.tokenizer import Read, tokenizer_of
from workers.subject.huggingface.weights import Weight, weights_of
from workers.subject.network import Rewritten
from workers.subject.refusal import Refusal, quoted

REWRITER = "lamina.huggingface/1"
ROOT, NETWORK, WEIGHTS, TOKENIZER = "model", "network.json", "model.safetensors", "tokenizer.json"
MOST_BYTES = 8 << 30
"""Of all weights as float32."""
_FLOATING = ("F32", "F16", "BF16")
_SAVE = "Save the model again with save_pretrained, from the class that config.json names."


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Which tensor of the files is which of the network; `tied` names those that are another's."""

    weights: dict[str, Weight]
    tied: dict[str, str]
    notes: tuple[str, ...]


def rewrite(source: Path, target: Path, facts: ModelFacts) -> Rewritten:
    """Reads the zip of a folder at `source` as data and writes what the network needs of it to `target`.

    Equal networks give equal bytes, however they were sharded, ordered or zipped. Raises Refusal.
    """
    with opened(source, CAPS, "a zip of a Hugging Face folder") as archive:
        folder = folder_of(archive)
        found = described(content_of(archive, folder.path(CONFIG), CONFIG_BYTES))
        blank = models.blank(found)
        tokenizer = None if found.family.image else _tokenizer(archive, folder, blank)
        _long_enough(blank, found, facts)
        with weights_of(archive, source, folder, target.parent) as weights:
            matched = match(blank, weights, found)
            network = _network(models.effective(blank, found), found, matched, tokenizer, facts)
            with Writer(target, ROOT) as writer:
                writer.add_bytes(NETWORK, _json(network))
                _write_weights(writer, matched.weights)
                if tokenizer is not None:
                    writer.add_bytes(TOKENIZER, tokenizer.content)
        notes = (*found.notes, *matched.notes, *(tokenizer.notes if tokenizer else ()))
        notes += (*compared(archive, folder, facts, image=found.family.image), *_declared(found, tokenizer, facts))
        notes += _left_out(folder)
    return Rewritten(digest=digest_of_file(target), rewriter=REWRITER, torch_version=torch.__version__, notes=notes)


def _tokenizer(archive: Archive, folder: Folder, network: nn.Module) -> Read | None:
    return tokenizer_of(archive, folder, vocabulary=models.vocabulary_of(network), pad=models.pad_of(network))


def _long_enough(network: nn.Module, found: Described, facts: ModelFacts) -> None:
    """Whether a text of the declared length has a place for every token."""
    places = None if found.family.image else models.places_of(network, found)
    if places is not None and facts.input.shape and facts.input.shape[0] > places:
        raise Refusal(
            "input-shape",
            f"facts.input.shape declares texts of {facts.input.shape[0]:,} tokens; the network has {places:,} places",
            f"Declare at most {places:,} tokens; longer texts are cut.",
        )


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":")).encode("ascii")


def _network(
    keys: dict[str, Any], found: Described, matched: Matched, tokenizer: Read | None, facts: ModelFacts
) -> dict[str, Any]:
    """What `load` needs to know besides the weights."""
    texts = facts.input.kind == "text"
    return {
        "model_type": found.model_type,
        "architecture": found.architecture,
        "keys": keys,
        "outputs": found.outputs,
        "tied": matched.tied,
        "inputs": 1 if found.family.image else 2 if texts else min(1 + len(facts.further_inputs), 3),
        "padding": None if tokenizer is None else tokenizer.pad,
    }


def match(network: nn.Module, weights: dict[str, Weight], found: Described) -> Matched:
    """Finds every tensor of the network in the files, by name and shape, before anything is read of it.

    Raises Refusal naming what is missing, unknown, of another shape, or of a dtype that is not read.
    """
    wanted: dict[str, Any] = dict(network.state_dict(keep_vars=True))
    _affordable(wanted, weights)
    named, unused = _named(wanted, weights, found)
    ties, notes = _ties(network, named)
    for name, tensor in wanted.items():
        if name not in named and name not in ties:
            raise Refusal("missing-tensor", f"the files hold no tensor {quoted(name)}, which the network needs", _SAVE)
        if name in named:
            _fits(named[name], tensor)
    if unused:
        shown = ", ".join(quoted(name) for name in unused[:8]) + (", ..." if len(unused) > 8 else "")
        notes.append(f"tensors that the network does not use are dropped: {shown}")
    halves = sorted({named[name].dtype for name in named if named[name].dtype in ("F16", "BF16")})
    if halves:
        words = {"F16": "float16", "BF16": "bfloat16"}
        notes.append(f"weights are stored as {' and '.join(words[half] for half in halves)}; they are kept as float32")
    return Matched(weights=dict(sorted(named.items())), tied=dict(sorted(ties.items())), notes=tuple(notes))


def _affordable(wanted: dict[str, Any], weights: dict[str, Weight]) -> None:
    numbers = sum(prod(tensor.shape) for tensor in wanted.values())
    if numbers * 4 > MOST_BYTES:
        raise Refusal(
            "too-large",
            f"config.json describes a network of {numbers:,} numbers; {MOST_BYTES // 4:,} are read",
            "Send a smaller network, or part of it.",
        )
    there = sum(prod(weight.shape) for weight in weights.values())
    if numbers > 4 * there + 1024:
        raise Refusal(
            "budget",
            f"config.json describes a network of {numbers:,} numbers; the files hold {there:,}",
            _SAVE,
        )


def _named(wanted: dict[str, Any], weights: dict[str, Weight], found: Described) -> tuple[dict[str, Weight], list[str]]:
    """The files' tensors by the names of the network's, and those that it is known not to use."""
    family = found.family
    named: dict[str, Weight] = {}
    unused = []
    for given, weight in sorted(weights.items()):
        name = given
        for pattern, better in family.renamed:
            name = re.sub(pattern, better, name)
        if name not in wanted and family.base and f"{family.base}.{name}" in wanted:
            name = f"{family.base}.{name}"
        if name not in wanted:
            if not re.fullmatch(family.unused, name) and not re.fullmatch(family.unused, f"{family.base}.{name}"):
                raise Refusal(
                    "unknown-tensor", f"tensor {quoted(given)} belongs to no layer of {found.architecture}", _SAVE
                )
            unused.append(given)
        elif name in named:
            raise Refusal(
                "duplicate-tensor",
                f"tensors {quoted(given)} and {quoted(named[name].name)} are the same layer's",
                _SAVE,
            )
        else:
            named[name] = weight
    return named, unused


def _ties(network: nn.Module, named: dict[str, Weight]) -> tuple[dict[str, str], list[str]]:
    """Which tensors are another's. Those of a tie that the files hold twice are compared, number by number.

    Where they differ they are not tied: transformers does the same. Of equal ones, `named` keeps the one given first.
    """
    ties: dict[str, str] = {}
    notes = []
    for name, owner in models.tied(network).items():
        if name in named and owner in named:
            if named[name].digest() == named[owner].digest():
                del named[name]
                ties[name] = owner
            else:
                notes.append(
                    f"{quoted(name)} and {quoted(owner)} are tied by the class, and differ here: both are kept"
                )
        elif name in named:
            named[owner] = named.pop(name)
            ties[name] = owner
        else:
            ties[name] = owner
    return {name: owner for name, owner in ties.items() if owner in named}, notes


def _fits(weight: Weight, wanted: Any) -> None:
    if weight.shape != tuple(wanted.shape):
        raise Refusal(
            "tensor-shape",
            f"tensor {quoted(weight.name)} has shape {list(weight.shape)}; config.json describes {list(wanted.shape)}",
            _SAVE,
        )
    expected = _FLOATING if wanted.is_floating_point() else ("I64",)
    if weight.dtype not in expected:
        quantized = weight.dtype in ("I8", "U8", "F8_E4M3", "F8_E5M2", "I32")
        raise Refusal(
            "tensor-dtype",
            f"tensor {quoted(weight.name)} is stored as {weight.dtype}; {' or '.join(expected)} is read",
            "Send the weights before quantisation." if quantized else "Save the model as model.float().",
        )


def _write_weights(writer: Writer, weights: dict[str, Weight]) -> None:
    """One safetensors file: names in order, float32 (and the int64 counters of batch norm), no gaps."""
    header: dict[str, Any] = {}
    at = 0
    for name, weight in weights.items():
        size = prod(weight.shape) * (8 if weight.dtype == "I64" else 4)
        header[name] = {
            "dtype": "I64" if weight.dtype == "I64" else "F32",
            "shape": list(weight.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = _json(header)
    text += b" " * (-len(text) % 8)
    start = len(text).to_bytes(8, "little") + text
    numbers: Iterator[bytes] = chain.from_iterable(weight.numbers() for weight in weights.values())
    writer.add(WEIGHTS, len(start) + at, chain((start,), numbers))


def _declared(found: Described, tokenizer: Read | None, facts: ModelFacts) -> list[str]:
    """Where the folder says something else than its owner declared."""
    notes = []
    if not found.plays(facts.task):
        notes.append(f"facts.task declares {facts.task}; config.json names {found.architecture}")
    length = facts.input.shape[0] if facts.input.shape else 0
    if tokenizer is not None and tokenizer.longest is not None and length > tokenizer.longest:
        notes.append(
            f"facts.input.shape declares texts of {length:,} tokens; tokenizer_config.json names {tokenizer.longest:,}"
        )
    named = facts.output.classes
    generic = all(re.fullmatch(r"LABEL_\d+", label) for label in found.labels)
    if named and found.labels and len(named) == len(found.labels) and not generic:
        other = [at for at, (mine, its) in enumerate(zip(named, found.labels, strict=True)) if mine != its]
        if other:
            at = other[0]
            notes.append(
                f"{len(other)} of {len(named)} classes are called otherwise in config.json: class {at} is"
                f" {quoted(named[at])} in facts.output.classes and {quoted(found.labels[at])} in id2label"
            )
    return notes


def _left_out(folder: Folder) -> tuple[str, ...]:
    if not folder.left_out:
        return ()
    return (f"not read and not kept: {', '.join(quoted(name) for name in folder.left_out[:20])}",)
