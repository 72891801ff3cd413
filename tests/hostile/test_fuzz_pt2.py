"""Does any change of a `.pt2`, of one text, of one everywhere or of its bytes, run anything or crash who reads it?"""

import functools
import json
import os
import random
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.fuzzing import (
    NETWORKS,
    PROGRAM,
    Change,
    Seen,
    changes,
    damaged,
    files_of,
    in_children,
    leaves,
    outcome_of_change,
    outcome_of_file,
    spread,
)

TEXT_SECONDS, BYTE_SECONDS = 2.0, 1.0
MOST = 20_000
"""Changes of one run: more than fit the longest."""
LONG_SECONDS = 240.0
Job = tuple[str, Callable[[Path], str]]


def changed(network: str, seconds: float, seed: int, folder: Path) -> tuple[Seen, int]:
    """What became of the changes of a network's program that fit the time, and how many there are."""
    members = files_of(network)
    found = spread(list(changes(json.loads(members[PROGRAM]))), seed)
    jobs: list[Job] = [(str(each)[:300], functools.partial(outcome_of_change, members, each)) for each in found[:MOST]]
    return in_children(jobs, folder, seconds), len(found)


def bitten(network: str, seconds: float, seed: int, folder: Path) -> Seen:
    """What became of damaged copies of a network's file."""
    whole = folder / "whole.pt2"
    with zipfile.ZipFile(whole, "w") as file:
        for name, member in files_of(network).items():
            file.writestr(name, member)
    content = whole.read_bytes()

    def job(at: int, where: Path) -> str:
        (where / "source.pt2").write_bytes(damaged(content, random.Random(f"{network} {seed} {at}")))
        return outcome_of_file(where / "source.pt2", where)

    jobs: list[Job] = [(f"{network} {seed} {at}", functools.partial(job, at)) for at in range(100_000)]
    return in_children(jobs, folder, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_no_change_of_a_program_runs_anything_or_crashes(network: str, tmp_path: Path) -> None:
    seen, _ = changed(network, TEXT_SECONDS, 0, tmp_path)
    assert seen.wrong == []
    assert seen.refused


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_no_damage_of_a_file_runs_anything_or_crashes(network: str, tmp_path: Path) -> None:
    seen = bitten(network, BYTE_SECONDS, 0, tmp_path)
    assert seen.wrong == []
    assert seen.refused + seen.came_in


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("network", NETWORKS)
def test_long_no_change_of_a_program_runs_anything_or_crashes(network: str, tmp_path: Path) -> None:
    assert changed(network, LONG_SECONDS, int(time.monotonic()), tmp_path)[0].wrong == []


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("network", NETWORKS)
def test_long_no_damage_of_a_file_runs_anything_or_crashes(network: str, tmp_path: Path) -> None:
    assert bitten(network, LONG_SECONDS / 2, int(time.monotonic()), tmp_path).wrong == []


def test_a_crash_a_wrong_exception_and_a_payload_that_runs_would_all_be_noticed(tmp_path: Path) -> None:
    def crash(_: Path) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    def raise_(_: Path) -> str:
        raise KeyError("x")

    def execute(_: Path) -> str:
        compile("open('lamina-hostile-marker')", "", "exec")
        return "in"

    jobs: list[Job] = [("fine", lambda _: "refused"), ("crash", crash), ("raise", raise_), ("execute", execute)]
    seen = in_children(jobs, tmp_path, 30.0)
    assert (seen.refused, seen.came_in) == (1, 0)
    assert [text.partition(":")[0] for text in seen.wrong] == ["crash", "raise", "execute"]


def test_leaves_are_every_text_number_and_name() -> None:
    found = dict(leaves({"a": ["x", {"b": None}]}))
    assert list(found.values()) == ["a", "x", "b", None]


def test_a_change_is_of_one_place_or_of_every_place() -> None:
    program = {"a": "x", "b": ["x", 1]}
    assert Change("value", ("b", 0), "x", "y")({"a": "x", "b": ["x", 1]}) == {"a": "x", "b": ["y", 1]}
    assert Change("everywhere", (), "x", "y")(program) == {"a": "y", "b": ["y", 1]}
    assert Change("name", ("a",), "a", "c")({"a": "x"}) == {"c": "x"}
