"""What does a file of one's own suggest? A first draft of the facts that a dataset is registered with."""

from pathlib import Path
from typing import Annotated

import typer

from lamina.commands.shown import remark, say
from lamina.commands.subjects import datasets, read_facts
from lamina.failure import Usage


def register(app: typer.Typer) -> None:
    """Nothing to add: the command belongs to `lamina dataset`."""


@datasets.command("draft")
def draft_dataset(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A csv or jsonl table of your own.")],
    label: Annotated[str, typer.Option(help="The column to predict; empty for data without labels.")] = "",
    model_facts: Annotated[
        Path | None, typer.Option("--model-facts", exists=True, dir_okay=False, help="Facts of the model it is for.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the facts [default: beside FILE].")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Draft the facts of a table: reads the file here, sends nothing, writes FILE.facts.json for you to correct."""
    from lamina.drafting import draft
    from service.contracts.facts import ModelFacts

    target = out or file.with_name(f"{file.name}.facts.json")
    if target.exists() and not force:
        raise Usage(f"{target} exists; --force overwrites it, --out names another")
    made = draft(file, label=label or None, model=read_facts(ModelFacts, model_facts) if model_facts else None)
    target.write_text(made.facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    say(f"wrote {target}: {len(made.facts.columns)} columns")
    for each in made.remarks:
        remark(f"look at this: {each}")
