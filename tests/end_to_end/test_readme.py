"""The README's own commands, run against a stack: what a reader would type first must work."""

import os
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
        timeout=120,
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
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "report.html").read_bytes()
