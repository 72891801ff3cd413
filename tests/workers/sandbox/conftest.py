"""Zygotes, staged jobs, and a second user who has an interpreter: what the sandbox tests share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SITE = HERE / "site"
REPOSITORY = HERE.parents[2]
sys.path.insert(0, str(SITE))

import sandbox_driver  # noqa: E402 - from the folder the zygotes import from, too

from workers.sandbox.children import Child  # noqa: E402
from workers.sandbox.client import Zygote  # noqa: E402
from workers.sandbox.spec import ChildSpec, Exit, Limits  # noqa: E402

Job = Callable[..., tuple[Exit, list[dict[str, Any]], Path]]
Spawned = Callable[..., tuple[Child, Path]]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = sandbox_driver.make_zygote()
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture
def zygote_of_my_own() -> Iterator[Callable[..., Zygote]]:
    made: list[Zygote] = []

    def make(**choices: Any) -> Zygote:
        made.append(sandbox_driver.make_zygote(**choices))
        made[-1].start()
        return made[-1]

    yield make
    for zygote in made:
        zygote.close()


@pytest.fixture
def spawned(zygote: Zygote, tmp_path: Path) -> Iterator[Spawned]:
    """spawned("spin", limits=..., by=zygote, level=..., **job) -> (child, scratch); kills what a test leaves."""
    children: list[Child] = []

    def spawn(
        do: str,
        *,
        limits: Limits = sandbox_driver.LIMITS,
        by: Zygote = zygote,
        settings: dict[str, Any] | None = None,
        **job: Any,
    ) -> tuple[Child, Path]:
        scratch = sandbox_driver.stage(tmp_path / f"scratch-{len(children)}", do, **job)
        spec = ChildSpec(entry="sandbox_jobs:run", scratch=scratch, limits=limits, **(settings or {}))
        children.append(by.spawn(spec))
        return children[-1], scratch

    yield spawn
    for child in children:
        child.kill()


@pytest.fixture
def job(spawned: Spawned) -> Job:
    """Run a job to its end: (exit, messages, scratch)."""

    def run(do: str, **choices: Any) -> tuple[Exit, list[dict[str, Any]], Path]:
        child, scratch = spawned(do, **choices)
        said = list(child.messages(40))
        ended = child.wait(60)
        assert ended is not None
        return ended, said, scratch

    return run


def value(scratch: Path, name: str = "value.json") -> Any:
    return json.loads((scratch / "results" / name).read_text())


@pytest.fixture(scope="session")
def as_nobody() -> Iterator[Callable[[str], str]]:
    """Run a Python text as `nobody`, with an interpreter and this code in places that user can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody; the suite itself is the other user here")
    with tempfile.TemporaryDirectory(prefix="lamina-nobody-") as name:
        place = Path(name)
        place.chmod(0o755)
        python = _copy_interpreter(place)
        for package in ("workers/__init__.py", "workers/sandbox"):
            source, target = REPOSITORY / package, place / "code" / package
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        shutil.copytree(SITE, place / "code" / "site")
        home = place / "home"
        home.mkdir()
        shutil.chown(home, "nobody")
        environment = {
            "PATH": os.defpath,
            "LD_LIBRARY_PATH": str(place / "python" / "lib"),
            "PYTHONPATH": f"{place / 'code'}:{place / 'code' / 'site'}",
            "LAMINA_BROKER_URL": "redis://:password@127.0.0.1",
        }

        def run(text: str) -> str:
            done = subprocess.run(
                [python, "-c", text], user="nobody", group="nogroup", extra_groups=[], cwd=home, env=environment,
                capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


def _copy_interpreter(place: Path) -> str:
    """The running interpreter's base installation without its packages: 1 s, 100 MB, and gone with the session."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base, copy = Path(sys.base_prefix), place / "python"
    left_out = shutil.ignore_patterns("site-packages", "test", "idlelib", "ensurepip", "turtledemo", "config-*")
    shutil.copytree(base / "lib" / version, copy / "lib" / version, ignore=left_out, symlinks=False)
    for library in (base / "lib").glob("libpython*.so*"):
        shutil.copyfile(library, copy / "lib" / library.name)
    (copy / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), copy / "bin" / version)
    return str(copy / "bin" / version)
