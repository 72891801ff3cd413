"""Sound `.pt2` files of small networks, and how a part of one is made hostile."""

import copy
import functools
import io
import json
import os
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.hostile.harness import MARKER, PYTHON, RESOURCES, SHELL
from tests.workers.networks import SHAPES, Cnn, Mlp, made

Members = dict[str, bytes]
Build = Callable[[Path], None]
Found = Iterator[tuple[str, Build, str | tuple[str, ...] | None]]
"""What a file holds, how it is made, and what becomes of it."""
PROGRAM = "m/models/model.json"
WEIGHTS = "m/data/weights/model_weights_config.json"
CONSTANTS = "m/data/constants/model_constants_config.json"
UNSAFE, OPERATOR, LAYOUT = "unsafe-text", "operator-not-allowed", "unexpected-member"
SPENT = ("does-not-run", "not-loadable", "output-not-finite", *RESOURCES)
"""How an inspection ends whose network cannot be run, or not within its bounds."""
GRAPH = ("graph_module", "graph")
NODE = (*GRAPH, "nodes", 0)
META = (*NODE, "metadata")
TOP = ("graph_module", "module_call_graph", 0, "signature")
WEIGHT = ("config", "net.0.weight")
CONSTANT = ("config", "offset")
"""Where the first node of a program stands, and other parts that are changed often."""
SENTINEL = 77
"""A size that stands nowhere else in the networks of `around`, to be replaced by a hostile one."""


class Payload:
    """Leaves a marker when it is unpickled."""

    def __init__(self, call: Callable[..., Any], argument: str) -> None:
        self._call, self._argument = call, argument

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call, (self._argument,)


def pickles() -> dict[str, bytes]:
    """The same payload by the three ways that are tried first."""
    buffer = io.BytesIO()
    torch.save({"weight": Payload(exec, PYTHON)}, buffer)
    return {
        "a pickle that runs a shell": pickle.dumps(Payload(os.system, SHELL), protocol=2),
        "a pickle that runs Python": pickle.dumps(Payload(exec, PYTHON), protocol=4),
        "a torch.save archive that runs Python": buffer.getvalue(),
    }


@functools.cache
def exported(network: Callable[[], nn.Module], shape: tuple[int, ...]) -> Members:
    """The members of what torch.export.save writes; do not change them in place."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own workings
        dynamic: Any = ({0: torch.export.Dim.DYNAMIC},)
        program = torch.export.export(network().eval(), (torch.zeros(2, *shape),), dynamic_shapes=dynamic)
        torch.export.save(program, Path(folder) / "m.pt2")
        with zipfile.ZipFile(Path(folder) / "m.pt2") as file:
            return {name: file.read(name) for name in file.namelist()}


def mlp() -> Members:
    """A copy of the members of an MLP that reads (N, 4)."""
    return dict(_of(Mlp))


def cnn() -> Members:
    """A copy of the members of a CNN that reads (N, 1, 8, 8) and has a constant."""
    return dict(_of(Cnn))


@functools.cache
def _of(kind: type[nn.Module]) -> Members:
    return exported(lambda: made(kind), SHAPES[kind])


def packed(members: Callable[[], Members], method: int = zipfile.ZIP_STORED) -> Build:
    """Writes an archive of these members, in their order."""

    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            for name, content in members().items():
                file.writestr(name, content)

    return build


def edited(change: Callable[[Any], None], part: str = PROGRAM, given: Callable[[], Members] = mlp) -> Build:
    """The members with one JSON part changed in place."""

    def members() -> Members:
        found = given()
        value = json.loads(found[part])
        change(value)
        return {**found, part: json.dumps(value).encode()}

    return packed(members)


def put(value: Any, *where: str | int) -> Callable[[Any], None]:
    """A change: sets what stands at `where` in JSON."""

    def change(found: Any) -> None:
        for step in where[:-1]:
            found = found[step]
        found[where[-1]] = copy.deepcopy(value)

    return change


def added(value: Any, *where: str | int) -> Callable[[Any], None]:
    """A change: appends `value` to the list at `where` in JSON."""

    def change(found: Any) -> None:
        for step in where:
            found = found[step]
        found.append(copy.deepcopy(value))

    return change


def added_members(**members: bytes) -> Build:
    """An MLP with members added or replaced."""
    return packed(lambda: {**mlp(), **members})


def edited_members(change: Callable[[Any], None], part: str = PROGRAM, given: Callable[[], Members] = mlp) -> Members:
    """The members with one JSON part changed in place."""
    found = given()
    value = json.loads(found[part])
    change(value)
    return {**found, part: json.dumps(value).encode()}


def renamed(old: str, new: str, *, within: bool = False) -> Build:
    """An MLP whose program has one text changed wherever it stands (or stands within one), so that it is consistent."""

    def members() -> Members:
        found = mlp()
        if within:
            return {**found, PROGRAM: found[PROGRAM].replace(old.encode(), json.dumps(new)[1:-1].encode())}
        return {**found, PROGRAM: json.dumps(replaced(json.loads(found[PROGRAM]), old, new)).encode()}

    return packed(members)


def replaced(value: Any, old: Any, new: Any) -> Any:
    """A copy of JSON with every string, number and member that equals `old` replaced by `new`."""
    if isinstance(value, dict):
        return {(new if key == old else key): replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, old, new) for item in value]
    return new if type(value) is type(old) and value == old else copy.copy(value)


class Around(nn.Module):
    """A linear layer whose output also takes one number of what `function` makes of the input."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.function = nn.Linear(4, 3), function

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4) to (N, 3)."""
        return self.body(x) + self.function(x).to(x.dtype).mean()


def with_number(function: Callable[[Tensor], Tensor], number: int) -> Build:
    """A network around `function`, with the sentinel replaced in the arguments of its nodes."""

    def members() -> Members:
        found = dict(exported(lambda: Around(function), (4,)))
        program = json.loads(found[PROGRAM])
        graph = program["graph_module"]["graph"]
        for node in graph["nodes"]:
            node["inputs"] = replaced(node["inputs"], SENTINEL, number)
        return {**found, PROGRAM: json.dumps(program).encode()}

    return packed(members)


def marker_code() -> list[str]:
    """Python that leaves the marker, as attackers write it where an expression, a name or a statement is expected."""
    return [
        f"__import__('os').system('{SHELL}')",
        f"[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0]('{SHELL}', shell=True)",
        f"exec(\"open('{MARKER}', 'w')\")",
    ]
