"""Is a control library one that can be assessed? Read as data, every reference checked; the unknown is refused."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.catalog import catalog
from service.compliance.checks import control_faults
from service.compliance.library import Library, Measurable
from service.compliance.lines import BadYaml, Place, Read, read

__all__ = ["BadLibrary", "Library", "Measurable", "load", "schema", "shipped"]

PATH = Path(__file__).with_name("library.yaml")
LARGEST = 1_000_000


class BadLibrary(ValueError):
    """A library that is refused; `faults` says everything that is wrong with it, each with its place."""

    def __init__(self, faults: Collection[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@cache
def shipped() -> Library:
    """The library that comes with this version."""
    return load(PATH.read_text(encoding="utf-8"), Measurable.of(catalog()))


def load(text: str, measurable: Measurable) -> Library:
    """A library from YAML. Raises BadLibrary with every fault, each with its line."""
    if len(text) > LARGEST:
        raise BadLibrary([f"the file has {len(text)} characters; a library has {LARGEST} at most"])
    try:
        file = read(text)
    except BadYaml as error:
        raise BadLibrary([str(error)]) from error
    try:
        library = Library.model_validate_json(json.dumps(_shaped(file.content)))
    except ValidationError as error:
        raise BadLibrary(_said(error, file)) from error
    faults = [*_framework_faults(library, file)]
    for fault in control_faults(library.controls, library, measurable):
        place: Place = ("controls", fault.place)
        if fault.requirement is not None:
            place = (*place, "requirements", fault.requirement)
        faults.append(f"line {file.line(place)}: {fault}")
    if faults:
        raise BadLibrary(faults)
    return library


def schema() -> dict[str, Any]:
    """The JSON Schema of a library file. Framework items are written as `id: theme`, which reads best."""
    found = Library.model_json_schema(by_alias=True)
    theme = found["$defs"].pop("FrameworkItem")["properties"]["theme"]
    items = {"type": "object", "maxProperties": 256, "propertyNames": {"maxLength": 64}, "additionalProperties": theme}
    found["$defs"]["Framework"]["properties"]["items"] = items
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _framework_faults(library: Library, file: Read) -> Iterator[str]:
    ids = Counter(framework.id for framework in library.frameworks)
    for place, framework in enumerate(library.frameworks):
        if ids[framework.id] > 1:
            yield f"line {file.line(('frameworks', place))}: {framework.id}: two frameworks have this id"


def _shaped(read: Any) -> Any:
    """Framework items are written as `id: theme`, which reads best, and held as a list."""
    if isinstance(read, dict) and isinstance(read.get("frameworks"), list):
        for framework in read["frameworks"]:
            if isinstance(framework, dict) and isinstance(framework.get("items"), dict):
                items = framework["items"].items()
                framework["items"] = [{"id": str(name), "theme": theme} for name, theme in items]
    return read


def _said(error: ValidationError, file: Read) -> list[str]:
    found = error.errors(include_url=False)[:50]
    return [f"line {file.line(fault['loc'])}: {_place(fault['loc'], file.content)}: {fault['msg']}" for fault in found]


def _place(location: tuple[int | str, ...], read: Any) -> str:
    """Where a fault is, with the id of the control or framework instead of its number."""
    words, here = [], read
    for step in location:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        named = here.get("id") if isinstance(here, dict) else None
        words.append(str(named if named is not None else step))
    return ".".join(words) or "the file"
