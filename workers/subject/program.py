"""What may the program inside a `.pt2` say? Its JSON, read as data, checked string by string and written anew.

Every member name and every string must match a rule for the field it stands in; what has no rule is refused, because
torch evaluates, imports or compiles several of them when it loads a file. What the network needs is kept; what tells
of its author's machine (source lines, paths, guards) is dropped; training-mode flags are switched off.
"""

import dataclasses
import json
import keyword
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from torch._export.serde import schema

from workers.subject.modes import graphs, switched_off
from workers.subject.operators import require_allowed
from workers.subject.refusal import Refusal, quoted
from workers.subject.symbols import sound_expression, sound_treespec

MAJOR, MINOR = schema.SCHEMA_VERSION
MAX_JSON = 64 << 20
_DEPTH = 100
_AGAIN = "Export the model again with torch 2.13 (torch.export.save) from its source."

_NAME = re.compile(r"[A-Za-z_]\w{0,254}", re.ASCII)
_FQN = re.compile(r"[\w.@\-]{0,512}", re.ASCII)
_LITERAL = re.compile(r"[\w ,.\->:+]{0,256}", re.ASCII)
_VERSION = re.compile(r"[\w.+<=\-]{1,64}", re.ASCII)
_ASSERTION = "an assertion of the exported program does not hold"
_FIELDS = frozenset(
    member.name
    for kind in vars(schema).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    for member in dataclasses.fields(kind)
)
_MAPS = {
    "tensor_values": _NAME,
    "sym_int_values": _NAME,
    "sym_bool_values": _NAME,
    "sym_float_values": _NAME,
    "range_constraints": _NAME,
    "opset_version": _NAME,
    "as_string_to_argument": _NAME,
    "config": _FQN,
}
# ScalarType codes of torch._export.serde.schema but complex halves and 8-bit floats; Layout: strided alone
_CODES = {
    "as_scalar_type": frozenset((*range(1, 9), 10, 11, 12, 13, 28, 34, 35)),
    "dtype": frozenset((*range(1, 9), 10, 11, 12, 13, 28, 34, 35)),
    "as_layout": frozenset((7,)),
    "layout": frozenset((7,)),
    "as_memory_format": frozenset(range(1, 5)),
}
_FORBIDDEN = {
    "as_custom_obj": "a custom object",
    "custom_obj": "a custom object",
    "custom_obj_values": "a custom object",
    "treespec_namedtuple_fields": "a named tuple among the inputs or outputs",
}


def parsed(content: bytes, part: str) -> dict[str, Any]:
    """One JSON object; NaN, infinities, nesting beyond reason and anything but an object are refused."""
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-json", f"{part} is not JSON this service reads: {error}", _AGAIN) from error
    if not isinstance(value, dict):
        raise Refusal("bad-json", f"{part} holds a {type(value).__name__}, not an object", _AGAIN)
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def written(value: Any) -> bytes:
    """JSON as the canonical archive holds it: compact, ASCII, members in the order torch wrote them."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def check_schema(program: dict[str, Any]) -> str:
    """Refuses a schema this torch does not read; returns the torch version the file names."""
    version = program.get("schema_version")
    found = (version.get("major"), version.get("minor")) if isinstance(version, dict) else (None, None)
    torch_version = program.get("torch_version")
    torch_text = torch_version if isinstance(torch_version, str) and _VERSION.fullmatch(torch_version) else "unknown"
    if found[0] != MAJOR or not isinstance(found[1], int) or found[1] > MINOR:
        raise Refusal(
            "schema-version",
            f"models/*.json has schema {quoted(found)} (torch {torch_text}); this worker reads ({MAJOR}, <= {MINOR})",
            _AGAIN,
        )
    return torch_text


def rewritten(program: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The program as the canonical archive holds it, and what was changed, in words. Changes `program` itself."""
    check_schema(program)
    for member, kind in (("range_constraints", dict), ("opset_version", dict), ("verifiers", list)):
        _member(program, member, kind)
    notes: list[str] = []
    program["guards_code"] = []
    module = _member(program, "graph_module", dict)
    module["metadata"] = {}
    for graph in graphs(program):
        for node in _member(graph, "nodes", list):
            _stripped(node)
    notes += switched_off(module)
    devices = {str(device.get("type")) for device in _devices(program)}
    if devices - {"cpu"}:
        notes.append(f"exported on {', '.join(sorted(quoted(device) for device in devices))}; kept as cpu")
    return checked(program, "models/*.json"), tuple(notes)


def checked(value: dict[str, Any], part: str) -> dict[str, Any]:
    """A copy of a JSON object in which every member and string has passed its rule; raises Refusal."""
    copy = _Walk(part).walk(value, "", 0)
    return copy if isinstance(copy, dict) else {}


def _member(value: Any, key: str, kind: type) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise Refusal("bad-program", f"models/*.json has no {key}, or not as torch writes it", _AGAIN)
    return found


def _devices(program: Any) -> Iterator[dict[str, Any]]:
    stack = [program]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key in ("device", "as_device"):
                device = item.get(key)
                if isinstance(device, dict):
                    yield device
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _stripped(node: Any) -> None:
    """Of a node's metadata only the stack of modules is needed; the rest holds source lines and paths.

    So do the messages of assertions, which are put in our words.
    """
    metadata = _member(node, "metadata", dict)
    stack = metadata.get("nn_module_stack")
    node["metadata"] = {} if stack is None else {"nn_module_stack": _module_stack(stack)}
    if str(node.get("target")).startswith("torch.ops.aten._assert_"):
        for item in _member(node, "inputs", list):
            if isinstance(item, dict) and isinstance(item.get("arg"), dict) and "as_string" in item["arg"]:
                item["arg"]["as_string"] = _ASSERTION


def _module_stack(stack: Any) -> str:
    entries = []
    for entry in stack.split(";") if isinstance(stack, str) and stack else ():
        key, _, rest = entry.partition(",")
        path, _, kind = rest.partition(",")
        if not _FQN.fullmatch(key) or not _FQN.fullmatch(path):
            raise Refusal(
                "module-name",
                f"a module of the network is called {quoted(path)}",
                "Give modules names of letters, digits, '_' and '-', then export again.",
            )
        entries.append(f"{key},{path},{re.sub(r'[^A-Za-z0-9_.<>]', '_', kind)[:256]}")
    return ";".join(entries)


class _Walk:
    """Copies JSON while checking it. Strings are judged by the member they stand in."""

    def __init__(self, part: str) -> None:
        self._part = part
        name = self._matching(_NAME, "a name")
        fqn = self._matching(_FQN, "a module path")
        self._rules: dict[str, Callable[[str, str], str]] = {
            **dict.fromkeys(("as_name", "user_input_name", "forward_arg_names"), name),
            **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name", "fqn"), fqn),
            **dict.fromkeys(("as_string", "as_strings"), self._matching(_LITERAL, "a text argument")),
            **dict.fromkeys(("as_float", "as_floats", "as_float_lists", "real", "imag"), self._infinity),
            **dict.fromkeys(("target", "as_operator"), self._operator),
            **dict.fromkeys(("in_spec", "out_spec"), sound_treespec),
            "name": self._maybe_name,
            "torch_version": self._matching(_VERSION, "a version"),
            "verifiers": name,
            "expr_str": sound_expression,
            "type": self._device,
            "nn_module_stack": lambda text, _: text,
            "path_name": self._matching(re.compile(r"(weight|tensor)_\d{1,6}"), "a payload name"),
        }

    def walk(self, value: Any, key: str, depth: int) -> Any:
        """`value`, which stands in member `key`."""
        if depth > _DEPTH:
            raise Refusal("bad-json", f"{self._part} is nested deeper than {_DEPTH} levels", _AGAIN)
        if isinstance(value, dict):
            return self._object(value, key, depth)
        if isinstance(value, list):
            return [self.walk(item, key, depth + 1) for item in value]
        if isinstance(value, str):
            return self._string(value, key)
        if key in _CODES and value is not None and (type(value) is not int or value not in _CODES[key]):
            raise Refusal("tensor-type", f"{self._part}: {key} {quoted(value)} is no dtype or layout read here", _AGAIN)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Refusal("bad-program", f"{self._part} holds a number beyond 64 bits in {key}", _AGAIN)
        return value

    def _object(self, value: dict[str, Any], key: str, depth: int) -> dict[str, Any]:
        names = _MAPS.get(key)
        copy = {}
        for member, item in value.items():
            if names is not None:
                if not names.fullmatch(member) or keyword.iskeyword(member) or member.startswith("__"):
                    self._refuse(member, key, "a name")
                copy[member] = self.walk(item, "", depth + 1)
            elif member in _FORBIDDEN and item:
                raise Refusal(
                    "custom-object",
                    f"{self._part} holds {_FORBIDDEN[member]} ({member}), which can only be read by running its code",
                    "Export a model whose inputs, outputs and constants are plain tensors, tuples, lists and dicts.",
                )
            elif member not in _FIELDS and member != "nn_module_stack":
                raise Refusal("bad-program", f"{self._part} has an unknown member {quoted(member)}", _AGAIN)
            else:
                copy[member] = self._index(item) if member == "index" else self.walk(item, member, depth + 1)
        return copy

    def _string(self, text: str, key: str) -> str:
        rule = self._rules.get(key)
        if rule is None:
            self._refuse(text, key, "text here")
        return rule(text, key)

    def _refuse(self, text: str, key: str, what: str) -> NoReturn:
        where = f"as {what} ({key or 'top level'})"
        raise Refusal("unsafe-text", f"{self._part}: {quoted(text)} is not allowed {where}", _AGAIN)

    def _matching(self, pattern: re.Pattern[str], what: str) -> Callable[[str, str], str]:
        def rule(text: str, key: str) -> str:
            if not pattern.fullmatch(text) or (pattern is _NAME and (keyword.iskeyword(text) or text.startswith("__"))):
                self._refuse(text, key, what)
            return text

        return rule

    def _maybe_name(self, text: str, key: str) -> str:
        # arguments of higher-order operators have the empty name; `from` is an operator's own word, so no keyword check
        if text and (not _NAME.fullmatch(text) or text.startswith("__")):
            self._refuse(text, key, "a name")
        return text

    def _infinity(self, text: str, key: str) -> str:
        if text not in ("Infinity", "-Infinity"):
            self._refuse(text, key, "a number")
        return text

    def _device(self, text: str, key: str) -> str:
        if text not in ("cpu", "cuda"):
            self._refuse(text, key, "a device")
        return "cpu"

    @staticmethod
    def _index(_: Any) -> None:
        """Devices are kept as plain `cpu`, which has no index."""

    def _operator(self, text: str, _: str) -> str:
        require_allowed(text, self._part)
        return text
