"""The examples are what a reader copies: their facts are accepted, their commands exist, the script runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lamina.cli import app
from lamina.operator import bootstrap, opened, trust
from lamina.up import Stack
from service.contracts.facts import DatasetFacts, ModelFacts

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("facts/*.json")), ids=lambda file: file.name)
def test_facts_are_accepted(file: Path) -> None:
    kind = {".model": ModelFacts, ".dataset": DatasetFacts}[Path(file.stem).suffix]
    kind.model_validate_json(file.read_bytes())


def test_every_command_and_option_in_the_page_exists() -> None:
    page = (EXAMPLES / "README.md").read_text().replace("\\\n", " ")
    typed = [shlex.split(line) for line in re.findall(r"^lamina .*$", page, re.MULTILINE)]
    assert len(typed) >= 8
    for words in typed:
        command: Any = get_command(app)
        rest = words[1:]
        while rest and hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        options = {word for word in rest if word.startswith("--")}
        assert command.name == "export" or options <= known, words


@pytest.mark.stack
def test_the_script_runs_twice_and_continues_the_history(tmp_path: Path) -> None:
    with Stack(tmp_path / "home", gpus=()) as stack:
        with opened(stack.settings()["LAMINA_DATABASE_URL"]) as database:
            made = bootstrap(database, tenant="demo", principal="operator")
            trust(database, tenant="demo", principal="operator")
        assert made is not None
        environment = {**os.environ, "LAMINA_URL": stack.url, "LAMINA_API_KEY": made.text}
        for version in ("1", "2"):
            run = subprocess.run(
                [sys.executable, str(EXAMPLES / "submit_and_read.py"), version],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert run.returncode == 0, run.stdout + run.stderr
            assert "n = 64" in run.stdout
            assert (tmp_path / "report.html").read_bytes()
