"""How is a sound `.pt2` changed at random, and what does intake make of it? In a forked child: a crash is seen."""

import copy
import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.hostile import inside
from tests.hostile.harness import MARKER, PYTHON, SHELL
from tests.hostile.pt2_files import PROGRAM, Members, exported, replaced
from tests.workers.networks import SHAPES, Cnn, Lstm, Mlp, Transformer, made
from workers.subject.program import parsed, rewritten
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal, out_of_memory

Where = tuple[str | int, ...]
SECONDS_A_FILE = 60
MEMORY_BYTES = 4 << 30


class UNet(nn.Module):
    """Reads (N, 1, 8, 8), gives (N, 1, 8, 8): down, up, and a skip between them."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2)
        self.deep, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.up, self.head = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of the same size as `x`."""
        skip = torch.relu(self.down(x))
        deep = torch.nn.functional.gelu(self.norm(self.deep(self.pool(skip))))
        return self.head(torch.cat([skip, self.up(deep)], 1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{kind.__name__: (lambda kind=kind: made(kind), SHAPES[kind]) for kind in (Mlp, Cnn, Lstm, Transformer)},
    "UNet": (UNet, (1, 8, 8)),
}
LEAF = {"type": None, "context": None, "children_spec": []}
IMPORTS = {"type": "builtins.dict", "context": '[{"__enum__": true, "fqn": "antigravity:x"}]', "children_spec": [LEAF]}
TEXTS = (
    f"__import__('os').system('{SHELL}')",
    f"x={PYTHON}",
    f"x):\n    {PYTHON}\ndef g(",
    f"Symbol({PYTHON!r})",
    f"[c for c in ().__class__.__base__.__subclasses__()][0]('{MARKER}')",
    f"a'); {PYTHON}; ('",
    f'"""\n{PYTHON}\n"""',
    "torch.ops.aten.from_file.default",
    "torch.os.system",
    json.dumps([1, IMPORTS]),
    f"L__self__,a'); {PYTHON}; (',x",
    "../../" + MARKER,
    "lambda",
    "",
    "x",
)
NUMBERS: tuple[Any, ...] = (-1, 1 << 40, (1 << 63) - 1, 1e300, True, None, [], {}, "1")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a program: of the value or of the member's name at `where`, or of a text everywhere."""

    what: str
    where: Where
    old: Any
    new: Any

    def __call__(self, program: Any) -> Any:
        """The changed program; `program` may be changed with it."""
        if self.what == "everywhere":
            return replaced(program, self.old, self.new)
        found = program
        for step in self.where[:-1]:
            found = found[step]
        if self.what == "name":
            found[self.new] = found.pop(self.where[-1])
        else:
            found[self.where[-1]] = copy.deepcopy(self.new)
        return program

    def kind(self) -> tuple[Any, ...]:
        """What it is a change of, whichever node, value or place in a list it is of."""
        steps = [step for step in self.where if isinstance(step, str)]
        return (self.what, *steps[-2:], str(self.new)[:40])


def changes(program: Any) -> Iterator[Change]:
    """Every change of every leaf of a program."""
    for where, value in leaves(program):
        named = where[-1] == NAME
        for text in TEXTS if isinstance(value, str) or named else ():
            if named:
                yield Change("name", where[:-1], value, text)
            else:
                yield Change("value", where, value, text)
            if value:
                yield Change("everywhere", where, value, text)
        if not isinstance(value, str):
            yield from (Change("value", where, value, number) for number in NUMBERS)


NAME = "the name itself"


def leaves(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Where each text, number, truth and null stands; names of members too, marked by a last step."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*where, key, NAME), key
            yield from leaves(item, (*where, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*where, at))
    else:
        yield where, value


def spread(found: Sequence[Change], seed: int) -> list[Change]:
    """The changes in an order in which every kind comes before any kind comes again."""
    shuffled = random.Random(seed).sample(found, len(found))
    seen: dict[tuple[Any, ...], int] = {}
    rounds = []
    for change in shuffled:
        seen[change.kind()] = seen.get(change.kind(), 0) + 1
        rounds.append(seen[change.kind()])
    return [change for _, change in sorted(zip(rounds, shuffled, strict=True), key=lambda pair: pair[0])]


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Some bytes flipped, cut out, doubled or overwritten; half of the time in the directory or the program."""
    changed = bytearray(content)
    for _ in range(random_.choice((1, 1, 1, 2, 8))):
        end = len(changed) - 1
        at = random_.randint(0, end) if random_.random() < 0.5 else random_.randint(max(0, end - 2000), end)
        width = random_.choice((1, 1, 2, 4, 16, 200))
        how = random_.randrange(5)
        if how == 0:
            changed[at] ^= 1 << random_.randrange(8)
        elif how == 1:
            del changed[at : at + width]
        elif how == 2:
            changed[at:at] = changed[at : at + width]
        elif how == 3:
            changed[at : at + width] = random_.choice((b"\xff", b"\0", b"PK\x01\x02", b"\x7f\xff\xff\xff")) * width
        else:
            changed[at : at + width] = random_.randbytes(width)
        if not changed:
            return b"P"
    return bytes(changed)


@dataclass(slots=True)
class Seen:
    """What became of the files of a run."""

    refused: int = 0
    came_in: int = 0
    wrong: list[str] = field(default_factory=list)


def outcome_of_change(members: Members, change: Change, folder: Path) -> str:
    """`refused` or `in`. First without an archive, which is quicker; what passes goes through a real one."""
    program = change(json.loads(members[PROGRAM]))
    content = json.dumps(program).encode()
    try:
        rewritten(parsed(content, "models/*.json"))
    except Refusal:
        return "refused"
    source = folder / "source.pt2"
    with zipfile.ZipFile(source, "w") as file:
        for name, member in members.items():
            file.writestr(name, content if name == PROGRAM else member)
    return outcome_of_file(source, folder)


def outcome_of_file(source: Path, folder: Path) -> str:
    """`refused` or `in`: rewritten, loaded and run once. Only a Refusal, or memory that runs out, may be raised."""
    canonical = folder / "canonical.pt2"
    try:
        rewrite(source, canonical)
        loaded = load(canonical)
    except Refusal as refusal:
        if not refusal.remedy:
            raise ValueError(f"{refusal.code} says not what to do: {refusal.detail}") from refusal
        return "refused"
    except Exception as error:
        if out_of_memory(error):
            return "refused"
        raise
    try:
        with torch.no_grad():
            loaded.model(*(torch.zeros([2, *each.shape[1:]], dtype=each.dtype) for each in loaded.inputs))
    except Exception:  # what a network raises when it runs is told to its owner; here only a crash counts
        return "in"
    return "in"


def in_children(jobs: Sequence[tuple[str, Callable[[Path], str]]], folder: Path, seconds: float) -> Seen:
    """Runs the jobs in forked children, one after the other, until they are through or the seconds are over."""
    importlib.import_module("workers.preload")  # else each child imports it at its first file
    seen, at, until = Seen(), 0, time.monotonic() + seconds
    while at < len(jobs) and time.monotonic() < until:
        at += _one_child(jobs[at:], folder, until, seen)
    left = [str(path) for path in (*folder.rglob(f"*{MARKER}*"), *Path.cwd().glob(f"*{MARKER}*"))]
    if left:
        seen.wrong.append(f"a payload left {left}")
    return seen


def _one_child(jobs: Sequence[tuple[str, Callable[[Path], str]]], folder: Path, until: float, seen: Seen) -> int:
    """How many jobs one child got through, the one that ended it included."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(jobs, folder, until, writing)
    os.close(writing)
    said, name = 0, jobs[0][0]
    with os.fdopen(reading, "rb") as lines:
        while select.select([lines], [], [], SECONDS_A_FILE)[0] and (line := lines.readline()):
            answer, _, detail = line.decode().strip().partition(" ")
            said += 1
            name = jobs[min(said, len(jobs) - 1)][0]
            seen.refused += answer == "refused"
            seen.came_in += answer == "in"
            if answer == "wrong":
                seen.wrong.append(f"{jobs[said - 1][0]}: {detail}")
        os.kill(child, signal.SIGKILL)  # it has ended, unless it hangs
    _, status = os.waitpid(child, 0)
    if said < len(jobs) and time.monotonic() < until:
        seen.wrong.append(f"{name}: the child ended with status {status}")
        return said + 1
    return max(said, 1)


def _work(jobs: Sequence[tuple[str, Callable[[Path], str]]], folder: Path, until: float, writing: int) -> None:
    """In the child: a line for each job; ends the process."""
    heard: list[str] = []
    known = {name.partition(".")[0] for name in sys.modules}

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if event != "open" and inside.suspicious(event, given, known):
            heard.append(f"{event} {given!r}"[:300])

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.addaudithook(hear)
    for _, job in jobs:
        if time.monotonic() >= until:
            break
        try:
            answer = job(folder)
        except BaseException as error:  # told to the parent, which fails
            answer = f"wrong {type(error).__name__}: {error}".replace("\n", " ")[:400]
        os.write(writing, f"{f'wrong {heard}' if heard else answer}\n".encode())
        heard.clear()
    os._exit(0)


def files_of(network: str) -> Members:
    """The members of an exported network of `NETWORKS`."""
    kind, shape = NETWORKS[network]
    return _FILES.setdefault(network, exported(kind, shape))


_FILES: dict[str, Members] = {}
