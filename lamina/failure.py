"""How does a command fail? With a sentence that says what to do, and an exit code that says of what sort it was.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | the audit failed, or a requirement was not met |
| 2 | usage: a wrong argument, setting or file, or a part that is not installed |
| 3 | the service refused, or could not be reached or started |
| 4 | not done in the time given |
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

OURS = frozenset({"lamina", "service", "workers", "migrations"})


class Failure(Exception):
    """Something asked for was not done; the text is for whoever asked."""

    exit_code: ClassVar[int] = 3


class NotMet(Failure):
    """The audit failed, or a requirement was not met."""

    exit_code = 1


class Usage(Failure):
    """A wrong argument, setting or file."""

    exit_code = 2


class MissingExtra(Usage):
    """A part of Lamina that is not installed here; the text holds the command that installs it."""


def require(extra: str, what: str, *packages: str) -> None:
    """Raise `MissingExtra` unless the packages of `lamina[extra]` are installed; none of them is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise _missing(extra, what, package)


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Around imports that come with `lamina[extra]`: a missing package becomes `MissingExtra`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        raise _missing(extra, what, error.name or "") from error


def _missing(extra: str, what: str, package: str) -> MissingExtra:
    return MissingExtra(f"{what} needs the package {package!r}, which is not installed: pip install 'lamina[{extra}]'")
