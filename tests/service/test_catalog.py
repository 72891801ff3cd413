"""Does the catalogue find what is wrong with parameters, where it is, and fill in the rest?"""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from service.catalog import Catalog, pointer
from tests.service.work.world import CATALOG, KIND

NESTED = Catalog(
    {
        "nested": {
            **KIND,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "$defs": {
                    "Path": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["start"],
                        "properties": {"start": {"type": "string"}, "steps": {"type": "integer", "default": 7}},
                    }
                },
                "properties": {
                    "path": {"$ref": "#/$defs/Path", "default": {"start": "zero"}},
                    "paths": {"type": "array", "items": {"$ref": "#/$defs/Path"}, "default": []},
                    "maybe": {"anyOf": [{"$ref": "#/$defs/Path"}, {"type": "null"}], "default": None},
                },
            },
        }
    }
)


def faults(catalog: Catalog, kind: str, parameters: dict[str, Any]) -> dict[str, str]:
    return {fault.pointer: fault.detail for fault in catalog.problems(kind, parameters)}


def test_good_parameters_have_no_faults() -> None:
    assert faults(CATALOG, "layer_conductance", {}) == {}
    assert faults(CATALOG, "layer_conductance", {"steps": 20, "rule": "captum"}) == {}


def test_an_unknown_kind_names_the_nearest() -> None:
    assert "layer_conductance" in faults(CATALOG, "layer_conductanse", {})[""]


def test_an_unknown_parameter_is_pointed_at_and_the_nearest_named() -> None:
    found = faults(CATALOG, "layer_conductance", {"stepz": 20, "a/b~c": 1})
    assert set(found) == {"/stepz", "/a~1b~0c"}
    assert "steps" in found["/stepz"]


def test_every_fault_is_told_at_once() -> None:
    found = faults(CATALOG, "layer_conductance", {"steps": 0, "rule": "simpson", "x": 1})
    assert set(found) == {"/steps", "/rule", "/x"}


@pytest.mark.parametrize("value", [5.0, 5])
def test_a_whole_float_is_an_integer_and_is_filled_in_as_one(value: float) -> None:
    assert faults(CATALOG, "layer_conductance", {"steps": value}) == {}
    assert json.dumps(CATALOG.filled("layer_conductance", {"steps": value})["steps"]) == "5"


@pytest.mark.parametrize("value", [True, 5.5, "5", None])
def test_what_is_no_integer_is_refused(value: object) -> None:
    assert set(faults(CATALOG, "layer_conductance", {"steps": value})) == {"/steps"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_wherever_it_hides(value: float) -> None:
    assert set(faults(CATALOG, "layer_conductance", {"scale": value})) == {"/scale"}
    assert set(faults(NESTED, "nested", {"paths": [{"start": value}]})) == {"/paths/0/start"}


def test_defaults_fill_what_was_left_out() -> None:
    assert CATALOG.filled("layer_conductance", {"rule": "captum"}) == {"steps": 50, "rule": "captum", "scale": 1.0}


def test_defaults_fill_what_is_inside() -> None:
    filled = NESTED.filled("nested", {"paths": [{"start": "a"}], "maybe": {"start": "b", "steps": 2.0}})
    assert filled == {
        "path": {"start": "zero", "steps": 7},
        "paths": [{"start": "a", "steps": 7}],
        "maybe": {"start": "b", "steps": 2},
    }


def test_a_missing_member_is_pointed_at() -> None:
    assert faults(NESTED, "nested", {"path": {}}) == {"/path/start": "is required"}


def test_it_reads_the_file_the_registry_writes(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"kinds": {"layer_conductance": KIND}}))
    kind = Catalog.from_file(path).kind("layer_conductance")
    assert (kind.name, kind.version, kind.roles) == ("layer_conductance", 1, ("evaluation",))


def test_a_pointer_escapes_what_rfc_6901_says() -> None:
    assert pointer("a/b", 0, "m~n") == "/a~1b/0/m~0n"
