"""Which ONNX networks do the tests use? Small, node by node, with answers worked out by hand."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

WEIGHT = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], dtype=np.float32)
BIAS = np.array([0.25, -0.5], dtype=np.float32)


def value(name: str, shape: list[int | str | None] | None, kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """An input or output; a name or None is an open size, no shape at all is unknown."""
    return helper.make_tensor_value_info(name, kind, shape)


def stored(name: str, array: Any) -> TensorProto:
    """A tensor of the file."""
    return numpy_helper.from_array(np.asarray(array), name)


def model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto] | None = None,
    outputs: list[ValueInfoProto] | None = None,
    tensors: list[TensorProto] | None = None,
    *,
    opset: int = 17,
    further: tuple[tuple[str, int], ...] = (),
    **fields: Any,
) -> ModelProto:
    """A model of one graph: x of shape (N, 3) to y of shape (N, 2) unless told otherwise."""
    graph = helper.make_graph(
        nodes, "graph", inputs or [value("x", ["N", 3])], outputs or [value("y", ["N", 2])], tensors or []
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*each) for each in further)]
    return helper.make_model(graph, opset_imports=imports, ir_version=fields.pop("ir_version", 8), **fields)


def affine(**fields: Any) -> ModelProto:
    """y = x W + b."""
    return model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        tensors=[stored("w", WEIGHT), stored("b", BIAS)],
        producer_name="pytorch",
        **fields,
    )


def forest(**lists: Any) -> NodeProto:
    """One tree: 1 where x0 <= 0.5, else 2."""
    attributes: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0], "target_treeids": [0, 0],
        "target_nodeids": [1, 2], "target_ids": [0, 0], "target_weights": [1.0, 2.0], "n_targets": 1,
    }  # fmt: skip
    return helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **(attributes | lists))
