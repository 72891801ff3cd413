"""The web side and the Celery process start without anything numerical: asked of clean interpreters."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "captum", "lime", "matplotlib", "workers.analyses", "workers.kind")

PROGRAMS = {
    "the API": "from service.app import create_app",
    "the scheduler": "from service.work.scheduler import Scheduler",
    "the worker": "import workers.tasks, workers.app",
    "the client": "import lamina.client",
    "the supervisor": "import lamina.up",
}


@pytest.mark.parametrize("who", PROGRAMS)
def test_it_imports_nothing_heavy(who: str) -> None:
    code = f"{PROGRAMS[who]}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


@pytest.mark.parametrize("who", ["the client", "the supervisor"])
def test_the_base_needs_no_server_library(who: str) -> None:
    wanted = ("flask", "sqlalchemy", "celery")
    code = f"{PROGRAMS[who]}\nimport sys\nprint(*[name for name in {wanted!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert run.stdout.split() == []
