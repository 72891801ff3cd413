"""What is one sandboxed child given, and how did it end? Plain values; nothing here acts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

Reason = Literal[
    "completed", "failed", "killed", "crashed",
    "memory", "cpu-time", "wall-time", "file-size", "open-files", "scratch", "processes",
]  # fmt: skip
"""The second row are bounds: what a child of the same job would meet again."""

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


class SandboxUnavailable(Exception):
    """No child could be started. `permanent` is true where trying again cannot help (a setting is wrong)."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class ChildMisbehaved(Exception):
    """A child wrote something that is no message. It was killed; nothing it said or left may be used."""


class Level(StrEnum):
    """How much of the sandbox this kernel and this user can have; docs/sandbox.md says what each level promises."""

    FULL = "full"
    PARTIAL = "partial"
    RLIMITS_ONLY = "rlimits-only"

    def reaches(self, minimum: Level) -> bool:
        order = list(Level)
        return order.index(self) <= order.index(minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child may use at most. Every bound is a count, so the same job meets the same bound everywhere."""

    memory_bytes: int | None = 2 * GIBIBYTE
    """Above what the zygote holds already. On the CPU also RLIMIT_AS (after-fork size + this + 192 MiB per thread);
    on CUDA, which reserves huge address ranges, only resident memory is watched. None: no bound."""
    cpu_seconds: int = 600
    """Processor time of all threads together (RLIMIT_CPU)."""
    wall_seconds: float = 900.0
    file_bytes: int = GIBIBYTE
    """The largest file (RLIMIT_FSIZE), not the sum of all files."""
    scratch_bytes: int = 2 * GIBIBYTE
    """What all its files together may hold above what was staged; looked at, as memory is, every 100 ms."""
    scratch_files: int = 10_000
    """How many files and folders it may make."""
    open_files: int = 256
    processes: int = 64
    """Tasks, that is threads (RLIMIT_NPROC): exact where the child has its own uid, else above what the user runs."""

    def __post_init__(self) -> None:
        bounds = {name: value for name, value in asdict(self).items() if value is not None}
        wrong = [name for name, value in bounds.items() if not math.isfinite(value) or value <= 0]
        if wrong:
            raise ValueError(f"limits must be finite and above zero: {', '.join(wrong)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One job for one child."""

    entry: str
    """`module:function`, one of the entries its zygote was started with."""
    scratch: Path
    """An absolute folder, the child's only one: `job.json` and inputs lie in it as plain files of one name each
    (copies, never hard links: the child may write them). The child writes `results/`; its output is `output.txt`."""
    limits: Limits = Limits()
    threads: int = 1
    device: str = "cpu"
    """`cpu`, or `cuda:N`: the preload module's `initialise_device(device)` then runs before the sandbox is entered."""
    minimum_level: Level = Level.FULL
    """The child ends before the entry runs where it could not reach this level."""

    def __post_init__(self) -> None:
        if not self.scratch.is_absolute():
            raise ValueError(f"scratch must be an absolute path, not {self.scratch}")
        if self.threads < 1 or self.threads + 1 > self.limits.processes:
            raise ValueError(f"threads must lie in 1..{self.limits.processes - 1} (limits.processes - 1)")
        if self.device != "cpu" and not (self.device.startswith("cuda:") and self.device[5:].isdecimal()):
            raise ValueError(f"device must be cpu or cuda:N, not {self.device!r}")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "scratch": str(self.scratch)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ChildSpec:
        return cls(
            **{
                **values,
                "scratch": Path(values["scratch"]),
                "limits": Limits(**values["limits"]),
                "minimum_level": Level(values["minimum_level"]),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a child ended. `code` is None where a signal ended it; `detail` may quote the child and is untrusted text."""

    code: int | None
    signal: int | None
    reason: Reason
    detail: str
    peak_rss_bytes: int
    """Highest resident size (wait4), including `start_rss_bytes`."""
    start_rss_bytes: int = 0
    """Resident size when it entered the sandbox, before the entry ran: shared with the zygote. 0: it did not enter."""
    cpu_seconds: float = 0.0
