"""Does the API do what its OpenAPI document says? Schemathesis asks, over sockets, by the document alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.http.asking import Asker

pytestmark = pytest.mark.stack
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(300)
def test_the_api_keeps_to_its_document(port: int, ask: Asker, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {ask.key}"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8"),
        *("--seed", "20261122", "--generation-database", "none", "--continue-on-failure", "--no-color"),
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert counted is not None, done.stdout
    assert int(counted[1]) >= 300
