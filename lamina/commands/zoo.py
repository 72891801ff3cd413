"""Which networks can be audited here? `lamina zoo`: small ones of every family, from export to every kind."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.commands.shown import AsJson, progress, remark, show_table
from lamina.failure import NotMet, Usage, needs, require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.zoo.cells import Cell


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Start here")(zoo)


def zoo(
    families: Annotated[list[str] | None, typer.Argument(help="Names of families; all when none is named.")] = None,
    form: Annotated[
        list[str] | None, typer.Option("--format", help="pt2, huggingface or onnx; may be repeated; all if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build small networks of every family, inspect them and run every kind; a minute, nothing is left."""
    require("worker", "lamina zoo", "torch", "captum")
    with needs("worker", "lamina zoo"):
        import torch

        from lamina.zoo.cells import FORMS, NAMES, cells
    names, forms = _known(families, NAMES, "family"), _known(form, FORMS, "--format")
    torch.set_num_threads(1)  # small networks are slower on more
    found: list[Cell] = []
    with tempfile.TemporaryDirectory() as scratch, progress() as bars:
        bar = bars.add_task("zoo", total=len(names))
        for name in names:
            bars.update(bar, description=name)
            found += cells([name], [each for each in FORMS if each in forms], Path(scratch))
            bars.advance(bar)
    if as_json:
        sys.stdout.write(json.dumps([asdict(cell) for cell in found], indent=2, ensure_ascii=False) + "\n")
    else:
        _show(found)
    failed = [f"{cell.key}: {cell.reason}" for cell in found if cell.state == "failed"]
    if failed:
        raise NotMet("; ".join(failed))


def _known(given: "Sequence[str] | None", every: "Sequence[str]", what: str) -> tuple[str, ...]:
    unknown = [name for name in given or () if name not in every]
    if unknown:
        raise Usage(f"there is no {what} {unknown[0]!r}; there are {', '.join(every)}")
    return tuple(given or every)


def _show(found: "Sequence[Cell]") -> None:
    """One table per format, and below it why cells are not ok."""
    from lamina.zoo.record import columns, shown

    for form in dict.fromkeys(cell.form for cell in found):
        own = [cell for cell in found if cell.form == form]
        heads, by_key = columns(own), {cell.key: cell for cell in own}
        rows = (
            (name, *(shown(by_key.get(f"{name}/{form}/{head}")) for head in heads))
            for name in dict.fromkeys(cell.family for cell in own)
        )
        show_table(("family", *heads), rows, title=form)
        for cell in own:
            if cell.state != "ok":
                remark(f"{cell.key}: {cell.state}: {cell.reason}")
