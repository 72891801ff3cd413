"""What is checked in as generated is what would be generated now."""

import json
from collections.abc import Iterator
from typing import Any

from workers import catalog

PYDANTICS_OWN = {"ge", "gt", "le", "lt", "strict", "max_length", "min_length"}


def test_the_catalogue_is_the_registry() -> None:
    assert catalog.CATALOG.read_text() == catalog.text(), "run `make catalog`"


def test_the_readmes_table_is_the_registry() -> None:
    readme = catalog.README.read_text()
    assert catalog.BEGIN in readme
    assert readme == catalog.with_table(readme), "run `make catalog`"


def keys(schema: Any) -> Iterator[str]:
    """Every key of a schema that is a word of the schema, not the name of a property."""
    if isinstance(schema, list):
        for value in schema:
            yield from keys(value)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key
            for inner in value.values() if key in ("properties", "$defs") else [value]:
                yield from keys(inner)


def test_every_bound_is_written_in_words_a_schema_validator_knows() -> None:
    for kind in json.loads(catalog.text())["kinds"].values():
        for schema in (kind["parameters"], kind["outcome"]):
            assert PYDANTICS_OWN.isdisjoint(keys(schema))
