"""Does any hostile file have an effect? Each goes through the real inspection, in a sandboxed child, under a canary."""

import hashlib
import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import tests.hostile
from tests.hostile.canary import Canary
from tests.hostile.harness import Hostile, Intake, meets

pytestmark = pytest.mark.slow

AT_LEAST = 150
"""What was promised; there are several times as many."""
MODULES = sorted(
    module.name for module in pkgutil.iter_modules(tests.hostile.__path__) if module.name.startswith("cases_")
)
CASES: list[Hostile] = [case for name in MODULES for case in importlib.import_module(f"tests.hostile.{name}").cases()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_file_has_no_effect(case: Hostile, intake: Intake, tmp_path: Path) -> None:
    meets(case, intake.run(case, tmp_path))


def test_the_corpus_is_large_and_no_file_is_in_it_twice(tmp_path: Path) -> None:
    """By content: two cases may build the same bytes only if what is declared of them differs."""
    names = Counter(case.name for case in CASES)
    assert names.most_common(1)[0][1] == 1, names.most_common(3)
    built: dict[tuple[str, str], str] = {}
    with Canary():
        for at, case in enumerate(CASES):
            path = tmp_path / str(at)
            case.build(path)
            key = (hashlib.sha256(path.read_bytes()).hexdigest(), case.facts.model_dump_json())
            assert key not in built, f"{case.name!r} is {built[key]!r} again"
            built[key] = case.name
            path.unlink()
    assert len(built) >= AT_LEAST
