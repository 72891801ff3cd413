"""Which files outside its scratch may a child read? Code and shared libraries, no more: never a whole project folder.

The paths are opened once in the zygote, which may stand where the child's uid cannot look (a 0700 home).
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from .landlock import DEVICE, LIST, READ, READ_FILE, WRITE_FILE, Handle, grant

SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
PROCESSORS = ("/proc/cpuinfo", "/sys/devices/system/cpu")
OWN_PROCESS = ("status", "stat", "statm", "maps", "limits", "cmdline")
"""Files of /proc/self that libraries ask; not the folder, which shows the host's mounts and network tables too."""


def code_paths() -> set[str]:
    """The interpreter's libraries and the packages imported so far.

    An entry of sys.path that is no library folder (a source tree, which may hold a database or a key) is not opened
    as a whole: only the packages imported from it are.
    """
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        folders |= {f"{prefix}/lib", f"{prefix}/lib64"}
    folders |= {entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages", "lib-dynload")}
    folders |= {entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry}
    found = {os.path.realpath(folder) for folder in folders if folder and Path(folder).is_absolute()}
    for name, module in list(sys.modules.items()):
        if "." in name:
            continue
        for place in [*getattr(module, "__path__", []), getattr(module, "__file__", None) or ""]:
            path = os.path.realpath(place) if place else ""
            inside = any(path == folder or path.startswith(folder + os.sep) for folder in found)
            package = Path(path).name != "__init__.py"  # its folder is in __path__
            if path and package and not inside:
                found.add(path)
    return found - {os.sep}


def open_readable() -> list[Handle]:
    """Handles of everything a child on the CPU may read, and the two devices; what does not exist is left out."""
    granted = [grant(path, READ) for path in sorted(code_paths() | {*SYSTEM_LIBRARIES, *PROCESSORS})]
    granted += [grant("/dev/urandom", READ_FILE), grant("/dev/null", READ_FILE | WRITE_FILE)]
    return [handle for handle in granted if handle is not None]


def open_own_process() -> list[Handle]:
    """Handles of the calling process's own entries in /proc; to be opened in the child."""
    granted = [grant(f"/proc/self/{name}", READ_FILE) for name in OWN_PROCESS]
    granted.append(grant("/proc/self/task", LIST))
    return [handle for handle in granted if handle is not None]


def open_gpus() -> list[Handle]:
    """Handles of the NVIDIA device files of this machine. Not run on a GPU."""
    devices = sorted(path for path in Path("/dev").glob("nvidia*") if not path.is_dir())
    granted = [grant(str(path), DEVICE) for path in devices]
    return [handle for handle in granted if handle is not None]
