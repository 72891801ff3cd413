"""Which symbolic sizes and which nestings of inputs and outputs may a `.pt2` carry?

torch evaluates the first as Python (sympy.sympify) and imports classes named in the second, so both are parsed here
against a closed grammar and refused unless they fit it.
"""

import ast
import json
import re
from typing import Any, NoReturn

from workers.subject.refusal import Refusal, quoted

_AGAIN = "Export the model again with a dynamic batch axis only, and tuples, lists or dicts of tensors as outputs."
_FUNCTIONS = frozenset(
    {
        "Symbol",
        "Integer",
        "Rational",
        "Float",
        "Add",
        "Mul",
        "Pow",
        "Mod",
        "Max",
        "Min",
        "PythonMod",
        "FloorDiv",
        "CleanDiv",
        "CeilToInt",
        "FloorToInt",
        "TruncToInt",
        "IntTrueDiv",
        "FloatTrueDiv",
        "ToFloat",
        "ModularIndexing",
        "Where",
        "Eq",
        "Ne",
        "Equality",
        "Unequality",
        "StrictLessThan",
        "StrictGreaterThan",
        "LessThan",
        "GreaterThan",
        "Lt",
        "Le",
        "Gt",
        "Ge",
        "And",
        "Or",
        "Not",
        "Identity",
        "RoundToInt",
        "Abs",
    }
)  # fmt: skip
_CONSTANTS = frozenset({"true", "false", "oo", "int_oo", "True", "False", "None"})
_SYMBOL = re.compile(r"[a-z]{1,8}\d{0,9}", re.ASCII)
_KEYWORDS = frozenset({"integer", "positive", "nonnegative", "negative", "real", "precision", "evaluate"})
_TOKEN = re.compile(
    r" +|(?P<name>[A-Za-z_]\w*)|\d+(\.\d+)?(e[+-]?\d+)?|'[\w.]{1,32}'|\*|//?|[-+%(),=]",
    re.ASCII,
)
_BARE = re.compile(r"[a-z]{1,4}\d{1,9}", re.ASCII)
_WORD = re.compile(r"[\w .\-]{0,128}", re.ASCII)
_ORDER = re.compile(r"builtins\.(tuple|list|dict)|collections\.OrderedDict")
_MODEL_OUTPUT = re.compile(r"transformers\.[\w.]{1,200}Output\w{0,60}", re.ASCII)


def sound_expression(text: str, key: str) -> str:
    """A symbolic size such as Mul(Integer(2), Symbol('s77', integer=True)); raises Refusal for anything else."""
    if len(text) > 4096 or not _only_known_words(text):
        _refuse(text, key)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        _refuse(text, key)
    for node in ast.walk(tree):
        if not _allowed(node):
            _refuse(text, key)
    return text


def _only_known_words(text: str) -> bool:
    """Whether every word is one of the grammar's, so that nothing else is even parsed as Python."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (token["name"] and not _known(token["name"])):
            return False
        at = token.end()
    return True


def _known(name: str) -> bool:
    return name in _FUNCTIONS or name in _CONSTANTS or name in _KEYWORDS or bool(_BARE.fullmatch(name))


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not _large_power(node)
    if isinstance(node, ast.Name):
        return _known(node.id)
    if isinstance(node, ast.keyword):
        return node.arg in _KEYWORDS
    if isinstance(node, ast.Constant):
        value = node.value
        return (
            value is None
            or (isinstance(value, int) and abs(value) < 2**63)
            or isinstance(value, float)
            or (isinstance(value, str) and bool(_SYMBOL.fullmatch(value) or re.fullmatch(r"[\d.]{1,32}", value)))
        )
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.FloorDiv | ast.Mod)
    return isinstance(node, ast.Expression | ast.Load | ast.UnaryOp | ast.USub | ast.operator)


def _large_power(call: ast.Call) -> bool:
    """Pow(a, b) is only sound for a small b and without a Pow inside: sympy would work out 9**9**9."""
    if not isinstance(call.func, ast.Name) or call.func.id != "Pow":
        return False
    numbers = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, int)]
    powers = sum(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Pow" for node in ast.walk(call))
    return powers > 1 or any(abs(number) > 64 for number in numbers)


def _refuse(text: str, key: str) -> NoReturn:
    detail = f"models/*.json: {quoted(text)} is not an expression or nesting read here ({key})"
    raise Refusal("unsafe-text", detail, _AGAIN)


def sound_treespec(text: str, key: str) -> str:
    """How inputs or outputs nest: tuples, lists and dicts; a Hugging Face output class becomes a dict."""
    try:
        spec = json.loads(text)
        version, tree = spec
    except (ValueError, TypeError, RecursionError):
        _refuse(text, key)
    if version != 1:
        _refuse(text, key)
    return json.dumps([1, _tree(tree, text, key, 0)])


def _tree(node: Any, text: str, key: str, depth: int) -> dict[str, Any]:
    if not isinstance(node, dict) or set(node) != {"type", "context", "children_spec"} or depth > 16:
        _refuse(text, key)
    kind, context, children = node["type"], node["context"], node["children_spec"]
    if not isinstance(children, list):
        _refuse(text, key)
    below = [_tree(child, text, key, depth + 1) for child in children]
    if kind is None and context is None and not below:
        return {"type": None, "context": None, "children_spec": []}
    if not isinstance(kind, str) or not (isinstance(context, str) or context is None):
        _refuse(text, key)
    if _MODEL_OUTPUT.fullmatch(kind):
        kind = "builtins.dict"
    if not _ORDER.fullmatch(kind):
        _refuse(kind, key)
    return {"type": kind, "context": _context(context, kind, len(below), key), "children_spec": below}


def _context(context: str | None, kind: str, children: int, key: str) -> str:
    """null for tuples and lists; the keys, as many as children, for dicts."""
    try:
        value = json.loads(context or "null")
    except (ValueError, RecursionError):
        _refuse(context or "", key)
    if kind in ("builtins.tuple", "builtins.list"):
        if value is not None:
            _refuse(context or "", key)
        return "null"
    if not isinstance(value, list) or len(value) != children or not all(_is_key(item) for item in value):
        _refuse(context or "", key)
    return json.dumps(value)


def _is_key(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and bool(_WORD.fullmatch(value)))
