"""Do damaged copies of sound datasets come in or get refused in words, whatever byte is changed, in every format?

The readers run in a forked child with little memory: a native parser that crashes is seen, and takes nothing with it.
"""

import os
import random
import resource
import traceback
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from service.contracts.facts import Column, DatasetFacts
from tests.workers.subject.data.files import image, image_facts, npz, parquet_of, table_facts, text_facts, zipped
from workers.subject.data.arrow import pa
from workers.subject.data.dataset import rewrite_dataset
from workers.subject.refusal import Refusal, out_of_memory

pytestmark = pytest.mark.slow

FEW, MANY = 100, 5_000
MEMORY_BYTES = 6 << 30
SEED = 20_261_122
PIXELS = np.random.default_rng(SEED).integers(0, 256, (16, 16, 3), dtype=np.uint8)
ROWS = {"inputs": np.linspace(-9, 9, 40).reshape(20, 2), "labels": np.arange(20) % 2}
COLUMNS = {"a": ROWS["inputs"][:, 0], "b": ROWS["inputs"][:, 1], "labels": ["cat", "dog"] * 10}
NULLS = {"a": pa.array([1, None, 3], pa.int16()), "b": pa.array([True, None, False]), "labels": [0, 1, 0]}
TEXTS = {"text": [f"text {at} Grüße" for at in range(20)], "label": ["cat", "dog"] * 10}
CSV = "a,b,labels\n" + "".join(f'{at},"-{at}.5",{at % 2}\n' for at in range(9))
CSV_OF_TEXTS = "text,label\n" + "".join(f'"{text}",cat\n' for text in TEXTS["text"])
JSONL = '{"a": 1, "b": -2.5e-1, "labels": "cat"}\n{"inputs": [], "a": 0, "b": 1, "labels": 1}\n'
FILLED = table_facts(
    columns=[
        {"name": "a", "missing": 0},
        {"name": "b", "type": "boolean", "missing": 1},
        {"name": "labels", "role": "label"},
    ]
)
PLAIN = (Column(name="a"), Column(name="b"), Column(name="labels", role="label"))
PNG = {"cat/1.png": image(PIXELS), "labels.csv": "file,label\ncat/1.png,dog\n"}
SOUND: dict[str, tuple[bytes, DatasetFacts]] = {
    "npz": (npz(**ROWS), table_facts()),
    "safetensors": (safetensors.numpy.save(ROWS), table_facts()),
    "csv": (CSV.encode(), table_facts()),
    "csv of texts": (CSV_OF_TEXTS.encode(), text_facts()),
    "jsonl": (JSONL.encode() * 4, FILLED.model_copy(update={"columns": PLAIN})),
    "parquet": (parquet_of(COLUMNS), table_facts()),
    "parquet of texts": (parquet_of(TEXTS, compression="zstd", row_group_size=7), text_facts()),
    "parquet of nulls": (parquet_of(NULLS, data_page_version="2.0", compression="gzip"), FILLED),
    "png": (zipped(PNG), image_facts((3, 16, 16))),
    "jpeg": (zipped({"cat/1.jpg": image(PIXELS, "JPEG")}), image_facts(resize={"fit": "crop"})),
    "webp": (zipped({"cat/1.webp": image(PIXELS, "WEBP")}), image_facts(resize={"fit": "pad"})),
}


def damaged(content: bytes, draw: random.Random) -> bytes:
    """One to four bytes changed, or a stretch cut out, doubled or filled."""
    changed = bytearray(content)
    match draw.randrange(6):
        case 0:
            at, size = draw.randrange(len(changed)), draw.randrange(1, 65)
            del changed[at : at + size]
        case 1:
            at, size = draw.randrange(len(changed)), draw.randrange(1, 65)
            changed[at:at] = changed[at : at + size]
        case 2:
            at, size = draw.randrange(len(changed)), draw.randrange(1, 9)
            changed[at : at + size] = draw.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * size
        case _:
            for _ in range(draw.randrange(1, 5)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def unsound(name: str, rounds: int, folder: Path) -> list[str]:
    """What broke for one format, in a forked child: every exception that is no refusal, and every crash."""
    content, facts = SOUND[name]
    report, at = folder / "report", folder / "at"
    report.touch()
    start, crashes = 0, list[str]()
    while start < rounds:
        child = os.fork()
        if child == 0:
            try:
                _run(content, facts, range(start, rounds), folder)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        done = int(at.read_text())
        if status != 0:
            crashes.append(f"round {done} ended with status {status}")
        start = done + 1
    return [*crashes, *report.read_text().splitlines()]


def _run(content: bytes, facts: DatasetFacts, rounds: range, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = folder / "source"
    for each in rounds:
        (folder / "at").write_text(str(each))
        source.write_bytes(damaged(content, random.Random(SEED + each)))
        try:
            rewrite_dataset(source, folder / "canonical", facts)
        except Refusal as refusal:
            if not refusal.remedy or str(folder) in refusal.detail:
                _note(folder, f"round {each}: a refusal that helps nobody: {refusal.detail}")
        except Exception as error:
            if not out_of_memory(error):
                _note(folder, f"round {each}: {traceback.format_exc(limit=-3)!r}")


def _note(folder: Path, said: str) -> None:
    with (folder / "report").open("a") as file:
        file.write(said + "\n")


@pytest.mark.parametrize("name", SOUND)
def test_damaged_copies_are_refused_or_come_in(name: str, tmp_path: Path) -> None:
    assert unsound(name, FEW, tmp_path) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", SOUND)
def test_many_damaged_copies_are_refused_or_come_in(name: str, tmp_path: Path) -> None:
    assert unsound(name, MANY, tmp_path) == []
