"""What must a child settle before its program begins? Its files' mode, its user, and that it ends with its parent.

Run as a script, `python -I -S enter.py PARENT SIGNAL UMASK UID GID PROGRAM ARGUMENT...`, and replaced by PROGRAM. A
program of its own and not `preexec_fn`, which runs Python between fork and exec and may deadlock beside threads. It
takes about 13 ms and imports the standard library alone; -1 leaves UMASK, UID or GID as they are.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_ORPHANED = 125
EXIT_NOT_EXECUTABLE = 126


def _enter(parent: int, signal_on_parent_death: int, umask: int, uid: int, gid: int) -> None:
    if umask >= 0:
        os.umask(umask)
    if uid >= 0:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after setuid, which clears it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_on_parent_death)
    if os.getppid() != parent:  # it died before the line above could see it
        sys.exit(EXIT_ORPHANED)
    # exec hands on what is ignored: Python ignores the first two, a shell the others for what it starts with `&`
    for each in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)


def _main(words: list[str]) -> None:
    parent, signal_on_parent_death, umask, uid, gid = (int(word) for word in words[:5])
    program = words[5:]
    _enter(parent, signal_on_parent_death, umask, uid, gid)
    try:
        os.execv(program[0], program)  # noqa: S606 - replacing ourselves by our caller's own words is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot execute {program[0]}: {error.strerror}\n")
        sys.exit(EXIT_NOT_EXECUTABLE)


if __name__ == "__main__":
    _main(sys.argv[1:])
