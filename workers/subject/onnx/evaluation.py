"""Does a node of an ONNX graph behave as in training? It is switched to evaluation, and the manifest says so."""

from onnx import NodeProto


def to_evaluation(node: NodeProto) -> bool:
    """Switches a standard Dropout or BatchNormalization to evaluation, in place; whether it named a training mode."""
    if node.op_type == "Dropout":
        named = len(node.input) > 2 and bool(node.input[2])
        del node.input[1:]  # ratio and training_mode: without them it passes its input on
        return named
    if node.op_type == "BatchNormalization":
        modes = [attribute for attribute in node.attribute if attribute.name == "training_mode"]
        for mode in modes:
            node.attribute.remove(mode)
        named = len(node.output) > 1 or any(mode.i or mode.ref_attr_name for mode in modes)
        del node.output[1:]  # statistics of the batch, which only training gives
        return named
    return False
