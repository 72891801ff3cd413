"""How does a customer's ONNX file become a black box? Rewritten as data, then run by onnxruntime and never by torch."""

from workers.subject.onnx.black_box import load
from workers.subject.onnx.rewrite import rewrite

__all__ = ["load", "rewrite"]
