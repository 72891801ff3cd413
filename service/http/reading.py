"""Is this what the endpoint was promised? Bodies and queries are read here, and all their faults are found at once."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict

from service.contracts.base import Value
from service.contracts.problem import Fault
from service.http.problems import Refusal

V = TypeVar("V", bound=Value)
DEEPEST = 32
LARGEST_INTEGER = 2**53 - 1
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(rb"[\[\]{}]")
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "model_type": "must be an object",
    "dict_type": "must be an object",
}


def pointer(location: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901) to a place."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def faults_of(error: ValidationError, start: str = "", *, query: bool = False) -> tuple[Fault, ...]:
    """Every fault pydantic found, at its pointer; `?name` for a query parameter."""
    details = error.errors(include_url=False, include_input=False)
    deeper = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    found = []
    for detail in details:
        # A list that lost its faulty items is also "too short": the items are the fault.
        if detail["type"] == "too_short" and detail["loc"] in deeper:
            continue
        location = [part for part in detail["loc"] if part != "[key]"]
        place = "?" + ".".join(map(str, location)) if query else start + pointer(location)
        found.append(Fault(pointer=place[:1024], detail=_sentence(detail)))
    return tuple(found)


def _sentence(detail: ErrorDetails) -> str:
    text = WORDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    return text.replace("Input should", "should")[:4000]


def read_json(model: type[V], content: bytes) -> tuple[V | None, tuple[Fault, ...]]:
    """The body as a value, or its faults. Raises Refusal (malformed) when it is no JSON, or too deeply nested."""
    if _depth(content) > DEEPEST:
        raise Refusal("malformed", f"The JSON body is nested more than {DEEPEST} levels deep.")
    try:
        tree = json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise Refusal("malformed", f"The body is not valid JSON: {error}.") from error
    unstorable = tuple(_unstorable(tree, ()))
    try:
        return (None if unstorable else model.model_validate_json(content)), unstorable
    except ValidationError as error:
        if any(detail["type"] == "json_invalid" for detail in error.errors(include_url=False, include_input=False)):
            raise Refusal("malformed", "The body is not valid JSON: it holds text that is no Unicode.") from error
        return None, faults_of(error)


def _depth(content: bytes) -> int:
    depth = deepest = 0
    for match in BRACKET.finditer(TEXT.sub(b"", content)):
        depth += 1 if match[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise ValueError(f"the member {twice[:100]!r} is given twice")
    return members


def _unstorable(tree: Any, location: tuple[str | int, ...]) -> Iterator[Fault]:
    """What is JSON, but not the JSON that canonical form (RFC 8785) and every database can keep."""
    if isinstance(tree, dict):
        for name, member in tree.items():
            if "\0" in name:
                yield Fault(pointer=pointer(location)[:1024], detail="has a member whose name holds a NUL character")
            yield from _unstorable(member, (*location, name))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _unstorable(item, (*location, index))
    elif isinstance(tree, str) and "\0" in tree:
        yield Fault(pointer=pointer(location)[:1024], detail="holds a NUL character, which cannot be kept")
    elif isinstance(tree, int) and abs(tree) > LARGEST_INTEGER:
        yield Fault(pointer=pointer(location)[:1024], detail="is an integer beyond 2^53 - 1, which JSON cannot hold")
    elif isinstance(tree, float) and tree in (float("inf"), float("-inf")):
        yield Fault(pointer=pointer(location)[:1024], detail="is a number beyond what a double can hold")


def read_query(model: type[V], given: MultiDict[str, str]) -> tuple[V | None, tuple[Fault, ...]]:
    """The query string as a value, or its faults."""
    twice = tuple(
        Fault(pointer=f"?{name[:200]}", detail="is given twice") for name in given if len(given.getlist(name)) > 1
    )
    try:
        value = model.model_validate_strings(given.to_dict())
    except ValidationError as error:
        return None, (*twice, *faults_of(error, query=True))
    return value, twice
