"""What may not be given up, whatever its age? Legal holds: placed by one person, lifted by another."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from lamina.commands.shown import AsJson, Home, client, say, show_json, show_table
from lamina.commands.written import submission

if TYPE_CHECKING:
    from service.contracts.holds import HoldView

holds = typer.Typer(no_args_is_help=True, help="Legal holds: what they are on is kept, whatever its age.")
PANEL = "Comply"

Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Model = Annotated[str | None, typer.Option("--model", help="Name of the model: all audits of all its versions.")]
Audit = Annotated[UUID | None, typer.Option("--audit", help="Id of one audit.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(holds, name="hold", rich_help_panel=PANEL)


@holds.command("place")
def place(reason: Reason, model: Model = None, audit: Audit = None, home: Home = None, as_json: AsJson = False) -> None:
    """Forbid that files of a model, or of one audit, are given up."""
    from service.contracts.holds import HoldSubmission

    wanted = submission(HoldSubmission, model_name=model, audit=audit, reason=reason)
    with client(home) as service:
        _tell(service.place_hold(wanted), as_json=as_json)


@holds.command("lift")
def lift(
    hold: Annotated[UUID, typer.Argument(help="Id of the hold.")],
    reason: Reason,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a hold that somebody else placed."""
    from service.contracts.holds import HoldLift

    wanted = submission(HoldLift, reason=reason)
    with client(home) as service:
        _tell(service.lift_hold(hold, wanted), as_json=as_json)


@holds.command("list")
def list_holds(
    model: Model = None,
    audit: Audit = None,
    state: Annotated[str | None, typer.Option(help="in_force or lifted.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Holds and where they stand, newest first."""
    with client(home) as service:
        found = list(service.holds(model_name=model, audit=audit, state=state))
    if as_json:
        show_json(found)
        return
    rows = (
        (
            _on(each),
            each.state.replace("_", " "),
            f"{each.placed_at:%Y-%m-%d}",
            each.placed_by_name,
            each.reason,
            each.lifted_by_name,
            each.lift_reason,
            each.id,
        )
        for each in found
    )
    show_table(("on", "state", "since", "placed by", "reason", "lifted by", "because", "id"), rows)


def _on(hold: "HoldView") -> str:
    return f"audit {hold.audit_title or hold.audit}" if hold.audit else f"model {hold.model_name}"


def _tell(hold: "HoldView", *, as_json: bool) -> None:
    if as_json:
        show_json(hold)
    else:
        say(f"{_on(hold)}  {hold.state.replace('_', ' ')}  {hold.id}")
