"""Why does a fork of a large process cost so much, and what makes it cheap? Page tables: fewer, larger pages.

A fork copies an entry for each page that its process filled, and the end of the child drops each again: 25 ms of a
processor for the 340 MiB that torch and the readers of formats take. In pages of 2 MiB that is 8 ms; what a child
writes is still copied 4 KiB at a time. Source: madvise(2), MADV_COLLAPSE (Linux 6.1).
"""

from __future__ import annotations

import time
from pathlib import Path

from . import kernel

HUGE_BYTES = 1 << 21
MADV_COLLAPSE = 25
MOST_SECONDS = 2.0
"""A machine short of free memory looks long for each page; a zygote that starts late is worse than a slow fork."""


def collapse() -> int:
    """Put what this process has filled into huge pages; how many. 0 where the kernel has none or has no room."""
    deadline, made = time.monotonic() + MOST_SECONDS, 0
    for start, end in _filled():
        for at in range(-(-start // HUGE_BYTES) * HUGE_BYTES, end - HUGE_BYTES + 1, HUGE_BYTES):
            if time.monotonic() > deadline:
                return made
            made += kernel.madvise(at, HUGE_BYTES, MADV_COLLAPSE)
    return made


def _filled() -> list[tuple[int, int]]:
    """(start, end) of every private writable mapping of no file, the heap among them."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        span, access, _, _, inode, *name = line.split(maxsplit=5)
        if access.startswith("rw") and inode == "0" and name in ([], ["[heap]"]):
            start, _, end = span.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
