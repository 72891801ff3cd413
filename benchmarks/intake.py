"""How long does intake take over a file of 100 MB, and how much memory, beside torch.export.load of the same file?

The file is written by torch.export.save: 25 linear layers of 1024 in a row, 105 MB of weights. Ours: the whole rewrite,
from the customer's file to the canonical one and its digest. Peer: torch.export.load, which reads the same bytes,
checks less and writes nothing. They run in turn, so that a neighbour's load falls on both alike; the ratio is the
median of the rounds' ratios, the peer's to ours. Memory is the peak of a process of its own over what it held before.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import nn

from workers.subject.pt2 import rewrite

ROUNDS = 9
LAYERS, WIDTH = 25, 1024


def measure(rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Two rows, as `benchmarks/results.json` keeps them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.pt2"
            _write(source)
            return [_time(source, rounds), _memory(source)]
    finally:
        torch.set_num_threads(before)


def _write(path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))).eval()
    example = torch.zeros(2, WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns of its own workings
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, path)


def _time(source: Path, rounds: int) -> dict[str, object]:
    target = source.with_name("canonical.pt2")
    _round(source, target)
    taken = [_round(source, target) for _ in range(rounds)]
    ours, peer = [each[0] for each in taken], [each[1] for each in taken]
    return {
        **_common(
            "intake/validate_100mb", f"a .pt2 of {source.stat().st_size:,} bytes validated and rewritten", rounds
        ),
        "value": median(ours),
        "unit": "s",
        "peer": "torch.export.load of the same file",
        "peer_value": median(peer),
        "ratio": median(p / o for o, p in zip(ours, peer, strict=True)),
        "spread": [min(ours), median(ours), max(ours)],
    }


def _round(source: Path, target: Path) -> tuple[float, float]:
    target.unlink(missing_ok=True)
    start = perf_counter()
    rewrite(source, target)
    between = perf_counter()
    torch.export.load(source)
    return between - start, perf_counter() - between


def _memory(source: Path) -> dict[str, object]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.intake", str(source)], capture_output=True, text=True, check=True
    )
    peak, size = int(run.stdout), source.stat().st_size
    return {
        **_common("intake/validate_100mb_memory", f"peak memory of rewriting a .pt2 of {size:,} bytes", 1),
        "value": peak,
        "unit": "bytes",
        "peer": "the file's size",
        "peer_value": size,
        "ratio": size / peak,
        "spread": [peak, peak, peak],
    }


def _common(name: str, what: str, runs: int) -> dict[str, object]:
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {"name": name, "what": what, "runs": runs, "device": "cpu", "threads": 1, "versions": versions}


def _held(line: str) -> int:
    """A line of this process's status in bytes; Linux counts in KiB."""
    return int(Path("/proc/self/status").read_text().partition(f"{line}:")[2].split()[0]) * 1024


def _peak_of_rewriting(source: Path) -> int:
    """How many bytes more than at first this process held at most."""
    with tempfile.TemporaryDirectory() as folder:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here (man 5 proc)
        before = _held("VmRSS")
        rewrite(source, Path(folder) / "canonical.pt2")
        return _held("VmHWM") - before


if __name__ == "__main__":
    print(_peak_of_rewriting(Path(sys.argv[1])))
