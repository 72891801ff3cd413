"""Measure, and keep the rows: `python -m benchmarks [PART ...]`, one of PARTS or several; no name means all."""

import importlib
import json
import platform
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.clock import SystemClock

FOLDER = Path(__file__).parent
PARTS = (
    "sandbox",
    "attribution",
    "real",
    "memory",
    "quotes",
    "lime",
    "lime_samples",
    "lime_layers",
    "attack",
    "intake",
    "stack",
    "history",
    "compliance",
)


def commit() -> str:
    """The commit that was measured, with a plus where anything but the results themselves had changed."""
    at = asked_of_git("rev-parse", "--short", "HEAD")
    changed = asked_of_git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!results*.json")
    return (at + "+" if changed else at) or "unknown"


def asked_of_git(*words: str) -> str:
    """What git answers in this folder; empty where there is no git."""
    run = subprocess.run(["git", *words], capture_output=True, text=True, cwd=FOLDER, check=False)
    return run.stdout.strip()


def processor() -> str:
    """The processor's name, as the kernel says it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def results_file(rows: list[dict[str, object]]) -> Path:
    """CPU rows and each device's rows live in files of their own."""
    devices = {str(row["device"]) for row in rows} - {"cpu"}
    return FOLDER / (f"results-{devices.pop().replace(' ', '-').lower()}.json" if devices else "results.json")


def keep(rows: list[dict[str, object]]) -> None:
    """Replace rows of the same name, keep the rest."""
    file = results_file(rows)
    before = json.loads(file.read_text())["results"] if file.exists() else []
    measured_at = SystemClock().now().strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"commit": commit(), "measured_at": measured_at, "processor": processor()}
    named = {row["name"]: row for row in before} | {row["name"]: {**row, **common} for row in rows}
    file.write_text(json.dumps({"results": [named[name] for name in sorted(named)]}, indent=1) + "\n")


def main() -> None:
    """Measure the parts named, print them, keep them."""
    chosen = [part for part in sys.argv[1:] if part] or list(PARTS)
    unknown = set(chosen) - set(PARTS)
    if unknown:
        sys.exit(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    table = Table(title="Measured here")
    for column in ("name", "value", "unit", "ratio to peer", "ratio to floor", "runs"):
        table.add_column(column)
    console = Console()
    for part in chosen:
        console.print(f"measuring {part} ...")
        rows = importlib.import_module(f"benchmarks.{part}").measure()
        keep(rows)
        for row in rows:
            shown = [row["name"], f"{row['value']:.4g}", row["unit"]]
            shown += [f"{row[key]:.2f}" if row.get(key) is not None else "" for key in ("ratio", "floor_ratio")]
            table.add_row(*(str(cell) for cell in (*shown, row["runs"])))
    console.print(table)


if __name__ == "__main__":
    main()
