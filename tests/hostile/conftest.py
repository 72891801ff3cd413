"""One zygote for every hostile file of a run."""

import sys
from collections.abc import Iterator

import pytest

from tests.hostile.harness import Intake


@pytest.fixture(scope="session")
def intake() -> Iterator[Intake]:
    """Runs hostile files through the real inspection: `intake.run(case, tmp_path)`."""
    if sys.platform != "linux":
        pytest.skip("the sandbox, and so intake, runs on Linux")
    opened = Intake()
    yield opened
    opened.close()
