"""A sound folder of a small GPT-2, made without transformers, and how one part of it becomes hostile."""

import copy
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service.contracts.facts import ModelFacts
from tests.hostile.harness import facts_of

Members = dict[str, bytes]
Build = Callable[[Path], None]
WIDTH, VOCABULARY, PLACES, LENGTH = 4, 12, 16, 6
CONFIG: dict[str, Any] = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": WIDTH, "n_layer": 1, "n_head": 2,
    "vocab_size": VOCABULARY, "n_positions": PLACES, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip
_BLOCK = {
    "ln_1.weight": (WIDTH,), "ln_1.bias": (WIDTH,), "attn.c_attn.weight": (WIDTH, 3 * WIDTH),
    "attn.c_attn.bias": (3 * WIDTH,), "attn.c_proj.weight": (WIDTH, WIDTH), "attn.c_proj.bias": (WIDTH,),
    "ln_2.weight": (WIDTH,), "ln_2.bias": (WIDTH,), "mlp.c_fc.weight": (WIDTH, 4 * WIDTH),
    "mlp.c_fc.bias": (4 * WIDTH,), "mlp.c_proj.weight": (4 * WIDTH, WIDTH), "mlp.c_proj.bias": (WIDTH,),
}  # fmt: skip
SHAPES: dict[str, tuple[int, ...]] = {
    "transformer.wte.weight": (VOCABULARY, WIDTH),
    "transformer.wpe.weight": (PLACES, WIDTH),
    **{f"transformer.h.0.{name}": shape for name, shape in _BLOCK.items()},
    "transformer.ln_f.weight": (WIDTH,),
    "transformer.ln_f.bias": (WIDTH,),
}
TOKENIZER: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [
        {"id": 0, "content": "<pad>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
    ],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<pad>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<pad>": {"id": "<pad>", "ids": [0], "tokens": ["<pad>"]}},
    },
    "decoder": None,
    "model": {
        "type": "BPE", "dropout": None, "unk_token": "<pad>", "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {"<pad>": 0, "a": 1, "b": 2, "e": 3, "i": 4, "t": 5, "h": 6, "th": 7}, "merges": [["t", "h"]],
    },
}  # fmt: skip


def numbers(shape: tuple[int, ...], start: int) -> bytes:
    """float32, small, all different."""
    count = 1
    for size in shape:
        count *= size
    return struct.pack(f"<{count}f", *(((start + at) * 7919 % 200 - 100) / 200 for at in range(count)))


def header(described: Any) -> bytes:
    """The beginning of a safetensors file."""
    text = described if isinstance(described, bytes) else json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text


def described(shapes: dict[str, tuple[int, ...]], dtype: str = "F32", size: int = 4) -> dict[str, Any]:
    """What a sound header says of float32 tensors one after another."""
    found, at = {}, 0
    for name, shape in shapes.items():
        length = size * len(numbers(shape, 0)) // 4
        found[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + length]}
        at += length
    return found


def weights(shapes: dict[str, tuple[int, ...]] | None = None) -> bytes:
    """A sound safetensors file."""
    shapes = SHAPES if shapes is None else shapes
    return header(described(shapes)) + b"".join(numbers(shape, at) for at, shape in enumerate(shapes.values()))


def sound() -> Members:
    """The whole folder."""
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": weights(),
        "tokenizer.json": json.dumps(TOKENIZER).encode(),
        "tokenizer_config.json": b'{"pad_token": "<pad>", "model_max_length": 16}',
    }


def packed(members: Callable[[], Members], method: int = zipfile.ZIP_STORED) -> Build:
    """Writes the members as a customer's zip."""

    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            for name, content in members().items():
                file.writestr(name, content)

    return build


def added(**changes: bytes) -> Build:
    """The folder with more files, or others."""
    return packed(lambda: {**sound(), **changes})


def without(name: str) -> Build:
    """The folder with one file less."""
    return packed(lambda: {each: content for each, content in sound().items() if each != name})


def config(**changes: Any) -> Build:
    """The folder with keys of its config changed."""
    return added(**{"config.json": json.dumps({**CONFIG, **changes}).encode()})


def tokenizer(change: Callable[[dict[str, Any]], Any]) -> Build:
    """The folder with its tokenizer changed in place."""

    def members() -> Members:
        value = copy.deepcopy(TOKENIZER)
        change(value)
        return {**sound(), "tokenizer.json": json.dumps(value).encode()}

    return packed(members)


def headed(change: Callable[[dict[str, Any]], Any]) -> Build:
    """The folder with the header of its weights changed in place, the numbers after it as they were."""

    def members() -> Members:
        value = described(SHAPES)
        change(value)
        content = b"".join(numbers(shape, at) for at, shape in enumerate(SHAPES.values()))
        return {**sound(), "model.safetensors": header(value) + content}

    return packed(members)


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every leaf of a JSON value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*at, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from leaves(each, (*at, place))
    else:
        yield at


def facts(kind: str = "text") -> ModelFacts:
    """Texts of a few tokens, or their ids; the next one is asked for."""
    ids = {"kind": kind, "layout": "NT", "shape": [LENGTH], "bounds": {"low": [0], "high": [VOCABULARY - 1]}}
    return facts_of({"task": "next_token", "input": ids, "output": {"kind": "logits"}})
