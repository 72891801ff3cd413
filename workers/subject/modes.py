"""Was the model exported in training mode, and how is that undone?

An export bakes the mode into its operators: dropout stays random and batch norm keeps using batch statistics whatever
`eval()` says later. The flags are named arguments of a closed list of operators, so they can be switched off exactly.
"""

from collections.abc import Iterator
from typing import Any

from workers.subject.refusal import Refusal

_TRAIN: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(
        (
            f"{name}{suffix}.default"
            for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
            for suffix in ("", "_")
        ),
        ("train", {"as_bool": False}),
    ),
    "batch_norm.default": ("training", {"as_bool": False}),
    "rrelu.default": ("training", {"as_bool": False}),
    "rrelu_.default": ("training", {"as_bool": False}),
    **dict.fromkeys(("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input"), ("train", {"as_bool": False})),
    "scaled_dot_product_attention.default": ("dropout_p", {"as_float": 0.0}),
}
_DECOMPOSED = {
    "native_dropout.default": "train",
    "native_batch_norm.default": "training",
    "_native_batch_norm_legit.default": "training",
    "_native_batch_norm_legit_functional.default": "training",
    "_batch_norm_with_update.default": None,
    "_batch_norm_with_update_functional.default": None,
}
_PREFIX = "torch.ops.aten."


def switched_off(module: dict[str, Any]) -> list[str]:
    """Switches training flags of a graph module off, in place; says in words which. Raises Refusal where it cannot."""
    changed: dict[str, int] = {}
    for graph in graphs(module):
        for node in graph["nodes"]:
            operator = str(node.get("target", "")).removeprefix(_PREFIX)
            _refuse_decomposed(operator, node)
            if operator in _TRAIN and _switch(node, *_TRAIN[operator]):
                changed[operator] = changed.get(operator, 0) + 1
    dropped = _without_counters(module) if changed else 0
    notes = [
        f"exported in training mode: {count} x {operator.split('.')[0]} set to evaluation mode"
        for operator, count in sorted(changed.items())
    ]
    if dropped:
        notes.append(f"exported in training mode: {dropped} updates of num_batches_tracked dropped")
    return notes


def graphs(value: Any) -> Iterator[dict[str, Any]]:
    """Every graph of a program, those of conditional branches included."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("nodes"), list):
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _arguments(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    inputs = node.get("inputs")
    return {
        str(item.get("name")): item for item in (inputs if isinstance(inputs, list) else ()) if isinstance(item, dict)
    }


def _switch(node: dict[str, Any], argument: str, off: dict[str, Any]) -> bool:
    found = _arguments(node).get(argument)
    if found is None or found.get("arg") == off:
        return False
    arg = found.get("arg")
    if not isinstance(arg, dict) or set(arg) not in ({"as_bool"}, {"as_float"}, {"as_int"}):
        return False
    found["arg"] = dict(off)
    return any(arg.values())


def _refuse_decomposed(operator: str, node: dict[str, Any]) -> None:
    if operator not in _DECOMPOSED:
        return
    flag = _DECOMPOSED[operator]
    if flag is not None and _arguments(node).get(flag, {}).get("arg") == {"as_bool": False}:
        return
    raise Refusal(
        "training-mode",
        f"models/*.json was exported in training mode and decomposed ({operator}), which cannot be undone",
        "Call model.eval() before torch.export.export and export again.",
    )


def _without_counters(module: dict[str, Any]) -> int:
    """Batch norm in training counts its batches: a write to a buffer at every pass, and of no other effect."""
    graph = module.get("graph")
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(graph, dict) or not isinstance(nodes, list):
        return 0
    counters = set(_counter_inputs(module))
    kept, dropped = [], 0
    for index, node in enumerate(nodes):
        names = _names(_arguments(node).get("self", {}).get("arg"))
        outputs = _names(node.get("outputs"))
        counts = node.get("target") == f"{_PREFIX}add_.Tensor" and bool(names & counters)
        later = [other.get("inputs") for other in nodes[index + 1 :]] if counts else []
        if counts and not outputs & _names([later, graph.get("outputs")]):
            dropped += 1
            for name in outputs:
                graph.get("tensor_values", {}).pop(name, None)
        else:
            kept.append(node)
    graph["nodes"] = kept
    return dropped


def _counter_inputs(module: dict[str, Any]) -> list[str]:
    signature = module.get("signature")
    specs = signature.get("input_specs", ()) if isinstance(signature, dict) else ()
    buffers = [spec["buffer"] for spec in specs if isinstance(spec, dict) and isinstance(spec.get("buffer"), dict)]
    return [
        name
        for buffer in buffers
        if str(buffer.get("buffer_name", "")).endswith("num_batches_tracked")
        for name in _names(buffer.get("arg"))
    ]


def _names(value: Any) -> set[str]:
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            name = item.get("name")
            if isinstance(name, str):
                found.add(name)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found
