"""Every kind has a page that names its parameters, its measurements and its source; every habit has a sentence."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from service.contracts.vocabulary import METRICS
from workers.analyses import KINDS
from workers.catalog import pages

ROOT = Path(__file__).parents[2]
HABITS = (
    "demo", "up", "quick", "test", "test-long", "lint", "types", "format", "bench", "catalog", "openapi", "migration",
    "gpu-check",
)  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_a_page_that_says_it_all(name: str) -> None:
    page = (ROOT / "docs" / "kinds" / f"{name}.md").read_text()
    kind = KINDS[name]
    words = [*kind.parameters.model_fields, *kind.metrics, *(control.name for control in kind.controls)]
    missing = [word for word in words if word not in page]
    assert missing == []
    assert re.search(r"arXiv:\d{4}\.\d{4,5}", page), "the page cites no paper"
    for metric in kind.metrics:
        assert METRICS[metric].direction in page


def test_a_page_written_from_its_kind_is_what_would_be_written_now() -> None:
    for name, page in pages().items():
        assert (ROOT / "docs" / "kinds" / f"{name}.md").read_text() == page, "run `make catalog`"


def test_no_page_describes_a_kind_that_is_not_there() -> None:
    assert {page.stem for page in (ROOT / "docs" / "kinds").glob("*.md")} == set(KINDS)


def test_make_lists_every_habit_with_a_sentence() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for habit in HABITS:
        assert re.search(rf"^  make {habit} +\S+ \S+", listed, re.MULTILINE), f"make {habit} is not listed"


def test_numbers_the_readme_quotes_from_benchmarks_are_those_on_file() -> None:
    rows = {row["name"]: row for row in json.loads((ROOT / "benchmarks" / "results.json").read_text())["results"]}
    quoted = re.findall(r"(\d+(?:\.\d+)?)(?: x| ms| s)? <!-- ([\w/.-]+) (value|ratio|floor_ratio) -->", _readme())
    assert quoted, "the README quotes no benchmark"
    for shown, name, column in quoted:
        value = rows[name][column] * (1000 if rows[name]["unit"] == "s" and column == "value" else 1)
        digits = len(shown.partition(".")[2])
        assert f"{value:.{digits}f}" == shown, f"{name} {column} is {value:.{digits}f} on file, {shown} in the README"


def _readme() -> str:
    return (ROOT / "README.md").read_text()
