"""What does every family get? `python -m lamina.zoo`, in a checkout, writes tests/zoo/cells.json and docs/zoo.md.

With names of kinds only their cells are found anew: `python -m lamina.zoo lime_image lime_text`.
"""

import sys
import tempfile
from pathlib import Path

import torch

from lamina.zoo.asked import KINDS
from lamina.zoo.cells import FORMS, NAMES, cells
from lamina.zoo.record import as_json, page, read, with_kinds, worse

ROOT = Path(__file__).parents[2]
RECORD, PAGE = ROOT / "tests" / "zoo" / "cells.json", ROOT / "docs" / "zoo.md"


def main(kinds: tuple[str, ...]) -> int:
    """Writes both; says what got worse. Exit code 1 if anything did, 2 for a kind that is not known."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        sys.stderr.write(f"no kind is called {', '.join(unknown)}; there are {', '.join(KINDS)}\n")
        return 2
    torch.set_num_threads(1)
    before = read(RECORD) if RECORD.exists() else ()
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for cell in cells(NAMES, FORMS, Path(scratch), kinds or None, parity=not kinds):
            found.append(cell)
            sys.stderr.write(f"{cell.key}: {cell.state}\n")
    if kinds:
        found = with_kinds(before, found, kinds, list(KINDS))
    RECORD.write_text(as_json(found), encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    lost = worse(before, found)
    sys.stderr.writelines(f"WORSE: {line}\n" for line in lost)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
