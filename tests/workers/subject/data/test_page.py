"""Does the example of the documentation come in as its text says, and does its table of limits tell the caps?"""

import re
from pathlib import Path

import pytest

from service.contracts.facts import DatasetFacts, Resize
from tests.workers.subject.data.files import taken
from workers.subject.data import limits
from workers.subject.data.formats import FORMATS

PAGE = Path(__file__).parents[4].joinpath("docs/intake/datasets.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_comes_in_as_the_page_says(tmp_path: Path) -> None:
    (table,), (facts, resize) = blocks("csv"), blocks("json")
    manifest, examples = taken(tmp_path, table, DatasetFacts.model_validate_json(facts))
    assert examples.inputs.tolist() == [[34, 51000, 0, 1], [51, 23000.5, 1, 0], [29, 0, 0, 1], [46, 38000, 2, 0]]
    assert examples.labels is not None
    assert examples.labels.tolist() == [1, 0, 1, 0]
    assert manifest.notes == (
        "not read: 'id'",
        "1 empty cells of column 'income' became what was declared for them",
    )
    assert Resize.model_validate_json(re.sub(r'^\{"resize": (.*)\}$', r"\1", resize.strip())).short_side == 256


def test_every_format_is_on_the_page() -> None:
    assert all(f"| `{name}` |" in PAGE or f"| {name} |" in PAGE for name in FORMATS)


@pytest.mark.parametrize(
    ("said", "cap"),
    [
        ("| examples | 10 000 000 |", limits.EXAMPLES == 10_000_000),
        ("| 4 GiB | what a worker's child", limits.CANONICAL_BYTES == 4 << 30),
        ("| 200 times |", limits.ARCHIVE_RATIO == 200),
        ("| 64 | |", limits.NPZ_MEMBERS == 64),
        ("| 16 KiB; 16 MiB |", (limits.ARRAY_HEADER, limits.SAFETENSORS_HEADER) == (16 << 10, 16 << 20)),
        ("| columns | 10 000 |", limits.COLUMNS == 10_000),
        ("| 4 MiB; 131 072 characters |", (limits.LINE_BYTES, limits.CELL_CHARACTERS) == (4 << 20, 131_072)),
        ("| 64 characters |", limits.NUMBER_CHARACTERS == 64),
        ("| all texts | 1 GiB |", limits.TEXT_BYTES == 1 << 30),
        ("| different labels | 100 000 |", limits.DISTINCT_LABELS == 100_000),
        ("| 16 MiB; 10 000; 4 GiB |", (limits.PARQUET_FOOTER, limits.PARQUET_GROUPS) == (16 << 20, 10_000)),
        ("| 100 000; 32 MiB; 25 000 000 |", (limits.IMAGES, limits.IMAGE_BYTES) == (100_000, 32 << 20)),
        ("25 000 000 |", limits.IMAGE_PIXELS == 25_000_000),
        ("up to 20 of them", limits.FAULTS == 20),
    ],
)
def test_the_page_tells_the_caps(said: str, cap: bool) -> None:
    assert said in PAGE
    assert cap
