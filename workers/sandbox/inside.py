"""What can code say from inside the sandbox? JSON lines on one pipe; and it can ask whether it should stop."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from typing import Any

LINE_BYTES = 64 * 1024
RESERVED = ("entered", "ended")
SECONDS_BETWEEN_PROGRESS = 0.1


class Line:
    """The child's end of its two pipes. Writing waits while the worker does not read."""

    def __init__(self, *, progress_fd: int, control_fd: int, threads: int, device: str) -> None:
        self.threads = threads
        """How many threads the job may compute with; setting them is the entry's first act."""
        self.device = device
        self._progress_fd, self._control_fd = progress_fd, control_fd
        self._lock = threading.Lock()
        self._last = -math.inf
        self._cancelled = False
        os.set_blocking(control_fd, False)

    def progress(self, fraction: float, stage: str, **extra: Any) -> None:
        """Say how far the job is: `fraction` in [0, 1]. At most 10 a second are sent, so call it freely."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"fraction must lie in [0, 1], not {fraction}")
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_PROGRESS:
            self._last = now
            self.say({**extra, "type": "progress", "fraction": fraction, "stage": stage})

    def say(self, message: dict[str, Any]) -> None:
        """Send one message: a JSON object of at most 64 KiB, finite numbers only, of a type that is not reserved."""
        if message.get("type") in RESERVED:
            raise ValueError(f"{message['type']!r} is said by the sandbox alone")
        self.send(message)

    def send(self, message: dict[str, Any]) -> None:
        """Send any message; for the sandbox itself, jobs call `say`."""
        line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > LINE_BYTES:
            raise ValueError(f"a message may have {LINE_BYTES} bytes, not {len(line)}; write a result file instead")
        with self._lock:
            while line:
                line = line[os.write(self._progress_fd, line) :]

    def cancelled(self) -> bool:
        """Whether the worker asked to stop, or is gone. Cheap (one system call): ask at the end of each chunk."""
        if not self._cancelled:
            try:
                os.read(self._control_fd, 1)
            except BlockingIOError:
                return False
            self._cancelled = True
        return self._cancelled
