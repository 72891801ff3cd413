"""What does intake do with one hostile file? The real inspection, in a real sandboxed child, under a canary.

A format's cases stand in `cases_<format>.py` beside this file, as `cases() -> Iterator[Hostile]`; `test_corpus.py`
finds them. Tests that make their own files (fuzz) take the fixture `intake` and call `intake.run(case, tmp_path)`.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.job import Failed, InspectDataset, Inspected, InspectModel, Refused
from service.settings import Settings
from tests.hostile import canary, inside
from tests.hostile.canary import MARKER, OUTSIDE, PYTHON, SECRET, SECRET_TEXT, SHELL, UNIX_SOCKET, Canary, port
from workers.results import open_canonical, read_answer
from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildSpec, Level, Limits
from workers.scratch import Scratch
from workers.verdicts import why_it_ended

__all__ = [
    "MARKER", "OUTSIDE", "PYTHON", "SECRET", "SECRET_TEXT", "SHELL", "UNIX_SOCKET", "Hostile", "Intake", "meets",
    "port",
]  # fmt: skip

LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=20, wall_seconds=60.0, file_bytes=256 << 20)
RESOURCES = ("memory", "time", "files", "processes")
"""Reasons for which an inspection may fail instead of refusing."""
MEMBER = "a1"
RESULT_BYTES: int = Settings.model_fields["result_json_bytes"].default
TEXT_CHARACTERS = 4000
CRASHES = re.compile(
    r"\b(Key|Index|Attribute|Type|Assertion|Recursion|UnicodeDecode|UnboundLocal|Name|ZeroDivision)Error\b"
    r"|\bstruct\.error\b|Traceback|<class |object at 0x|\[Errno"
)
"""What a refusal says that nobody wrote for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One hostile file."""

    name: str
    """A sentence: what the file tries."""
    build: Callable[[Path], object]
    """Writes the file; runs under the canary, so that `port()` is known."""
    what: Literal["model", "dataset"] = "model"
    facts: ModelFacts | DatasetFacts
    code: str | tuple[str, ...] | None
    """The expected code of the refusal, or one of several; None: it comes in, and nothing of the attack is left."""


@dataclass(slots=True)
class Intake:
    """One zygote for all cases of a session; `close` it."""

    entry: str = "tests.hostile.inside:run"
    limits: Limits = LIMITS
    preload: str = "workers.preload"
    zygote: Zygote = field(init=False)

    def __post_init__(self) -> None:
        os.environ[canary.SECRET_VARIABLE] = canary.SECRET_VALUE
        self.zygote = Zygote(preload=self.preload, entries=(self.entry,))
        self.zygote.start()

    def close(self) -> None:
        self.zygote.close()
        os.environ.pop(canary.SECRET_VARIABLE, None)

    def run(self, case: Hostile, folder: Path) -> Inspected | Refused | Failed:
        """Inspect one case; AssertionError for any effect, for a crash, and for a text no person should read."""
        pid = self.zygote.pid
        with Canary() as watched:
            scratch = Scratch(folder)
            try:
                case.build(scratch.path / "inputs" / "source")
                watched.arm()
                result = self._inspect(case, scratch)
                source = (scratch.path / "inputs" / "source").read_bytes()
            finally:
                scratch.clear()
        assert self.zygote.pid == pid, "the zygote had to be started anew"
        assert children_of(pid) == [], "a process is left"
        assert not scratch.path.exists(), "the scratch is left"
        if not isinstance(result, Inspected):
            _is_for_people(result, source, scratch.path)
        return result

    def _inspect(self, case: Hostile, scratch: Scratch) -> Inspected | Refused | Failed:
        source = scratch.path / "inputs" / "source"
        given = source.read_bytes()
        (scratch.path / "job.json").write_text(_job(case).model_dump_json())
        spec = ChildSpec(entry=self.entry, scratch=scratch.path, limits=self.limits, minimum_level=Level.RLIMITS_ONLY)
        child = self.zygote.spawn(spec)
        try:
            said = list(child.messages(self.limits.wall_seconds + 30))
            ended = child.wait(60)
            assert ended is not None, "the child did not end"
            assert child.level is self.zygote.level
        finally:
            child.kill()
        _nothing_ran(scratch.path)
        _nothing_said(scratch.path, said)
        if ended.reason != "completed":
            return Failed(reason=why_it_ended(ended, misbehaved=False))
        result = read_answer(scratch.path, MEMBER, RESULT_BYTES)
        assert isinstance(result, Inspected | Refused | Failed), result.status
        _nothing_left(scratch.path, result)
        assert source.read_bytes() == given, "the inspection changed the file it was given"
        return result


def meets(case: Hostile, result: Inspected | Refused | Failed) -> None:
    """AssertionError where the result is not what the case expects."""
    if isinstance(result, Failed):
        assert result.reason.code in RESOURCES, f"{result.reason.code}: {result.reason.detail}"
    codes = (case.code,) if isinstance(case.code, str) else case.code
    if codes is None:
        assert isinstance(result, Inspected), f"{result.reason.code}: {result.reason.detail}"
    else:
        assert not isinstance(result, Inspected), "it came in"
        assert result.reason.code in codes, f"{result.reason.code}, not {codes}: {result.reason.detail}"


def children_of(pid: int | None) -> list[str]:
    """Processes of the zygote, once it had time to collect the last."""
    deadline = time.monotonic() + 5
    while (found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return found


def _job(case: Hostile) -> InspectModel | InspectDataset:
    if case.what == "model":
        assert isinstance(case.facts, ModelFacts)
        return InspectModel(member=MEMBER, facts=case.facts)
    assert isinstance(case.facts, DatasetFacts)
    return InspectDataset(member=MEMBER, facts=case.facts)


def _nothing_ran(scratch: Path) -> None:
    notes = scratch / inside.NOTES
    attempts = notes.read_text(errors="replace") if notes.exists() else ""
    assert not attempts, f"foreign bytes decided what ran:\n{attempts}"
    marked = [str(path.relative_to(scratch)) for path in scratch.rglob("*") if MARKER in path.name]
    assert not marked, f"a payload left {marked}"


def _nothing_left(scratch: Path, result: Inspected | Refused | Failed) -> None:
    """Nothing lies in the scratch but what the answer names, and the canonical form holds no payload.

    A child can remove nothing, so what it does not keep is empty, or lies in a folder it made for the time being.
    """
    temporary = f"results/{MEMBER}/tmp"
    files = {str(path.relative_to(scratch)) for path in scratch.rglob("*") if not path.is_dir() and path.stat().st_size}
    files = {name for name in files if not name.startswith(temporary)}
    wanted = {"job.json", "inputs/source", "output.txt", inside.NOTES, f"results/{MEMBER}/result.json"}
    if isinstance(result, Inspected):
        wanted.add(f"results/{MEMBER}/{result.canonical}")
    assert files <= wanted, f"left in the scratch: {sorted(files - wanted)}"
    if isinstance(result, Inspected):
        with open_canonical(scratch, MEMBER, result.canonical) as file:
            for part in (MARKER.encode(), bytes(canary.ROOT)):
                assert part not in file.read(), "the payload is in the canonical form"
                file.seek(0)


def _nothing_said(scratch: Path, said: list[dict[str, Any]]) -> None:
    given = {scratch / "job.json", scratch / "inputs" / "source"}
    left = {path for path in scratch.rglob("*") if path.is_file() and not path.is_symlink()} - given
    for content in (repr(said).encode(), *(path.read_bytes() for path in left)):
        for secret in (SECRET_TEXT, canary.SECRET_VALUE):
            assert secret.encode() not in content, "a secret came out"


def _is_for_people(result: Refused | Failed, source: bytes, scratch: Path) -> None:
    """A text is some words, without control characters, paths of this machine or names of our exceptions."""
    reason = result.reason
    assert reason.code != "internal", reason.detail
    assert reason.remedy, f"{reason.code} says not what to do: {reason.detail}"
    for text in (reason.detail, reason.remedy, *(fault.detail for fault in reason.faults)):
        assert len(text) <= TEXT_CHARACTERS
        assert len(re.findall(r"[A-Za-z]{2,}", text)) >= 4, f"no sentence: {text!r}"
        assert text.replace("\n", "").isprintable(), f"control characters in {text!r}"
        assert not CRASHES.search(text), f"not for people: {text!r}"
        for path in _machine(scratch):
            assert path not in text or path.encode() in source, f"a path of this machine in {text!r}"


def _machine(scratch: Path) -> tuple[str, ...]:
    repository = str(Path(__file__).resolve().parents[2])
    return (str(scratch), "/proc/self", sys.prefix, sys.base_prefix, repository, "site-packages", str(canary.ROOT))


def facts_of(values: dict[str, Any]) -> ModelFacts:
    """Shorthand for cases: declared facts from plain values."""
    return ModelFacts.model_validate(values)
