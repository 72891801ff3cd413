"""Does any change of a folder's bytes or values do more than be refused? A fixed budget here, a longer one in the soak.

Most cases run against the functions directly, since a child takes twenty times as long; every kind of change also goes
through the sandbox. What comes in must give finite numbers from the inputs its facts declare.
"""

import copy
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.harness import Hostile, Intake
from tests.hostile.huggingface_files import (
    CONFIG,
    SHAPES,
    TOKENIZER,
    Build,
    Members,
    described,
    facts,
    header,
    leaves,
    numbers,
    packed,
    sound,
)
from workers.subject.inspection import inspect_model
from workers.subject.refusal import Refusal

WILD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**53, 2**63, -(2**63), 1e308, 1e-320, 0.5, "", "a", "\x00", "../x", "%s",
    "{}", "__class__", "\N{RIGHT-TO-LEFT OVERRIDE}", "x" * 3000, [], {}, [[]], [None], {"": None}, [1, 2],
    {"type": "Sequence"}, {"String": ""}, {"Regex": "(a+)+"}, "BPE", "Unigram", "<pad>", 11, 12,
)  # fmt: skip
PARTS = {"config.json": CONFIG, "tokenizer.json": TOKENIZER, "header": described(SHAPES)}


def mutated(value: Any, chosen: random.Random) -> Any:
    """The JSON value with one to three leaves, keys or elements changed."""
    value = copy.deepcopy(value)
    for _ in range(chosen.choice((1, 1, 1, 2, 3))):
        places = list(leaves(value))
        if not places:
            return value
        *above, last = chosen.choice(places)[: chosen.choice((1, 2, 9, 9, 9))]
        parent = value_at(value, above)
        act = chosen.random()
        if act < 0.7:
            parent[last] = copy.deepcopy(chosen.choice(WILD))
        elif act < 0.8:
            del parent[last]
        elif act < 0.9 and isinstance(parent, dict):
            parent[chosen.choice(("x", "type", "id", "vocab", "__init__", "dropout"))] = copy.deepcopy(
                chosen.choice(WILD)
            )
        elif isinstance(parent, list):
            parent.extend(copy.deepcopy(parent[: chosen.randint(0, 3)]))
    return value


def value_at(value: Any, place: list[str | int]) -> Any:
    for step in place:
        value = value[step]
    return value


def by_value(part: str, chosen: random.Random) -> Members:
    """The folder with values of one of its JSON parts changed."""
    value = mutated(PARTS[part], chosen)
    if part != "header":
        return {**sound(), part: json.dumps(value).encode()}
    content = b"".join(numbers(shape, at) for at, shape in enumerate(SHAPES.values()))
    return {**sound(), "model.safetensors": header(value) + content}


def by_byte(name: str, chosen: random.Random) -> Members:
    """The folder with one to four bytes of one file changed, put in or taken out."""
    content = bytearray(sound()[name])
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(min(len(content), 3000))
        act = chosen.random()
        if act < 0.6:
            content[at] = chosen.choice((0, 0x22, 0x7B, 0x5B, 0x80, 0xFF, content[at] ^ (1 << chosen.randrange(8))))
        elif act < 0.8:
            content[at:at] = bytes(chosen.choices(range(256), k=chosen.randint(1, 4)))
        else:
            del content[at : at + chosen.randint(1, 8)]
    return {**sound(), name: bytes(content)}


def by_zip(chosen: random.Random, path: Path) -> None:
    """The zip itself with a few bytes changed, mostly in its directory."""
    packed(sound, chosen.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))(path)
    content = bytearray(path.read_bytes())
    for _ in range(chosen.randint(1, 3)):
        at = chosen.randrange(len(content)) if chosen.random() < 0.3 else len(content) - 1 - chosen.randrange(400)
        content[at] = chosen.randrange(256)
    path.write_bytes(bytes(content))


def changed(seed: int) -> Build:
    """One changed folder, the same for the same seed."""
    chosen = random.Random(seed)
    kind = seed % 7
    if kind < 3:
        return packed(lambda: by_value(list(PARTS)[kind], chosen))
    if kind < 6:
        return packed(lambda: by_byte(list(sound())[kind - 3], chosen))
    return lambda path: by_zip(chosen, path)


def refused_or_sound(seed: int, folder: Path) -> str:
    """The code of the refusal, or what came in. Anything else that is raised is the reader's fault."""
    source = folder / "source.zip"
    changed(seed)(source)
    try:
        manifest = inspect_model(source, folder / "canonical.hf", facts())
    except Refusal as refusal:
        said = refusal
    else:
        assert manifest.format == "huggingface"
        return "came in"
    assert said.detail.isprintable(), (seed, said.detail)
    assert said.remedy or said.code == "not-auditable", (seed, said.code)
    return said.code


def run(seeds: range, folder: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for seed in seeds:
        found = refused_or_sound(seed, folder)
        counts[found] = counts.get(found, 0) + 1
    return counts


@pytest.mark.slow
def test_seven_hundred_changed_folders_are_refused_or_come_in_whole(tmp_path):
    counts = run(range(700), tmp_path)
    assert sum(counts.values()) == 700
    assert counts["came in"] >= 50, "changes that are always refused reach little"
    assert len(counts) >= 8, counts


@pytest.mark.slow
def test_changed_folders_have_no_effect_through_the_sandbox(intake: Intake, tmp_path: Path):
    for seed in range(10_000, 10_056):
        case = Hostile(name=f"folder {seed}", build=changed(seed), facts=facts(), code=None)
        intake.run(case, tmp_path)


@pytest.mark.soak
def test_forty_thousand_changed_folders_are_refused_or_come_in_whole(tmp_path):
    assert sum(run(range(100_000, 140_000), tmp_path).values()) == 40_000
