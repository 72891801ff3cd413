"""How does memory that one step of a computation frees serve the next, without a detour through the kernel?

glibc hands large blocks and the top of its heap back as they are freed, and every chunk of a sweep faults the same
pages in again: a tenth of the time for convolutions, and half of it if every block has pages of its own. A process that
computes and then ends has no reason to give anything back before.
"""

from __future__ import annotations

import ctypes
from functools import cache

from workers.machine import resident_bytes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER_BYTES, _LARGEST_BYTES = 1 << 30, 32 << 20
_GROWTH, _LEAST_GROWTH_BYTES = 8, 4 << 20


@cache
def keep_freed_pages() -> bool:
    """Sets both limits for this process, from now on. False, and no change, where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER_BYTES))


def give_back_freed_pages() -> bool:
    """Hands what is free now back to the kernel, once: between a phase and another with different needs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


class KeptPages:
    """Freed pages are kept from chunk to chunk, and given back once they are an eighth more than a chunk needs.

    glibc 2.36 puts no aligned block where one of its own size was freed, so equal chunks leave ever more holes: a long
    sweep grew by a third of its memory every hundred chunks. Given back, the holes cost one chunk's page faults.
    """

    def __init__(self) -> None:
        self._before, self._bound = resident_bytes(), 0.0

    def after_chunk(self) -> None:
        """Called when a chunk has freed what it made; the first call says what a chunk takes."""
        resident = resident_bytes()
        if not self._bound:
            self._bound = resident + max((resident - self._before) / _GROWTH, _LEAST_GROWTH_BYTES)
        elif resident > self._bound:
            give_back_freed_pages()
