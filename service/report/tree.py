"""How do a network's layers become rows of a tree, in words and with their shares?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import Annotated, Literal, get_args

from pydantic import Field

from service.contracts.base import Integer, Text, Value
from service.contracts.manifest import Layer, MethodFamily, ModelManifest, Verdict
from service.report.twin import Short
from service.report.wording import clipped

State = Literal["auditable", "forward_only", "not_reached", "not_applicable", "unknown"]
FAMILIES: tuple[MethodFamily, ...] = get_args(MethodFamily)
STATES: Mapping[State, tuple[str, str]] = {
    "auditable": ("\u25cf", "auditable"),
    "forward_only": ("\u25d0", "forward only"),
    "not_reached": ("\u25cb", "not reached"),
    "not_applicable": ("\u2013", "not applicable"),
    "unknown": ("?", "unknown"),
}
"""Sign and word of each verdict: never a colour alone."""
FAMILY_TITLES: Mapping[MethodFamily, str] = {
    "forward": "Values", "gradient": "Gradients", "cam": "Maps", "rules": "Rules",
}  # fmt: skip
OLD = "the model was inspected before this was looked at; register it again"
_SHAPES_SHOWN = 4
_UNITS = "kMGTP"


class Amount(Value):
    """A whole number of things with its share of all, from 0 to 1."""

    value: Annotated[Integer, Field(ge=0)]
    share: float
    display: Short


class Judged(Value):
    """A verdict: its state, its sign and word, and which of the reasons holds, counted from 0."""

    state: State
    display: Short
    reason: Integer | None


class LayerRow(Value):
    """One layer of the tree. depth: how many of the layers above it are containers of it; children: directly in it."""

    name: Annotated[str, Field(max_length=512)]
    label: Annotated[str, Field(max_length=512)]
    depth: Integer
    children: Integer
    type: Short
    shapes: Annotated[str, Field(max_length=2000)]
    calls: Integer
    parameters: Amount
    flops: Amount | None
    verdicts: dict[MethodFamily, Judged]


class Why(Value):
    """A reason that stands for several verdicts, with the mark it is cited by, and how many verdicts cite it."""

    mark: Short
    text: Text
    count: Integer


def tree(manifest: ModelManifest) -> tuple[tuple[LayerRow, ...], tuple[Why, ...]]:
    """The layers depth first, each level in the order of the manifest, and the reasons that their verdicts cite."""
    reasons: dict[str, int] = {}
    cited: Counter[int] = Counter()
    rows = tuple(_rows(manifest, reasons, cited))
    return rows, tuple(Why(mark=mark(at), text=text, count=cited[at]) for text, at in reasons.items())


def _rows(manifest: ModelManifest, reasons: dict[str, int], cited: Counter[int]) -> Iterator[LayerRow]:
    named = {layer.name: layer for layer in manifest.layers}
    inside: dict[str, list[str]] = {}
    for name in named:
        inside.setdefault(_container(name, named), []).append(name)
    known: dict[tuple[State, int | None], Judged] = {}
    stack = [(name, name, 0) for name in reversed(inside.get("", []))]
    while stack:
        name, label, depth = stack.pop()
        children = inside.get(name, [])
        stack += [(child, child[len(name) + 1 :], depth + 1) for child in reversed(children)]
        verdicts = {family: _judged(named[name].verdicts.get(family), reasons, known) for family in FAMILIES}
        cited.update(each.reason for each in verdicts.values() if each.reason is not None)
        yield _row(named[name], manifest, label=label, depth=depth, children=len(children), verdicts=verdicts)


def _container(name: str, named: Mapping[str, Layer]) -> str:
    """The nearest layer that this one lies in, or nothing."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in named:
            return name
    return ""


def _row(
    layer: Layer,
    manifest: ModelManifest,
    *,
    label: str,
    depth: int,
    children: int,
    verdicts: dict[MethodFamily, Judged],
) -> LayerRow:
    return LayerRow(
        name=layer.name,
        label=label,
        depth=depth,
        children=children,
        type=layer.type,
        shapes=_shapes(layer),
        calls=layer.calls,
        parameters=_share(layer.parameters, manifest.parameters),
        flops=None if layer.flops is None else _share(layer.flops, manifest.flops or 0),
        verdicts=verdicts,
    )


def _share(value: int, total: int) -> Amount:
    return Amount(value=value, share=round(min(1.0, value / total), 4) if total else 0.0, display=amount(value))


def _shapes(layer: Layer) -> str:
    """One shape where all calls agree, else the first few different ones in order."""
    different = list(dict.fromkeys(layer.shapes or ((layer.output_shape,) if layer.output_shape else ())))
    shown = [times(shape) for shape in different[:_SHAPES_SHOWN]]
    if len(different) > _SHAPES_SHOWN:
        shown.append(f"and {len(different) - _SHAPES_SHOWN} more")
    return clipped(", ".join(shown), 2000)


def _judged(found: Verdict | None, reasons: dict[str, int], known: dict[tuple[State, int | None], Judged]) -> Judged:
    """The same value wherever the same is said: thousands of layers share a handful."""
    state: State = "unknown" if found is None else found.state
    text = OLD if found is None else found.reason
    reason = None if text is None else reasons.setdefault(text, len(reasons))
    if (state, reason) not in known:
        known[state, reason] = Judged(state=state, display=" ".join(STATES[state]), reason=reason)
    return known[state, reason]


def mark(at: int) -> str:
    """a to z, then aa, ab, ..."""
    marks = ""
    at += 1
    while at:
        at, letter = divmod(at - 1, 26)
        marks = ascii_lowercase[letter] + marks
    return marks


def times(shape: Sequence[str]) -> str:
    """N × 3 × 8 × 8."""
    return " \u00d7 ".join(shape)


def amount(number: int) -> str:
    """A count as a narrow column shows it: exact below ten thousand, then to three digits with k, M, G, T or P."""
    if number < 10_000:
        return f"{number:,}".replace(",", "\u202f")
    digits, exponent = f"{number:.2e}".split("e")
    power = min(int(exponent) // 3, len(_UNITS))
    shift = int(exponent) - 3 * power
    return f"{float(digits) * 10**shift:.{max(0, 2 - shift)}f}\u202f{_UNITS[power - 1]}"
