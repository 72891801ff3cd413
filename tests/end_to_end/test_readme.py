"""The README's own commands, run against a stack: what a reader would type first must work."""

import csv
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.material import register, write_dataset, write_model
from tests.stacks import Running

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


CHURN = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
"""


def test_from_a_module_and_a_table_to_an_audit_as_printed(running: Running, tmp_path: Path) -> None:
    draw = random.Random(0)
    (tmp_path / "churn.py").write_text(CHURN)
    with (tmp_path / "churn.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["age", "visits", "outcome", "income"])  # not in the order of the network's features
        table.writerows(
            [draw.randint(18, 99), draw.randint(0, 60), draw.choice(["stays", "leaves"]), draw.randint(900, 9000)]
            for _ in range(40)
        )
    [block] = [block for block in blocks("sh") if "lamina export" in block]
    environment = {
        **os.environ,
        "COLUMNS": "160",
        "LAMINA_URL": running.stack.url,
        "LAMINA_API_KEY": running.key,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ready") >= 2
    assert "succeeded" in run.stdout
    assert "churn" in (tmp_path / "churn.html").read_text()
    columns = json.loads((tmp_path / "churn.csv.facts.json").read_text())["columns"]
    assert [column["name"] for column in columns] == ["age", "income", "visits", "outcome"]


def test_the_blocks_run_as_printed(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        register(client, tmp_path, "warm-up")
    write_model(tmp_path / "model.pt2")
    write_dataset(tmp_path / "data.npz")
    environment = {
        **os.environ,
        "LAMINA_URL": fragile.stack.url,
        "LAMINA_API_KEY": fragile.key,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    [curl] = [block for block in blocks("sh") if "curl" in block]
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", curl],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "finished" in run.stdout
    [python] = blocks("python")
    run = subprocess.run(
        [sys.executable, "-c", python],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "report.html").read_bytes()
