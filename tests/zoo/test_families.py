"""Does every family still get what it got? Each is built, written, inspected and audited again."""

from pathlib import Path

import pytest
import torch

from lamina.zoo.asked import KINDS
from lamina.zoo.cells import FORMS, NAMES, cells, family_of
from lamina.zoo.record import changed, read, worse

RECORD = read(Path(__file__).parent / "cells.json")
QUICK = ("mlp", "siamese", "int8")
KEPT = [(name, form) for form in FORMS for name in NAMES if family_of(name, form) is not None]

pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::captum", "ignore:::transformers")


ALWAYS, EACH, FIRST = ("layer_conductance",), 3, 22
"""Kinds that every family is asked about, and how many others: in turn, so that each kind meets many families. The
turns begin where the kinds that ask a network most often do not meet the slowest networks; `make test-long` asks all.
"""


def some_kinds(name: str, form: str) -> tuple[str, ...]:
    others = [kind for kind in KINDS if kind not in ALWAYS]
    first = FIRST + EACH * KEPT.index((name, form))
    return (*ALWAYS, *(others[(first + i) % len(others)] for i in range(EACH)))


def same_as_recorded(name: str, form: str, folder: Path, kinds: tuple[str, ...]) -> None:
    skipped = set(KINDS) - set(kinds)
    before = [cell for cell in RECORD if (cell.family, cell.form) == (name, form) and cell.column not in skipped]
    torch.set_num_threads(1)
    now = list(cells([name], [form], folder, kinds))
    assert worse(before, now) == [], "what was ok must stay ok"
    assert changed(before, now) == [], "better than recorded: write the record again with python -m lamina.zoo"


@pytest.mark.parametrize("name", QUICK)
def test_a_family_gets_what_it_got(name, tmp_path):
    same_as_recorded(name, "pt2", tmp_path, some_kinds(name, "pt2"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [each for each in KEPT if each not in {(name, "pt2") for name in QUICK}])
def test_every_family_gets_what_it_got_in_every_format(name, form, tmp_path):
    same_as_recorded(name, form, tmp_path, some_kinds(name, form))


def test_every_kind_meets_several_families_in_every_run():
    asked = [kind for name, form in KEPT for kind in some_kinds(name, form)]
    assert min(asked.count(kind) for kind in KINDS) >= 5


@pytest.mark.soak
@pytest.mark.parametrize(("name", "form"), KEPT)
def test_every_family_gets_what_it_got_from_every_kind(name, form, tmp_path):
    same_as_recorded(name, form, tmp_path, tuple(KINDS))
