"""What starts a first use? The demo, the export of a network, and a look at what this machine has."""

from pathlib import Path
from typing import Annotated

import typer

from lamina.commands.configured import operator_settings
from lamina.commands.shown import AsJson, Home, show_table
from lamina.failure import Failure, needs, require
from lamina.home import home_folder


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel="Start here")(demo)
    app.command(rich_help_panel="Start here")(doctor)
    app.command(
        rich_help_panel="Audit",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(export)


def demo(
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the demo, made afresh.")] = None,
) -> None:
    """Train two small networks, audit two versions of each, and write reports; about two minutes, nothing is left."""
    require("all", "lamina demo", "flask", "celery", "torch", "captum", "sklearn")
    with needs("all", "lamina demo"):
        from lamina.demo import run
    run(home or Path(".lamina/demo"))


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """What this machine has, what is missing and what to do; exit code 1 when something is broken."""
    from lamina.doctor import examine

    findings = examine(home_folder(home).absolute(), operator_settings(home).database_url)
    if as_json:
        import json
        import sys
        from dataclasses import asdict

        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        rows = ((one.subject, one.state, one.found, one.remedy) for one in findings)
        show_table(("what", "state", "found", "what to do"), rows)
    broken = [finding.subject for finding in findings if finding.state == "broken"]
    if broken:
        raise Broken(f"broken here: {', '.join(broken)}")


class Broken(Failure):
    """Something this machine needs does not work."""

    exit_code = 1


def export(context: typer.Context) -> None:
    """Turn a network into a checked `.pt2` file; `lamina export --help` shows how."""
    require("worker", "lamina export", "torch")
    from lamina.export import main

    raise typer.Exit(main(context.args))
