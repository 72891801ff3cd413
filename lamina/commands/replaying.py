"""`lamina reproduce`: does an analysis give the same again?"""

from typing import Annotated
from uuid import UUID

import typer

from lamina.commands.audits import failures, follow
from lamina.commands.shown import Home, client, say
from lamina.failure import NotMet

Deadline = Annotated[float, typer.Option("--timeout", help="Seconds to wait for it.")]
Asked = Annotated[UUID, typer.Argument(help="Id of the analysis, as in the report's annex.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Prove it")(reproduce)


def reproduce(analysis: Asked, timeout: Deadline = 600.0, home: Home = None) -> None:
    """Ask an analysis again with its stored plan, and compare what comes.

    Exits with 1 when something is otherwise.
    """
    with client(home) as service:
        (ended,) = follow(service, [service.replay(analysis)], timeout)
        wrong = failures(ended)
        if wrong:
            raise NotMet("\n".join(wrong))
        found = [point for point in service.measurements(audit=ended.id) if point.metric == "replay_mismatches"]
        if not found:
            raise NotMet("the replay ended, and nothing was compared")
        (point,) = found
        rule = "bit for bit" if point.facets["rule"] == "bitwise" else "within the tolerance of another machine"
        say(f"{point.facets['of']}: {point.n} numbers and files compared, {rule}; {point.value:.0f} are otherwise")
        if point.value:
            raise NotMet(f"analysis {analysis} does not repeat; the log's event `replayed` names what is otherwise")
