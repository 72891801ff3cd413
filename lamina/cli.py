"""What can be typed? The `lamina` command: one file of `lamina/commands` per subject, and one place for exit codes."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lamina.commands import (
    access,
    alerting,
    audits,
    compliance,
    drafting,
    exchanging,
    gate,
    holding,
    making,
    replaying,
    reporting,
    scheduling,
    serving,
    subjects,
    verifying,
    zoo,
)
from lamina.failure import Failure

EXIT_CODES = """Exit codes: 0 done; 1 the audit failed or a requirement was not met; 2 usage, or a part not installed;
3 the service refused or was unreachable; 4 not done in the time given."""


class Commands(TyperGroup):
    """The commands; whatever fails is said in a sentence on standard error, and ends with the code of its sort."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            sys.stderr.write(f"lamina: {failure}\n")
            raise typer.Exit(failure.exit_code) from failure
        except KeyboardInterrupt as stop:
            raise typer.Exit(130) from stop


app = typer.Typer(
    name="lamina",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=f"Explain and audit neural networks, layer by layer.\n\n{EXIT_CODES}",
)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        sys.stdout.write(f"lamina {importlib.metadata.version('lamina')}\n")
        raise typer.Exit


@app.callback()
def lamina(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of every command."""


for commands in (
    making,
    serving,
    subjects,
    drafting,
    audits,
    reporting,
    exchanging,
    scheduling,
    compliance,
    holding,
    alerting,
    gate,
    replaying,
    verifying,
    access,
    zoo,
):
    commands.register(app)


def main() -> None:
    """Run the command and exit with its code."""
    app()
