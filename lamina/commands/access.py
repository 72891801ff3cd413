"""Who may use the service? Principals and their keys; the first key and trust are the operator's, on the machine."""

from typing import TYPE_CHECKING, Annotated, Literal, cast
from uuid import UUID

import typer

from lamina.commands.configured import operator_settings
from lamina.commands.shown import AsJson, Home, client, remark, say, show_json, show_table
from lamina.failure import Usage
from lamina.home import Address, home_folder, keep_address

if TYPE_CHECKING:
    from lamina.client import Client
    from service.contracts.api import PrincipalView, Scope

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys (scope admin).")
principals = typer.Typer(no_args_is_help=True, help="Make, list and trust principals.")

SCOPES = ("read", "submit", "admin")
Tenant = Annotated[str, typer.Option("--tenant", help="Name of the tenant.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(keys, name="key", rich_help_panel="Who may use it")
    app.add_typer(principals, name="principal", rich_help_panel="Who may use it")


@keys.command("bootstrap")
def bootstrap(
    tenant: Tenant = "demo",
    principal: Annotated[str, typer.Option(help="Whom the key speaks for.")] = "operator",
    another: Annotated[bool, typer.Option("--another", help="Make a key even if the principal has one.")] = False,
    url: Annotated[str, typer.Option(help="Address to write beside the key.", envvar="LAMINA_URL")] = "",
    home: Home = None,
) -> None:
    """Make a tenant, a principal and its first key, straight in the database; writes client.json.

    Needs no running service, and no key: whoever can reach the database may do it.
    """
    from lamina.operator import bootstrap as make
    from lamina.operator import opened

    found = operator_settings(home)
    folder = home_folder(home)
    with opened(found.database_url) as database:
        made = make(database, tenant=tenant, principal=principal, another=another)
    if made is None:
        raise Usage(f"principal {principal!r} of tenant {tenant!r} has a key already; --another makes one more")
    where = url or f"http://{found.host}:{found.port}"
    file = keep_address(folder, Address(where, made.text))
    say(made.text)
    remark(f"key of {made.principal} ({made.tenant}), shown this once; also written to {file}")


@keys.command("create")
def create(
    principal: Annotated[str, typer.Argument(help="Whose key: name or id.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "key",
    scope: Annotated[list[str] | None, typer.Option(help="read, submit or admin; may be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")] = 365,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; its secret is printed this once."""
    wrong = [name for name in scope or () if name not in SCOPES]
    if wrong:
        raise Usage(f"--scope is one of {', '.join(SCOPES)}; not {wrong[0]!r}")
    scopes: tuple[Scope, ...] = cast("tuple[Scope, ...]", tuple(scope)) if scope else ("read", "submit")
    with client(home) as service:
        made = service.make_key(_find(service, principal).id, label=label, scopes=scopes, days=days)
    if as_json:
        show_json(made)
        return
    say(made.secret)
    remark(f"key {made.id} ({', '.join(made.scopes)}), shown this once")


@keys.command("list")
def list_keys(home: Home = None, as_json: AsJson = False) -> None:
    """The keys of the tenant, without their secrets."""
    with client(home) as service:
        found = list(service.keys())
        names = {principal.id: principal.name for principal in service.principals()}
    if as_json:
        show_json(found)
        return
    rows = (
        (
            names.get(key.principal, key.principal),
            key.label,
            key.prefix,
            ", ".join(key.scopes),
            "revoked" if key.revoked_at else (f"{key.expires_at:%Y-%m-%d}" if key.expires_at else None),
            key.id,
        )
        for key in found
    )
    show_table(("principal", "label", "prefix", "scopes", "until", "id"), rows)


@keys.command("revoke")
def revoke(key: Annotated[UUID, typer.Argument(help="Id of the key.")], home: Home = None) -> None:
    """End a key, at once."""
    with client(home) as service:
        service.revoke_key(key)
    say(f"key {key} is revoked")


@principals.command("create")
def create_principal(
    name: Annotated[str, typer.Argument(help="Unique within the tenant.")],
    person: Annotated[bool, typer.Option("--person/--service", help="A person, or a service.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a principal; `lamina key create NAME` gives it a key."""
    kind: Literal["person", "service"] = "person" if person else "service"
    with client(home) as service:
        made = service.make_principal(name, kind)
    if as_json:
        show_json(made)
    else:
        say(f"{made.kind} {made.name}  {made.id}")


@principals.command("list")
def list_principals(home: Home = None, as_json: AsJson = False) -> None:
    """The principals of the tenant."""
    with client(home) as service:
        found = list(service.principals())
    if as_json:
        show_json(found)
        return
    rows = ((one.name, one.kind, "trusted" if one.trusted else "", one.id) for one in found)
    show_table(("name", "kind", "trust", "id"), rows)


@principals.command("trust")
def trust(
    name: Annotated[str, typer.Argument(help="Name of the principal.")],
    tenant: Tenant = "demo",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Trust it no longer.")] = False,
    home: Home = None,
) -> None:
    """Trust a principal, straight in the database: its models are loaded also below sandbox level full.

    Only models of a trusted principal run until the full validator of model files has landed. Trust whoever you would
    let run programs on the worker machines.
    """
    from lamina.operator import opened
    from lamina.operator import trust as set_trust

    with opened(operator_settings(home).database_url) as database:
        set_trust(database, tenant=tenant, principal=name, trusted=not withdraw)
    say(f"{name} ({tenant}) is {'no longer ' if withdraw else ''}trusted")


def _find(service: "Client", principal: str) -> "PrincipalView":
    found = [one for one in service.principals() if principal in (one.name, str(one.id))]
    if not found:
        raise Usage(f"no principal is called {principal!r}; see `lamina principal list`")
    return found[0]
