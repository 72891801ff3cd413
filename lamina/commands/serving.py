"""Which process runs here? All of them under one supervisor (`up`), or one role of a deployment."""

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.commands.configured import settings
from lamina.commands.shown import Home, say
from lamina.failure import Failure, Usage, needs, require
from lamina.home import Address, home_folder, keep_address, keep_settings, kept_key

if TYPE_CHECKING:
    from lamina.up import Stack

EMBEDDED = "sqlite"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel="Run the service")(up)
    for role in (api, scheduler, worker, migrate):
        app.command(rich_help_panel="Run the service")(role)


def up(
    home: Home = None,
    workers: Annotated[int, typer.Option(min=0, help="Workers without a GPU, beside one for each GPU.")] = 1,
    host: Annotated[str, typer.Option(help="Address the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")] = 8321,
    database: Annotated[
        str, typer.Option(help="sqlite, embedded-pg, or an SQLAlchemy URL; LAMINA_DATABASE_URL where set.")
    ] = "",
) -> None:
    """Run the whole service on this machine until Ctrl-C: broker, API, scheduler and workers.

    Makes the first key and writes it, with the address, to client.json in the home folder, where the other commands
    find it.
    """
    require("all", "lamina up", "flask", "celery", "torch", "captum")
    from lamina.embedded.folder import InUseError, NotPrivateError
    from lamina.embedded.process import StartError
    from lamina.up import Stack

    found = settings()
    chosen = database or (found.database_url if "database_url" in found.model_fields_set else EMBEDDED)
    stack = Stack(home_folder(home), database=chosen, workers=workers, host=host, port=port)
    try:
        stack.run_forever(on_ready=_first_key)
    except (InUseError, NotPrivateError, StartError) as error:
        raise Failure(str(error)) from error
    except ValueError as error:
        raise Usage(str(error)) from error


def first_key(stack: "Stack", *, tenant: str = "demo", principal: str = "operator") -> Address:
    """Make the first key of a running stack, unless its home has one, and write client.json and operator.json."""
    from lamina.operator import bootstrap, opened

    keep_settings(stack.home, stack.settings())
    with opened(stack.settings()["LAMINA_DATABASE_URL"]) as database:
        made = bootstrap(database, tenant=tenant, principal=principal)
    found = Address(stack.url, kept_key(stack.home) if made is None else made.text)
    keep_address(stack.home, found)
    return found


def _first_key(stack: "Stack") -> None:
    found = first_key(stack)
    where = stack.home / "client.json"
    say(f"key   in {where}" if found.key else f"key   none in {where}; `lamina key bootstrap --another` makes one")
    say("next  lamina model add FILE --name NAME --version 1 --facts FACTS (README, From an nn.Module and a table)")


def api() -> None:
    """Serve the HTTP API (waitress) until SIGTERM."""
    found = settings()
    with needs("api", "lamina api"):
        from service.app import create_app
        from service.http.server import make_server
    _exit_on_sigterm()
    make_server(create_app(found), found).run()


def scheduler() -> None:
    """Run dispatcher, reaper and report drawing until SIGTERM."""
    found = settings()
    with needs("api", "lamina scheduler"):
        from service.clock import SystemClock
        from service.store.blobs import BlobStore
        from service.store.database import Database
        from service.work.scheduler import Scheduler
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    database = Database(found.database_url)
    try:
        Scheduler(found, database, BlobStore(found.blobs), SystemClock()).run(stop)
    finally:
        database.close()


def worker() -> None:
    """Run one worker until SIGTERM (finishes what it runs) or SIGQUIT (puts it back)."""
    found = settings()
    require("worker", "lamina worker", "celery", "torch", "captum")  # asked for, not imported: torch stays in the child
    from workers.app import main

    main(found)


def migrate() -> None:
    """Bring the database to this version's tables."""
    found = settings()
    with needs("api", "lamina migrate"):
        from service.store.migrate import upgrade
    upgrade(found.database_url)


def _exit_on_sigterm() -> None:
    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
