"""How does a command show what it found? As a table for people, or as JSON for programs."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.progress import Progress

    from lamina.client import Client

WIDE = 160

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Home = Annotated[
    Path | None, typer.Option("--home", help="Home folder of `lamina up` [default: LAMINA_HOME, else .lamina].")
]
Deadline = Annotated[float, typer.Option("--deadline", min=0, help="Longest wait, in seconds.")]


def client(home: Path | None) -> "Client":
    """A client for the service the environment or the home folder names."""
    from lamina.client import Client

    return Client.from_home(home)


def console(*, errors: bool = False) -> "Console":
    """Where text for people goes; progress and remarks go to standard error, so that output can be piped.

    What is no terminal has no width: tables there are as wide as their words, up to WIDE.
    """
    from rich.console import Console

    made = Console(stderr=errors, highlight=False)
    return made if made.is_terminal or "COLUMNS" in os.environ else Console(stderr=errors, highlight=False, width=WIDE)


def progress() -> "Progress":
    """A progress bar on standard error."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=console(errors=True))


def say(text: str) -> None:
    """One line of text, exactly as it is: no markup is read in it."""
    console().print(text, markup=False, soft_wrap=True)


def remark(text: str) -> None:
    """One line for people, on standard error."""
    console(errors=True).print(text, markup=False, soft_wrap=True)


def show_json(value: "BaseModel | Iterable[BaseModel]") -> None:
    """A value, or a list of values, as JSON on standard output."""
    from pydantic import BaseModel

    plain: Any = (
        value.model_dump(mode="json")
        if isinstance(value, BaseModel)
        else [one.model_dump(mode="json") for one in value]
    )
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def show_table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table; heads that start with `>` are of numbers, and aligned right. Names of customers are never markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None if title is None else Text(title), title_justify="left")
    for head in heads:
        table.add_column(
            head.removeprefix(">"),
            justify="right" if head.startswith(">") else "left",
            overflow="fold",
            no_wrap=head == "id",  # so that it can be copied in one piece
        )
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console().print(table)
