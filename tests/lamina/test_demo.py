"""The demo goes the whole way, leaves reports and no process, and touches no folder that is not its own."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lamina.demo import MARK
from tests.lamina.typed import lamina


@pytest.mark.slow
def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    result = lamina("demo", "--home", tmp_path)
    assert result.exit_code == 2
    assert "not the demo's" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_trains_audits_shows_history_and_report_and_stops_everything(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    for name in (MARK, "report-of-another-time.html"):  # the folder of an earlier demo
        (home / name).touch()
    run = subprocess.run(
        [sys.executable, "-m", "lamina", "demo", "--home", str(home)],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    reports = {path.name for path in home.glob("report-*.html")}
    names = [f"{name}-{version}" for name in ("digits-cnn", "tumour-mlp") for version in "12"]
    names.append("sentences-transformer-1")
    assert reports == {f"report-{name}.html" for name in names}
    assert all(str(home / report) in run.stdout for report in reports)
    assert "TRUSTED" in run.stdout
    for said in ("accuracy under attack", "may the attack be believed", "robustness_layers", "robustness_tabular"):
        assert said in run.stdout
    for layer in ("conv1", "relu2", "logits", "dense1"):
        assert layer in run.stdout
    assert living(home) == []


def living(home: Path) -> list[str]:
    """Command lines of processes that have the folder in their command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.Error, OSError):
            continue
        if any(str(home) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found
