"""Is what a child wrote a message? One strict JSON object per line, bounded in size, depth and rate; else it is not."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from .inside import LINE_BYTES, RESERVED
from .spec import ChildMisbehaved

LINES_PER_SECOND = 100
LINES_AT_ONCE = 2000
"""What a well-behaved child can leave in the pipe while nobody reads."""
BYTES_PER_SECOND = 256 * 1024
BYTES_AT_ONCE = 4 << 20
"""Reading 64 KiB of the worst JSON takes the worker 15 ms: at the rate of lines alone, a child could keep it busy."""
DEPTH = 32


def parse(line: bytes) -> dict[str, Any]:
    """One line without its end -> one object. ChildMisbehaved for NaN, a repeated key, depth > 32, lone surrogates."""
    try:
        message = json.loads(line, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unrepeated)
        json.dumps(message, ensure_ascii=False).encode()  # fails on what UTF-8 cannot carry
    except (ValueError, RecursionError) as error:
        raise ChildMisbehaved(f"the child wrote a line that is no strict JSON: {type(error).__name__}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ChildMisbehaved('the child wrote a line that is no object with a "type"')
    if _depth(message) > DEPTH:
        raise ChildMisbehaved(f"the child wrote a message nested deeper than {DEPTH}")
    return message


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a key appears twice")
    return message


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = [list(item.values()) if isinstance(item, dict) else item for item in level]
        level = [part for item in inner if isinstance(item, list) for part in item]
    return deepest


class Lines:
    """Cuts what arrives on a child's pipe into messages, and keeps its first (`entered`) and last (`ended`) apart."""

    def __init__(self) -> None:
        self.entered: dict[str, Any] | None = None
        self.ended = ""
        self._rest = b""
        self._lines_left, self._bytes_left = float(LINES_AT_ONCE), float(BYTES_AT_ONCE)
        self._counted_at = time.monotonic()

    def feed(self, content: bytes) -> list[dict[str, Any]]:
        """The messages completed by `content`. ChildMisbehaved for too many lines, a long one, or a malformed one."""
        *complete, self._rest = (self._rest + content).split(b"\n")
        if len(self._rest) >= LINE_BYTES or any(len(line) >= LINE_BYTES for line in complete):
            raise ChildMisbehaved(f"the child wrote a line of more than {LINE_BYTES} bytes")
        self._count(len(complete), len(content))
        return [message for line in complete if self._keep(message := parse(line))]

    def _count(self, lines: int, size: int) -> None:
        now = time.monotonic()
        passed, self._counted_at = now - self._counted_at, now
        self._lines_left = min(LINES_AT_ONCE, self._lines_left + passed * LINES_PER_SECOND) - lines
        self._bytes_left = min(BYTES_AT_ONCE, self._bytes_left + passed * BYTES_PER_SECOND) - size
        if self._lines_left < 0:
            raise ChildMisbehaved(f"the child wrote more than {LINES_PER_SECOND} lines a second")
        if self._bytes_left < 0:
            raise ChildMisbehaved(f"the child wrote more than {BYTES_PER_SECOND} bytes a second")

    def _keep(self, message: dict[str, Any]) -> bool:
        """Note the sandbox's own messages; `entered` is the first line, written before any foreign code ran."""
        if (message["type"] == "entered") != (self.entered is None and message["type"] != "ended"):
            raise ChildMisbehaved('the child wrote "entered" itself, or something before it')
        if message["type"] == "entered":
            self.entered = message
        if message["type"] == "ended":
            self.ended = str(message.get("detail", ""))[:LINE_BYTES]
        return message["type"] not in RESERVED[1:]
