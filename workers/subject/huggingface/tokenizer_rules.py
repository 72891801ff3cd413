"""What may each part of a tokenizer.json hold? Closed lists of normalizers, pre-tokenizers, post-processors, models."""

import base64
from typing import Any

from workers.subject.huggingface.rules import (
    Rule,
    Unfit,
    either,
    flag,
    maybe,
    named,
    number,
    one_of,
    several,
    text,
    whole,
)
from workers.subject.refusal import quoted

PIECES, MOST_ADDED, _LONG, _SHORT = 1_000_000, 20_000, 4096, 64
_GPT = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PATTERNS = frozenset(
    {
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
        _WORDS + _GPT + r"\p{N}{1,3}" + _REST,  # Llama 3
        _WORDS + _GPT + r"\p{N}" + _REST,  # Qwen 2
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),  # Mistral's Tekken
        r" {2,}", r"\s+", r"\s{2,}", r"\d", r"\d{1,3}", r"\p{N}", r"\p{N}{1,3}", r"[0-9]", r"[\r\n]", r"[\r\n]+",
    }
)  # fmt: skip
"""The regular expressions of well-known tokenizers, none of which backtracks for long. Others are refused."""


def _pattern(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and set(value) == {"String"}:
        return {"String": _nonempty(value["String"])}
    if not isinstance(value, dict) or set(value) != {"Regex"}:
        raise Unfit('{"String": ...} or {"Regex": ...}')
    if value["Regex"] not in PATTERNS:
        raise Unfit(
            f"a regular expression of a well-known tokenizer; {quoted(value['Regex'])} could take hours on a text"
        )
    return {"Regex": value["Regex"]}


def _nonempty(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _SHORT:
        raise Unfit(f"a text of 1 to {_SHORT} characters")
    return value


def _table(value: Any) -> str:
    """A table of replacements by sentencepiece: four bytes of length, that many of a trie, texts ended by zeros.

    The library takes the length on trust, and asks for as much memory as it says.
    """
    if not isinstance(value, str) or len(value) > 4 << 20:
        raise Unfit("base64 of at most 4 MiB")
    try:
        content = base64.b64decode(value, validate=True)
        length = int.from_bytes(content[:4], "little")
        content[4 + length :].decode("utf-8")
    except ValueError as error:
        raise Unfit("base64 of a table that ends in UTF-8 texts") from error
    if len(content) < 8 or length % 4 or not 0 < length <= len(content) - 4:
        raise Unfit("a table that is as long as it says")
    return value


_short, _token = text(_SHORT), text(512)
_behavior = one_of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_BYTES: dict[str, Rule] = {"add_prefix_space": flag, "trim_offsets": flag, "use_regex": flag}
NORMALIZERS: dict[str, dict[str, Rule]] = {
    "BertNormalizer": {
        "clean_text": flag, "handle_chinese_chars": flag, "strip_accents": maybe(flag), "lowercase": flag,
    },
    "ByteLevel": {}, "Lowercase": {}, "NFC": {}, "NFD": {}, "NFKC": {}, "NFKD": {}, "Nmt": {}, "StripAccents": {},
    "Precompiled": {"precompiled_charsmap": _table},
    "Prepend": {"prepend": _short},
    "Replace": {"pattern": _pattern, "content": _short},
    "Strip": {"strip_left": flag, "strip_right": flag},
}  # fmt: skip
PRE_TOKENIZERS: dict[str, dict[str, Rule]] = {
    "BertPreTokenizer": {}, "Whitespace": {}, "WhitespaceSplit": {}, "UnicodeScripts": {},
    "ByteLevel": _BYTES,
    "Digits": {"individual_digits": flag},
    "Metaspace": {
        "replacement": text(1), "prepend_scheme": one_of("always", "first", "never"), "split": flag,
        "add_prefix_space": flag, "str_rep": text(1),
    },
    "Punctuation": {"behavior": _behavior},
    "Split": {"pattern": _pattern, "behavior": _behavior, "invert": flag},
}  # fmt: skip


def post_processors(vocabulary: int) -> dict[str, dict[str, Rule]]:
    """Their ids go into the network as they stand, so each must have an embedding."""
    ident = whole(0, vocabulary - 1)

    def token(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise Unfit("a token and its id")
        return [_token(value[0]), ident(value[1])]

    special = named({"id": _token, "ids": several(ident, 16), "tokens": several(_token, 16)}, "id", "ids", "tokens")

    def specials(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > 64:
            raise Unfit("an object of at most 64 special tokens")
        return {_token(name): special(each) for name, each in value.items()}

    piece = either(
        named({"SpecialToken": named({"id": _token, "type_id": whole(0, 1)})}),
        named({"Sequence": named({"id": one_of("A", "B"), "type_id": whole(0, 1)})}),
    )

    def template(most: int) -> Rule:
        def read(value: Any) -> list[Any]:
            pieces: list[Any] = several(piece, 32)(value)
            if sum("Sequence" in each for each in pieces) > most:
                raise Unfit(f"a template that holds each text once, {most} in all")
            return pieces

        return read

    added: dict[str, Rule] = {"sep": token, "cls": token}
    return {
        "BertProcessing": added,
        "ByteLevel": _BYTES,
        "RobertaProcessing": {**added, "trim_offsets": flag, "add_prefix_space": flag},
        "TemplateProcessing": {"single": template(1), "pair": template(2), "special_tokens": specials},
    }


ADDED = several(
    named(
        {"id": whole(0, 1 << 31), "content": _token, "single_word": flag, "lstrip": flag, "rstrip": flag,
         "normalized": flag, "special": flag},
        "id", "content",
    ),
    MOST_ADDED,
    least=0,
)  # fmt: skip


def _vocabulary(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not 1 <= len(value) <= PIECES:
        raise Unfit(f"an object of 1 to {PIECES:,} pieces with their ids")
    for piece, ident in value.items():
        if type(ident) is not int or not 0 <= ident < 1 << 31 or len(piece) > _LONG:
            raise Unfit(f"pieces of at most {_LONG:,} characters with ids; {quoted(piece, 40)} has {quoted(ident, 40)}")
    return value


def _scored(value: Any) -> list[list[Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= PIECES:
        raise Unfit(f"a list of 1 to {PIECES:,} pieces with their scores")
    for pair in value:
        if not (
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and len(pair[0]) <= _LONG
            and type(pair[1]) in (int, float)
        ):  # fmt: skip
            raise Unfit(f"pairs of a piece and its score; one is {quoted(pair, 40)}")
    return value


def _merges(value: Any) -> list[list[str]]:
    """Pairs, as newer files have them; older ones join the two by a space."""
    if not isinstance(value, list) or len(value) > 2 * PIECES:
        raise Unfit(f"a list of at most {2 * PIECES:,} merges")
    pairs = [each.split(" ") if isinstance(each, str) else each for each in value]
    for pair in pairs:
        two = isinstance(pair, list) and len(pair) == 2
        if not two or not all(isinstance(part, str) and len(part) <= _LONG for part in pair):
            raise Unfit(f"pairs of pieces; one is {quoted(pair, 40)}")
    return pairs


MODELS: dict[str, dict[str, Rule]] = {
    "WordPiece": {
        "unk_token": _token, "continuing_subword_prefix": _short, "max_input_chars_per_word": whole(1, 1000),
        "vocab": _vocabulary,
    },
    "WordLevel": {"unk_token": _token, "vocab": _vocabulary},
    "Unigram": {"unk_id": maybe(whole(0, PIECES)), "byte_fallback": flag, "vocab": _scored},
    "BPE": {
        "dropout": maybe(number(0, 0)), "unk_token": maybe(_token), "continuing_subword_prefix": maybe(_short),
        "end_of_word_suffix": maybe(_short), "fuse_unk": flag, "byte_fallback": flag, "ignore_merges": flag,
        "vocab": _vocabulary, "merges": _merges,
    },
}  # fmt: skip
