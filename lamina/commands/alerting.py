"""Who is told when something needs looking at, and were they? Alerts, webhooks, recipients of mail, messages."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from lamina.commands.shown import AsJson, Home, client, remark, say, show_json, show_table
from lamina.commands.written import submission

if TYPE_CHECKING:
    from service.contracts.alerts import DeliveryView, RecipientView, WebhookMade, WebhookView

PANEL = "Be told"
alerts = typer.Typer(no_args_is_help=True, help="What somebody should know of.")
webhooks = typer.Typer(no_args_is_help=True, help="Where alerts are sent, signed (scope admin).")
recipients = typer.Typer(no_args_is_help=True, help="Whom alerts are mailed to (scope admin).")
deliveries = typer.Typer(no_args_is_help=True, help="Messages, with every try (scope admin).")

Severity = Literal["low", "medium", "high", "critical"]
Least = Annotated[Severity, typer.Option(help="Alerts of this severity and above.")]
Webhook = Annotated[UUID, typer.Argument(help="Id of the webhook.")]
Recipient = Annotated[UUID, typer.Argument(help="Id of the recipient.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for name, commands in (
        ("alert", alerts),
        ("webhook", webhooks),
        ("recipient", recipients),
        ("delivery", deliveries),
    ):
        app.add_typer(commands, name=name, rich_help_panel=PANEL)


@alerts.command("list")
def list_alerts(
    still_open: Annotated[bool | None, typer.Option("--open/--closed", help="Only these.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Alerts, newest first."""
    with client(home) as service:
        found = list(service.alerts(still_open=still_open))
    if as_json:
        show_json(found)
        return
    rows = (
        (
            each.severity,
            each.text,
            f"{each.created_at:%Y-%m-%d %H:%M}Z",
            f"{each.closed_at:%Y-%m-%d %H:%M}Z" if each.closed_at else "open",
            "yes" if each.acknowledged_by else "no",
            each.id,
        )
        for each in found
    )
    show_table(("severity", "what", "since", "until", "seen", "id"), rows)


@alerts.command("seen")
def seen(alert: Annotated[UUID, typer.Argument(help="Id of the alert.")], home: Home = None) -> None:
    """Say that somebody has seen an alert; it stays open until its cause is over."""
    with client(home) as service:
        say(f"seen: {service.acknowledge_alert(alert).text}")


@webhooks.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="An https address out in the open.")],
    least: Least = "medium",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send alerts there from now on; the secret that verifies them is printed this once."""
    from service.contracts.alerts import WebhookSubmission

    with client(home) as service:
        _tell_secret(service.make_webhook(submission(WebhookSubmission, url=url, least=least)), as_json=as_json)


@webhooks.command("list")
def list_webhooks(home: Home = None, as_json: AsJson = False) -> None:
    """Webhooks, without their secrets."""
    with client(home) as service:
        found = list(service.webhooks())
    _receivers("url", [(each.url, each) for each in found], as_json=as_json)


@webhooks.command("rotate")
def rotate_webhook(webhook: Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Give it another secret, printed this once; the former counts no longer."""
    with client(home) as service:
        _tell_secret(service.rotate_webhook(webhook), as_json=as_json)


@webhooks.command("try")
def try_webhook(webhook: Webhook, home: Home = None) -> None:
    """Send it a message that means nothing."""
    with client(home) as service:
        say(f"queued: message {service.try_receiver('webhooks', webhook).id}")


@webhooks.command("disable")
def disable_webhook(webhook: Webhook, home: Home = None) -> None:
    """Send it nothing more, for good."""
    with client(home) as service:
        say(f"disabled: {service.disable_webhook(webhook).url}")


@recipients.command("add")
def add_recipient(
    address: Annotated[str, typer.Argument(help="A mail address of your organisation.")],
    least: Least = "medium",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Mail alerts there from now on."""
    from service.contracts.alerts import RecipientSubmission

    with client(home) as service:
        made = service.make_recipient(submission(RecipientSubmission, address=address, least=least))
    if as_json:
        show_json(made)
    else:
        say(f"{made.address}  {made.least} and above  {made.id}")


@recipients.command("list")
def list_recipients(home: Home = None, as_json: AsJson = False) -> None:
    """Whom alerts are mailed to."""
    with client(home) as service:
        found = list(service.recipients())
    _receivers("address", [(each.address, each) for each in found], as_json=as_json)


@recipients.command("try")
def try_recipient(recipient: Recipient, home: Home = None) -> None:
    """Mail a message that means nothing."""
    with client(home) as service:
        say(f"queued: message {service.try_receiver('mail-recipients', recipient).id}")


@recipients.command("disable")
def disable_recipient(recipient: Recipient, home: Home = None) -> None:
    """Mail them nothing more, for good."""
    with client(home) as service:
        say(f"disabled: {service.disable_recipient(recipient).address}")


@deliveries.command("list")
def list_deliveries(
    webhook: Annotated[UUID | None, typer.Option(help="To this webhook.")] = None,
    recipient: Annotated[UUID | None, typer.Option(help="To this recipient.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Messages, newest first, and what came of each."""
    with client(home) as service:
        found = list(service.deliveries(webhook=webhook, recipient=recipient))
    if as_json:
        show_json(found)
        return
    rows = ((each.event, each.state, len(each.tries), _last(each), each.id) for each in found)
    show_table(("event", "state", "tries", "the last said", "id"), rows)


@deliveries.command("again")
def send_again(delivery: Annotated[UUID, typer.Argument(help="Id of the message.")], home: Home = None) -> None:
    """Send a message that failed for good again, as a message of its own."""
    with client(home) as service:
        say(f"queued: message {service.send_again(delivery).id}")


def _last(delivery: "DeliveryView") -> str | None:
    return delivery.tries[-1].said if delivery.tries else None


def _tell_secret(made: "WebhookMade", *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    say(made.secret)
    remark(f"secret of webhook {made.id} ({made.url}), shown this once")


def _receivers(where: str, found: Iterable[tuple[str, "WebhookView | RecipientView"]], *, as_json: bool) -> None:
    if as_json:
        show_json([each for _, each in found])
        return
    rows = (
        (
            name,
            each.least,
            "disabled" if each.disabled_at else "enabled",
            each.failures,
            f"{each.last_delivered_at:%Y-%m-%d %H:%M}Z" if each.last_delivered_at else "never",
            each.id,
        )
        for name, each in found
    )
    show_table((where, "least", "state", "failures in a row", "last delivered", "id"), rows)
