"""Does every family still get what it got? Each is built, written, inspected and audited again."""

from pathlib import Path

import pytest
import torch

from lamina.zoo.cells import FORMS, NAMES, cells, family_of
from lamina.zoo.record import changed, read, worse

RECORD = read(Path(__file__).parent / "cells.json")
QUICK = ("mlp", "siamese", "int8")
KEPT = [(name, form) for form in FORMS for name in NAMES if family_of(name, form) is not None]

pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::captum", "ignore:::transformers")


def same_as_recorded(name: str, form: str, folder: Path) -> None:
    before = [cell for cell in RECORD if (cell.family, cell.form) == (name, form)]
    torch.set_num_threads(1)
    now = list(cells([name], [form], folder))
    assert worse(before, now) == [], "what was ok must stay ok"
    assert changed(before, now) == [], "better than recorded: write the record again with python -m lamina.zoo"


@pytest.mark.parametrize("name", QUICK)
def test_a_family_gets_what_it_got(name, tmp_path):
    same_as_recorded(name, "pt2", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [each for each in KEPT if each not in {(name, "pt2") for name in QUICK}])
def test_every_family_gets_what_it_got_in_every_format(name, form, tmp_path):
    same_as_recorded(name, form, tmp_path)
