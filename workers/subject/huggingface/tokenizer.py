"""What of a tokenizer.json is kept? Every part by a rule of its own; what turns text into ids, and nothing else.

The Rust library that reads it accepts more than is safe: regular expressions that take exponential time, replacements
that multiply a text, ids beyond the embedding, merges dropped at random. Source of the parts: tokenizers 0.23.
"""

import json
from dataclasses import dataclass
from typing import Any

from workers.subject.archive import Archive
from workers.subject.huggingface.archive import (
    CONFIG_BYTES,
    TOKENIZER,
    TOKENIZER_BYTES,
    TOKENIZER_CONFIG,
    Folder,
    content_of,
)
from workers.subject.huggingface.rules import Rule, Unfit
from workers.subject.huggingface.strict import read_object
from workers.subject.huggingface.tokenizer_rules import ADDED, MODELS, NORMALIZERS, PRE_TOKENIZERS, post_processors
from workers.subject.refusal import Refusal, quoted

_SAVE = (
    "Save the tokenizer with tokenizer.save_pretrained(folder), which writes the tokenizer.json of a fast tokenizer."
)
_GROWTH = 16.0
_PARTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A tokenizer as the canonical form holds it. pad: the id of the padding; longest: what it declares, in tokens."""

    content: bytes
    pad: int
    longest: int | None
    notes: tuple[str, ...]


def tokenizer_of(archive: Archive, folder: Folder, *, vocabulary: int, pad: int | None) -> Read | None:
    """The tokenizer of the folder, if it has one; every id it can give is below `vocabulary`.

    pad: the network's own id for no token. Raises Refusal naming the part and the remedy.
    """
    if TOKENIZER not in folder:
        return None
    found = read_object(content_of(archive, folder.path(TOKENIZER), TOKENIZER_BYTES), TOKENIZER)
    kept = _kept(found, vocabulary)
    ids = _ids(kept)
    high = max(ids.values(), default=0)
    if high >= vocabulary:
        raise Refusal(
            "tokenizer-ids",
            f"{TOKENIZER} gives ids up to {high:,}; the network has embeddings for {vocabulary:,}",
            "Send the tokenizer that belongs to these weights (model.resize_token_embeddings may be missing).",
        )
    settings, notes = _settings(archive, folder)
    own = ids.get(settings["pad_token"]) if "pad_token" in settings else None
    chosen = next((each for each in (pad, own) if each is not None), 0)
    longest = settings.get("model_max_length")
    content = json.dumps(kept, allow_nan=False, sort_keys=True, separators=(",", ":")).encode("ascii")
    return Read(content=content, pad=chosen, longest=longest, notes=tuple(notes))


def _settings(archive: Archive, folder: Folder) -> tuple[dict[str, Any], list[str]]:
    """What tokenizer_config.json says of padding and length; its class, its code and its chat template are not read."""
    if TOKENIZER_CONFIG not in folder:
        return {}, []
    found = read_object(content_of(archive, folder.path(TOKENIZER_CONFIG), 4 * CONFIG_BYTES), TOKENIZER_CONFIG)
    if found.get("auto_map"):
        raise Refusal(
            "custom-code",
            f"{TOKENIZER_CONFIG}: auto_map names Python code of the tokenizer's own, which is never run",
            "Send the tokenizer.json of a stock fast tokenizer.",
        )
    settings: dict[str, Any] = {}
    notes = []
    token = found.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    if isinstance(token, str):
        settings["pad_token"] = token
    longest = found.get("model_max_length")
    if type(longest) is int and 1 <= longest <= 1 << 20:
        settings["model_max_length"] = longest
    if found.get("padding_side") == "left":
        notes.append(f"{TOKENIZER_CONFIG}: padding on the left is declared; texts are padded on the right, and masked")
    return settings, notes


def _refused(part: str, wanted: str) -> Refusal:
    return Refusal("tokenizer", f"{TOKENIZER}: {part} must be {wanted}", _SAVE)


def _applied(part: str, rule: Rule, value: Any) -> Any:
    try:
        return rule(value)
    except Unfit as unfit:
        raise _refused(part, str(unfit)) from unfit


def _kept(found: dict[str, Any], vocabulary: int) -> dict[str, Any]:
    """The whole file by its rules. Truncation, padding and decoder are ours to choose, or not needed."""
    kept = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _applied("added_tokens", ADDED, found.get("added_tokens") or []),
        "normalizer": _part("normalizer", found.get("normalizer"), NORMALIZERS, "normalizers"),
        "pre_tokenizer": _part("pre_tokenizer", found.get("pre_tokenizer"), PRE_TOKENIZERS, "pretokenizers"),
        "post_processor": _part(
            "post_processor", found.get("post_processor"), post_processors(vocabulary), "processors"
        ),
        "decoder": None,
        "model": _model(found.get("model")),
    }
    _grows_little(kept["normalizer"])
    return kept


def _part(name: str, value: Any, types: dict[str, dict[str, Rule]], several_of: str, depth: int = 0) -> Any:
    """One normalizer, pre-tokenizer or post-processor of a closed list of types, or a sequence, two deep at most."""
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "Sequence" and depth < 2:
        inner = value.get(several_of)
        if not isinstance(inner, list) or not 0 < len(inner) <= _PARTS:
            raise _refused(f"{name}.{several_of}", f"a list of 1 to {_PARTS} parts")
        return {"type": kind, several_of: [_part(name, each, types, several_of, depth + 1) for each in inner]}
    if not isinstance(kind, str) or kind not in types:
        raise _refused(f"{name}.type", f"one of {', '.join(sorted(types))}, Sequence; it is {quoted(kind)}")
    rules = types[kind]
    unknown = sorted(set(value) - set(rules) - {"type"})
    if unknown:
        raise _refused(f"{name} of type {kind}", f"without {quoted(unknown[0])}, which is not read")
    if "pattern" in rules and "pattern" not in value:
        raise _refused(f"{name} of type {kind}", "given a pattern")
    read = {key: _applied(f"{name}.{key}", rules[key], value[key]) for key in value if key != "type"}
    return {"type": kind, **read}


def _grows_little(normalizer: Any) -> None:
    """Replacements in a row multiply a text; together by no more than a small number."""
    parts, growth = [normalizer], 1.0
    while parts:
        part = parts.pop()
        if isinstance(part, dict) and part["type"] == "Sequence":
            parts.extend(part["normalizers"])
        elif isinstance(part, dict) and part["type"] == "Replace":
            growth *= max(1.0, len(part.get("content", "")) / len(part["pattern"].get("String", "x")))
    if growth > _GROWTH:
        raise _refused(
            "normalizer", f"of replacements that lengthen a text at most {_GROWTH:g} times; these do {growth:,.0f}"
        )


def _model(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused("model", f"one of {', '.join(MODELS)}")
    kind = value.get("type", "BPE" if "merges" in value else None)  # older files of byte-pair models leave it out
    if not isinstance(kind, str) or kind not in MODELS:
        raise _refused("model.type", f"one of {', '.join(MODELS)}; it is {quoted(kind)}")
    rules = MODELS[kind]
    unknown = sorted(set(value) - set(rules) - {"type"})
    if unknown:
        raise _refused(f"model of type {kind}", f"without {quoted(unknown[0])}, which is not read")
    return {"type": kind, **{key: _applied(f"model.{key}", rules[key], value[key]) for key in value if key != "type"}}


def _ids(kept: dict[str, Any]) -> dict[str, int]:
    """Every token with its id, those that were added included."""
    vocab = kept["model"].get("vocab", {})
    ids = dict(vocab) if isinstance(vocab, dict) else {pair[0]: at for at, pair in enumerate(vocab)}
    return ids | {token["content"]: token["id"] for token in kept["added_tokens"]}
