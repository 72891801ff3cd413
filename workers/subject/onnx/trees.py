"""Do the nodes of a tree ensemble in an ONNX file point at nodes that are there, downwards, and once?

The operator takes a forest as lists of numbers, one place per node, and its native code follows them. A list that is
too short, a child that does not exist or a circle must not reach it. Source: ONNX, ai.onnx.ml.TreeEnsembleClassifier-3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import NodeProto

from workers.subject.refusal import Refusal, quoted

_REQUIRED = (
    "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_truenodeids", "nodes_falsenodeids",
)  # fmt: skip
_OPTIONAL = ("nodes_hitrates", "nodes_hitrates_as_tensor", "nodes_missing_value_tracks_true")
_LEAF_LISTS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
_MODES = frozenset((b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ", b"LEAF"))
MAX_FEATURES = 1 << 24
MAX_OUTPUTS = 1 << 16

Node = tuple[int, int]


def check_trees(node: NodeProto) -> None:
    """Returns if the forest of a TreeEnsembleClassifier or -Regressor is one. Raises Refusal."""
    given = {attribute.name: _listed(attribute) for attribute in node.attribute}
    _complete(given, node.op_type)
    places = len(given["nodes_treeids"])
    trees, ids = given["nodes_treeids"], given["nodes_nodeids"]
    at = {(tree, each): place for place, (tree, each) in enumerate(zip(trees, ids, strict=True))}
    if len(at) != places:
        raise _bad("two nodes have one number")
    _children(given, at)
    if any(not 0 <= feature < MAX_FEATURES for feature in given["nodes_featureids"]):
        raise _bad("a node asks for a feature that cannot be")
    _leaves(given, _LEAF_LISTS[node.op_type], at)


def _listed(attribute: Any) -> Sequence[Any]:
    if attribute.HasField("t"):
        return range(attribute.t.dims[0] if len(attribute.t.dims) == 1 else 0)  # its length is all that is checked
    if attribute.HasField("i"):
        return (attribute.i,)
    return attribute.ints or attribute.floats or attribute.strings or ()


def _complete(given: Mapping[str, Sequence[Any]], operator: str) -> None:
    """Each list that must be there is, once, and lists of one kind are of one length."""
    word = _LEAF_LISTS[operator]
    nodes = [*_REQUIRED, *_one(given, "nodes_values"), *(name for name in _OPTIONAL if name in given)]
    leaves = [f"{word}_treeids", f"{word}_nodeids", f"{word}_ids", *_one(given, f"{word}_weights")]
    for names in (nodes, leaves):
        missing = next((name for name in names if not given.get(name)), None)
        if missing is not None:
            raise _bad(f"{missing} is missing")
        if len({len(given[name]) for name in names}) != 1:
            raise _bad(f"{', '.join(names)} differ in length")


def _one(given: Mapping[str, Sequence[Any]], name: str) -> list[str]:
    held = [each for each in (name, f"{name}_as_tensor") if each in given]
    return held if len(held) == 1 else [name]


def _children(given: Mapping[str, Sequence[Any]], at: Mapping[Node, int]) -> None:
    """Every branch has two children in its own tree, and each node one parent but for the root, its tree's first."""
    parents: dict[Node, int] = dict.fromkeys(at, 0)
    columns = (given[name] for name in _REQUIRED if name != "nodes_featureids")
    children: dict[Node, tuple[Node, Node]] = {}
    for tree, number, mode, yes, no in zip(*columns, strict=True):
        if mode not in _MODES:
            raise _bad(f"the mode {quoted(mode)} is not known")
        if mode == b"LEAF":
            continue
        children[tree, number] = ((tree, yes), (tree, no))
        for child in children[tree, number]:
            if child not in at:
                raise _bad(f"node {number} of tree {tree} has a child that is not there")
            parents[child] += 1
    if any(count > 1 for count in parents.values()):
        raise _bad("a node has two parents")
    firsts = [node for node, before in zip(at, (None, *at), strict=False) if before is None or node[0] != before[0]]
    roots = [node for node, count in parents.items() if count == 0]
    if roots != firsts or len({tree for tree, _ in roots}) != len(roots):
        raise _bad("a tree does not begin with its one root, or lies in pieces")
    _reached(children, roots, len(at))


def _reached(children: Mapping[Node, tuple[Node, Node]], roots: list[Node], count: int) -> None:
    seen, left = 0, list(roots)
    while left:
        node = left.pop()
        seen += 1
        left.extend(children.get(node, ()))
    if seen != count:
        raise _bad("its nodes form a circle")


def _leaves(given: Mapping[str, Sequence[Any]], word: str, at: Mapping[Node, int]) -> None:
    modes = given["nodes_modes"]
    for node in zip(given[f"{word}_treeids"], given[f"{word}_nodeids"], strict=True):
        if node not in at or modes[at[node]] != b"LEAF":
            raise _bad("a weight belongs to no leaf")
    if any(not 0 <= each < _outputs(given, word) for each in given[f"{word}_ids"]):
        raise _bad("a weight belongs to an output that is not there")


def _outputs(given: Mapping[str, Sequence[Any]], word: str) -> int:
    if word == "class":
        return len(given.get("classlabels_int64s") or given.get("classlabels_strings") or ())
    targets = int((given.get("n_targets") or (1,))[0])
    if targets > MAX_OUTPUTS:
        raise _bad(f"it declares more outputs than {MAX_OUTPUTS:,}")
    return targets


def _bad(detail: str) -> Refusal:
    return Refusal(
        "bad-trees",
        f"the tree ensemble is not sound: {detail}",
        "Convert the model again with a current skl2onnx or onnxmltools.",
    )
