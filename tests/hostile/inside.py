"""What runs in the child of a hostile case? The real job, with everything Python can see of an attack written down.

The sandbox denies what an attack then tries; that it was tried at all shows that foreign bytes decided what ran.
"""

import os
import sys
from pathlib import Path
from typing import Any

import workers.child
from workers.sandbox.inside import Line

NOTES = "attempts.txt"
NAME = "lamina-hostile"
"""Part of every path and name a payload is given."""
NEVER = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.", "pickle.find_class", "ctypes.dlopen", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
    "os.utime", "os.setxattr", "os.removexattr", "os.kill", "signal.pthread_kill", "urllib.", "http.client", "ftplib.",
    "smtplib.", "webbrowser.", "os.putenv", "os.unsetenv",
)  # fmt: skip
"""Audit events that no inspection raises (https://docs.python.org/3/library/audit_events.html)."""
ON_FILES = ("open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "shutil.")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OWN = ("/proc/self/cwd", "/dev/null")


def run(scratch: Path, line: Line) -> None:
    """The entry: `workers.child.run`, listened to."""
    notes = os.open(NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    known = {name.partition(".")[0] for name in sys.modules}

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if suspicious(event, given, known):
            os.write(notes, f"{event} {given!r}"[:500].encode(errors="replace") + b"\n")

    sys.addaudithook(heard)
    workers.child.run(scratch, line)


def careless(scratch: Path, line: Line) -> None:
    """An entry without any validator, to show that the harness sees what then happens: it runs the file."""
    exec((scratch / "inputs" / "source").read_text(), {})


def suspicious(event: str, given: tuple[Any, ...], known: set[str]) -> bool:
    """Whether an audit event is one that only foreign code, or code led by foreign bytes, would raise."""
    if event.startswith(NEVER):
        return True
    if event == "import":
        return str(given[0]).partition(".")[0] not in known
    if event == "compile":
        return NAME in (given[0].decode(errors="replace") if isinstance(given[0], bytes) else str(given[0]))
    if event.startswith(ON_FILES):
        return any(NAME in str(value) for value in given) or _written_elsewhere(event, given)
    return False


def _written_elsewhere(event: str, given: tuple[Any, ...]) -> bool:
    path, flags = given[0], given[-1]
    if isinstance(path, bytes):
        path = path.decode(errors="replace")
    if not isinstance(path, str) or not path.startswith("/") or path.startswith(OWN):
        return False
    if event in ("os.listdir", "os.scandir"):
        return False  # torch looks through its own folder to name where a message comes from
    return event != "open" or (isinstance(flags, int) and bool(flags & WRITING))
