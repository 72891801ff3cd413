"""What was found, family by family: kept as JSON, shown as docs/zoo.md, and compared with what is found now."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamina.zoo.cells import FORMS, INTAKE, NAMES, Cell, family_of
from service.contracts.manifest import ModelFormat

_TITLES: dict[ModelFormat, str] = {
    "pt2": "Exported: `.pt2`",
    "huggingface": "Hugging Face folder",
    "onnx": "ONNX, a black box",
}
_INTRODUCTION = """\
# The zoo: which networks come in, and what can be asked of them

<!-- Written by `python -m lamina.zoo` from what it found; a test runs it again and fails where a cell got worse. -->

Small networks of every family are built, written as a customer would send them, inspected, and run through every kind
of analysis by the code that runs in a sandbox, with default parameters and four examples. `lamina zoo` does it on
your machine.

- **intake**: whether the file comes in, and how many of its layers can be attributed.
- **outputs**: whether the network gives what it gave before: within 3e-7 of the original's largest output (1e-5 for
  ONNX, which another runtime computes).
- **captum: ...**: whether captum 0.9 says the same of every layer of the original and of what came in, within 1e-5 of
  the layer's largest number, or of the largest product of gradient and activation where those cancel. Layers that
  captum cannot do (several tensors, several calls) are compared by values and gradients taken by hand. The cell counts
  the layers of each sort.
- then one column for each kind of analysis, all of them in one audit. A cell is ok where the analysis ran, agreed with
  captum and passed its controls; that its certificate may call its own numbers unusable (random weights, few steps) is
  in the record, not on this page.
"""


def as_json(cells: Iterable[Cell]) -> str:
    """The record, one cell per line."""
    return "[\n" + ",\n".join(json.dumps(asdict(cell), ensure_ascii=False) for cell in cells) + "\n]\n"


def read(path: Path) -> tuple[Cell, ...]:
    """A record that `as_json` wrote."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Cell(**each) for each in found)


def worse(before: Iterable[Cell], now: Iterable[Cell]) -> list[str]:
    """What was ok and is not any more, each with the reason."""
    found = {cell.key: cell for cell in now}
    lost = []
    for cell in before:
        again = found.get(cell.key)
        if cell.state == "ok" and (again is None or again.state != "ok"):
            lost.append(f"{cell.key} was ok and is {again.state + ': ' + again.reason if again else 'gone'}")
    return lost


def with_kinds(before: Iterable[Cell], now: Iterable[Cell], kinds: Collection[str], order: Sequence[str]) -> list[Cell]:
    """What was found before, with the cells of `kinds` as they are found now; kinds in `order`, behind all else."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in (*(each for each in before if each.column not in kinds), *(e for e in now if e.column in kinds)):
        found.setdefault((cell.family, cell.form), []).append(cell)
    places = {kind: at for at, kind in enumerate(order, 1)}
    return [cell for cells in found.values() for cell in sorted(cells, key=lambda each: places.get(each.column, 0))]


def changed(before: Iterable[Cell], now: Iterable[Cell]) -> list[str]:
    """Cells that are new, gone, or in another state."""
    one, other = ({cell.key: cell.state for cell in cells} for cells in (before, now))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def page(cells: Sequence[Cell]) -> str:
    """docs/zoo.md."""
    return "\n".join([_INTRODUCTION, *(line for form in FORMS for line in _form(form, cells))])


def columns(cells: Iterable[Cell]) -> list[str]:
    """The columns that these cells have, intake first."""
    return list(dict.fromkeys((INTAKE, *(cell.column for cell in cells))))


def shown(cell: Cell | None) -> str:
    """A cell in the table."""
    if cell is None:
        return ""
    if cell.state != "ok":
        return "n/a" if cell.state == "not applicable" else cell.state
    if cell.column == INTAKE:
        return cell.reason.removesuffix(" layers auditable")
    counts = [part for part in cell.reason.split("; ") if part.split()[1:2] == ["by"]]
    return f"ok ({', '.join(part.removesuffix(' by captum') for part in counts)})" if counts else "ok"


def _form(form: ModelFormat, cells: Sequence[Cell]) -> list[str]:
    own = [cell for cell in cells if cell.form == form]
    if not own:
        return []
    heads = columns(own)
    by_key: Mapping[str, Cell] = {cell.key: cell for cell in own}
    rows = ["| family | network | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 2) + "|"]
    for name in NAMES:
        family = family_of(name, form)
        if family is not None and any(cell.family == name for cell in own):
            row = " | ".join(shown(by_key.get(f"{name}/{form}/{head}")) for head in heads)
            rows.append(f"| {name} | {family.title} | {row} |")
    return [f"## {_TITLES[form]}", "", *rows, "", *_reasons(own)]


def _reasons(cells: Iterable[Cell]) -> list[str]:
    """Why cells are not ok, families with the same reason together."""
    why: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells:
        if cell.state != "ok":
            why.setdefault((cell.column, cell.state, cell.reason), []).append(cell.family)
    if not why:
        return []
    lines = [
        f"- {column}, {state}: {', '.join(families)}. {_sentence(reason)}"
        for (column, state, reason), families in why.items()
    ]
    return ["Why not:", "", *lines, ""]


def _sentence(reason: str) -> str:
    text = reason[:1].upper() + reason[1:]
    return text if text.endswith(".") else f"{text}."
