"""How long does a worker wait for a sandboxed process that has torch loaded: fork, enter, run nothing, exit, reap?

Peer: what a worker without a zygote would do, a new interpreter that imports the same modules (measured three times).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from workers.sandbox.client import Zygote, environment
from workers.sandbox.inside import Line
from workers.sandbox.spec import ChildSpec, Level

PRELOAD = "workers.preload"
ENTRY = "benchmarks.sandbox:nothing"
RUNS = 31
PEER_RUNS = 3


def nothing(scratch: Path, line: Line) -> None:
    """The job that is measured: none."""


def measure() -> list[dict[str, object]]:
    """One row, `sandbox/fork_enter_exit`, in seconds."""
    zygote = Zygote(preload=PRELOAD, entries=(ENTRY,))
    with tempfile.TemporaryDirectory() as folder:
        try:
            zygote.start()
            seconds = [_one_child(zygote, Path(folder) / str(index)) for index in range(RUNS + 1)][1:]
        finally:
            zygote.close()
    peer = median(_one_interpreter() for _ in range(PEER_RUNS))
    ours = median(seconds)
    return [
        {
            "name": "sandbox/fork_enter_exit",
            "what": f"median of {RUNS} children that do nothing, torch loaded, level {zygote.level}",
            "value": ours,
            "unit": "s",
            "peer": "a new interpreter that imports the same modules",
            "peer_value": peer,
            "ratio": peer / ours,
            "floor_value": None,
            "floor_ratio": None,
            "runs": RUNS,
            "spread": [min(seconds), ours, max(seconds)],
            "device": "cpu",
            "threads": 1,
            "versions": {"python": platform.python_version(), "kernel": platform.release()},
        }
    ]


def _one_child(zygote: Zygote, scratch: Path) -> float:
    scratch.mkdir()
    began = perf_counter()
    child = zygote.spawn(ChildSpec(entry=ENTRY, scratch=scratch, minimum_level=Level.RLIMITS_ONLY))
    ended = child.wait(60)
    took = perf_counter() - began
    if ended is None or ended.reason != "completed":
        child.kill()
        raise RuntimeError(f"a child that does nothing did not complete: {ended}")
    return took


def _one_interpreter() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-P", "-c", f"import {PRELOAD}"], env=environment(), cwd=os.sep, check=True)
    return perf_counter() - began
