"""What does a small JSON file of a folder say, read so that no two readers could disagree about it?

Names that occur twice, NaN, halves of surrogate pairs, numbers that no 64-bit reader holds and nesting beyond reason
are refused: Python, Rust and JavaScript would each make something else of them.
"""

import json
import math
from itertools import pairwise
from typing import Any, NoReturn

from workers.subject.refusal import Refusal, quoted

DEPTH = 24
_WHOLE = 1 << 63


def read_object(content: bytes, part: str) -> dict[str, Any]:
    """The JSON object in `content`, UTF-8; `part` names the file. Raises Refusal with code bad-json."""
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_whole,
            parse_float=_number,
        )
    except RecursionError as error:
        raise _bad(part, f"it is nested more than {DEPTH} deep") from error
    except UnicodeDecodeError as error:
        raise _bad(part, f"byte {error.start:,} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _bad(part, f"{error.msg} at character {error.pos:,}") from error
    except _Unreadable as error:
        raise _bad(part, str(error)) from error
    if not isinstance(value, dict):
        raise _bad(part, f"it holds a {type(value).__name__} and not an object")
    _sound(value, part)
    return value


class _Unreadable(ValueError):
    """What is wrong, in words of ours."""


def _bad(part: str, why: str) -> Refusal:
    return Refusal(
        "bad-json",
        f"{part} is not JSON that every reader reads alike: {why}",
        "Save the model again with save_pretrained and send the files as they were written.",
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = sorted(name for name, _ in pairs)
        twice = next(name for name, after in pairwise(names) if name == after)
        raise _Unreadable(f"the name {quoted(twice)} occurs twice in one object")
    return found


def _no_constant(text: str) -> NoReturn:
    raise _Unreadable(f"{text} is no number of JSON")


def _whole(text: str) -> int:
    if len(text) > 20 or not -_WHOLE <= (value := int(text)) < _WHOLE:
        raise _Unreadable(f"the number {quoted(text, 40)} does not fit into 64 bits")
    return value


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _Unreadable(f"the number {quoted(text, 40)} is too large")
    return value


def _sound(value: dict[str, Any], part: str) -> None:
    """Every name and text is whole Unicode, and nothing lies deeper than DEPTH; walked without recursion."""
    texts: list[str] = []
    level: list[Any] = [value]
    for _ in range(DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                texts.extend(each)
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
            elif isinstance(each, str):
                texts.append(each)
        level = below
        if not level:
            break
    else:
        raise _bad(part, f"it is nested more than {DEPTH} deep")
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _bad(part, "a text holds half of a surrogate pair") from error
