"""Does the API do what its OpenAPI document says? Schemathesis asks, over sockets, by the document alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.service.http.asking import Asker

pytestmark = pytest.mark.stack
PHASES = {"sqlite": "examples,coverage", "postgresql": "examples,fuzzing,stateful"}
"""Coverage asks thousands of times for what is refused before any database is asked, and once is enough for that; what
is drawn by lot is asked of the stricter database, which also refuses texts that the other takes."""
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(600)
def test_the_api_keeps_to_its_document(port: int, ask: Asker, database_url: str, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {ask.key}"),
        *("--phases", PHASES[make_url(database_url).get_backend_name()], "--max-examples", "8"),
        *("--seed", "20261122", "--generation-database", "none", "--continue-on-failure", "--no-color"),
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=560, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert counted is not None, done.stdout
    assert int(counted[1]) >= 300
