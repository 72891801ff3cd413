"""Is the record complete, is the page what the record says, and is every loss noticed?"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lamina.zoo.asked import KINDS
from lamina.zoo.cells import NAMES, Cell, family_of
from lamina.zoo.families import FAMILIES
from lamina.zoo.parity import CAM, CONDUCTANCE, PRODUCT
from lamina.zoo.record import as_json, changed, page, read, shown, with_kinds, worse

HERE = Path(__file__).parent
RECORD = read(HERE / "cells.json")
BY_KEY = {cell.key: cell for cell in RECORD}
EXPORTED = [family for family in FAMILIES.values() if family.no_export is None]


def test_the_page_shows_what_the_record_holds():
    assert (HERE.parents[1] / "docs" / "zoo.md").read_text(encoding="utf-8") == page(RECORD)


def test_the_record_survives_being_written_and_read(tmp_path):
    (tmp_path / "cells.json").write_text(as_json(RECORD), encoding="utf-8")
    assert read(tmp_path / "cells.json") == RECORD


def test_every_family_and_every_kind_is_in_the_record():
    assert {cell.family for cell in RECORD} == set(NAMES)
    for family in EXPORTED:
        for kind in KINDS:
            assert f"{family.name}/pt2/{kind}" in BY_KEY, "run python -m lamina.zoo"


@pytest.mark.parametrize("name", [family.name for family in EXPORTED])
def test_every_exported_family_comes_in_with_its_outputs_and_layers_unchanged(name):
    assert BY_KEY[f"{name}/pt2/intake"].state == "ok"
    assert BY_KEY[f"{name}/pt2/outputs"].state == "ok"
    assert BY_KEY[f"{name}/pt2/{PRODUCT}"].state == "ok"
    assert BY_KEY[f"{name}/pt2/{CAM}"].state == "ok"
    path = BY_KEY[f"{name}/pt2/{CONDUCTANCE}"]
    floating = all(each.kind != "tokens" for each in FAMILIES[name].inputs)
    assert path.state == ("ok" if floating else "not applicable")
    ours = BY_KEY[f"{name}/pt2/layer_conductance"]
    if name == "t5":  # from zero vectors its norm answers to their direction alone
        assert ours.state == "not applicable"
        assert 'ask for baseline "pad" or "mean"' in ours.reason
    else:
        assert ours.state == "ok", "ids move as what their embedding gives"


def test_a_python_decision_is_refused_with_advice():
    cell = BY_KEY["exit_if/pt2/intake"]
    assert cell.state == "refused"
    assert "torch.where" in cell.reason
    assert not any(cell.family == "exit_if" and cell.form != "pt2" for cell in RECORD), "no exporter may bake a branch"


def test_nothing_in_the_record_failed():
    assert [cell for cell in RECORD if cell.state == "failed"] == []


def test_whatever_is_not_ok_says_why():
    assert [cell.key for cell in RECORD if cell.state != "ok" and not cell.reason] == []


OK = Cell(family="mlp", form="pt2", column="outputs", state="ok", reason="within 3e-07")


@pytest.mark.parametrize(
    "now", [[], [replace(OK, state="failed", reason="differ by 1")], [replace(OK, state="refused")]]
)
def test_what_was_ok_and_is_not_any_more_is_said(now):
    (line,) = worse([OK], now)
    assert "mlp/pt2/outputs was ok" in line


def test_what_is_as_good_or_better_is_no_loss_but_a_change():
    worst = replace(OK, state="not applicable")
    assert worse([OK], [OK]) == worse([worst], [OK]) == []
    assert changed([worst], [OK]) == ["mlp/pt2/outputs"]
    assert changed([], [OK]) == changed([OK], []) == ["mlp/pt2/outputs"]
    assert changed([OK], [replace(OK, reason="in other words")]) == []


def test_kinds_that_are_found_anew_stand_in_their_order_and_leave_the_rest_as_it_was():
    first, last = replace(OK, column="b"), replace(OK, column="a")
    fresh = replace(first, state="failed", reason="differ by 1")
    found = with_kinds([OK, last, first], [fresh, replace(OK, reason="not asked for")], ["b"], ["b", "a"])
    assert found == [OK, fresh, last]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        (OK, "ok"),
        (replace(OK, state="not applicable"), "n/a"),
        (replace(OK, column="intake", reason="7 of 8 layers auditable"), "7 of 8"),
        (replace(OK, reason="18 by captum; 3 by hand; not a: it is off"), "ok (18, 3 by hand)"),
        (replace(OK, reason="4 by hand"), "ok (4 by hand)"),
    ],
)
def test_a_cell_is_short(cell, text):
    assert shown(cell) == text


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_the_same_every_time_and_its_examples_lie_within_their_bounds(name):
    family = FAMILIES[name]
    assert family_of(name, "pt2") is family
    one, other = family.network(), family.network()
    assert not one.training
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    for raw, again, declared in zip(family.examples(), family.examples(), family.inputs, strict=True):
        assert torch.equal(raw, again)
        assert tuple(raw.shape[1:]) == declared.shape
        assert raw.min() >= min(declared.bounds.low)
        assert raw.max() <= max(declared.bounds.high)
        assert len(raw.unique(dim=0)) > 1
