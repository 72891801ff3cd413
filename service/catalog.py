"""Which kinds of analysis are there, and are these parameters fit for one? Read from catalog.json, without torch."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import JsonValue

from service.contracts.api import KindView
from service.contracts.problem import Fault

PATH = Path(__file__).with_name("catalog.json")


class Catalog:
    """Every analysis kind, as the workers' registry wrote it down."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        """`entries` maps a kind's name to its entry (`AnalysisKind.entry`)."""
        self._kinds = {
            name: KindView.model_validate_json(json.dumps({"name": name, **entry})) for name, entry in entries.items()
        }
        self._validators = {name: Draft202012Validator(kind.parameters) for name, kind in self._kinds.items()}

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a catalogue: a JSON object whose member `kinds` maps names to entries."""
        return cls(json.loads(path.read_bytes())["kinds"])

    @classmethod
    def load(cls) -> Self:
        """The catalogue this version was built with."""
        return cls.from_file(PATH)

    def kinds(self) -> dict[str, KindView]:
        """The kinds by name, in the order the documentation shows them."""
        return dict(self._kinds)

    def kind(self, name: str) -> KindView:
        """One kind. Raises KeyError if there is none of this name."""
        return self._kinds[name]

    def versions(self) -> dict[str, int]:
        """The kinds' versions by name."""
        return {name: kind.version for name, kind in self._kinds.items()}

    def problems(self, kind: str, parameters: Mapping[str, JsonValue]) -> list[Fault]:
        """Everything wrong with these parameters, each at its JSON Pointer into them; an unknown kind is one fault."""
        if kind not in self._kinds:
            nearest = difflib.get_close_matches(kind, self._kinds, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            return [Fault(pointer="", detail=f"no analysis kind is called {kind!r}{hint}; see /v1/kinds")]
        infinite = [Fault(pointer=at, detail="must be a finite number") for at in _not_finite(parameters, "")]
        errors = self._validators[kind].iter_errors(dict(parameters))
        return infinite or sorted((fault for error in errors for fault in _faults(error)), key=lambda f: f.pointer)

    def filled(self, kind: str, parameters: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The parameters with defaults filled in and whole numbers written as integers: what a digest is made of."""
        schema = self._kinds[kind].parameters
        filled = _filled(schema, dict(parameters), schema)
        assert isinstance(filled, dict), "an object stays an object"
        return filled


@cache
def catalog() -> Catalog:
    """The catalogue this version was built with."""
    return Catalog.load()


def pointer(*steps: str | int) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _faults(error: ValidationError) -> Iterator[Fault]:
    """A schema's complaint in words, at the member it is about."""
    at = tuple(error.absolute_path)
    schema: Any = error.schema
    given: Any = error.instance
    if error.validator == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        for name in sorted(set(given) - set(known)):
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else f"; there are {', '.join(known) or 'none'}"
            yield Fault(pointer=pointer(*at, name)[:1024], detail=f"is not a parameter{hint}"[:4000])
    elif error.validator == "required":
        for name in sorted(set(schema["required"]) - set(given)):
            yield Fault(pointer=pointer(*at, name), detail="is required")
    else:
        yield Fault(pointer=pointer(*at)[:1024], detail=error.message[:4000])


def _not_finite(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield at
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _not_finite(member, at + pointer(name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _not_finite(member, at + pointer(index))


def _filled(schema: Mapping[str, Any], value: JsonValue, root: Mapping[str, Any]) -> JsonValue:
    schema = _resolved(schema, value, root)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        whole = {name: part["default"] for name, part in properties.items() if "default" in part} | value
        return {name: _filled(properties.get(name, {}), member, root) for name, member in whole.items()}
    if isinstance(value, list):
        return [_filled(schema.get("items", {}), member, root) for member in value]
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value


def _resolved(schema: Mapping[str, Any], value: JsonValue, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that speaks about `value`: references followed, and of "this or null" the side that fits."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            sides = [side for side in schema["anyOf"] if (side.get("type") == "null") == (value is None)]
            schema = sides[0] if len(sides) == 1 else {}
        else:
            return schema
