"""Which bound did an exception meet? The kernel says it in errno; libraries say it in their own words."""

from __future__ import annotations

import errno

from .spec import Reason

_BY_ERRNO: dict[int, Reason] = {
    errno.ENOMEM: "memory",
    errno.EFBIG: "file-size",
    errno.EMFILE: "open-files",
    errno.ENFILE: "open-files",
}
_BY_WORDS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    ("memory", ("DefaultCPUAllocator", "not enough memory", "std::bad_alloc", "CUDA out of memory")),
    # Rust's std::io::Error, as safetensors passes it on
    ("file-size", ("(os error 27)",)),
    ("open-files", ("(os error 24)", "Too many open files")),
    ("processes", ("can't start new thread", "(os error 11)", "Resource temporarily unavailable")),
)


def bound_met(error: BaseException) -> Reason | None:
    """`memory`, `file-size`, `open-files` or `processes`; None where the exception speaks of no bound."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0)
    # torch raises RuntimeError for memory and threads alike; safetensors has an exception of its own.
    if isinstance(error, RuntimeError) or type(error).__module__.startswith("safetensors"):
        said = str(error)
        return next((reason for reason, words in _BY_WORDS if any(part in said for part in words)), None)
    return None
