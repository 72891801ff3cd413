"""What must be in memory before a job starts? Imported once in the zygote, so that no job imports anything.

A lazy import in a child costs up to 0.7 s, and fails under another uid when the interpreter lies under a closed folder.
Everything here is named, and a test runs each type of job in a fork and lists what was still imported. Nothing here
runs an operator: the zygote must keep one thread and must never touch CUDA.
"""

import importlib
import os

# The few modules below are ours or documented; importing them pulls in most of torch, captum and pydantic.
import captum
import captum.attr
import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.JpegImagePlugin
import PIL.PngImagePlugin
import PIL.TiffImagePlugin
import PIL.WebPImagePlugin
import safetensors.numpy
import safetensors.torch
import torch
import torch.export.passes

import workers.analyses
import workers.child

_LAZY = (
    # torch.export.load: the reader of archives, the schema, and what its deserialiser imports inside functions
    "torch.export.pt2_archive._package",
    "torch._export.serde.serialize",
    "torch._export.db.logging",
    "torch._export.passes._node_metadata_hook",
    "torch._export.passes.add_runtime_assertions_for_constraints_pass",
    "torch._export.passes.collect_tracepoints_pass",
    "torch._inductor.codecache",
    "torch._inductor.cpp_builder",  # for one function on paths; it pulls in inductor's configuration
    "torch._inductor.sizevars",
    "torch.export._leakage_detection_utils",
    "torch.export._trace",
    "torch.export._unlift",
    # torch.export.unflatten and the symbolic shapes of a dynamic batch
    "torch.export.unflatten",
    "torch.fx.experimental.symbolic_shapes",
    "torch.fx.experimental.validator",
    "torch.utils._sympy.functions",
    "torch.utils._sympy.interp",
    "torch.utils._sympy.solve",
    "torch.utils._sympy.value_ranges",
    "sympy.parsing.sympy_parser",  # sympify, for sizes that were checked before
    "sympy.printing.str",
    "sympy.tensor.tensor",  # sympy looks for it when it compares sizes
    # Hugging Face folders: the classes of transformers that are read, by their own modules, and the Rust tokenizers
    "workers.subject.huggingface.rewriting",
    "workers.subject.huggingface.loading",
    # fake tensors and meta kernels
    "torch._dynamo",
    "torch._dynamo.eval_frame",
    "torch._functorch.aot_autograd",
    "torch._subclasses.fake_tensor",
    # a lock that torch makes when a program is read; what safetensors writes tensors with; codecs looked up by name
    "multiprocessing.synchronize",
    "numpy.ctypeslib",
    "encodings.ascii",
    "encodings.cp437",  # names in archives
    "encodings.idna",
    "encodings.latin_1",
)

for _name in _LAZY:
    importlib.import_module(_name)

PIL.Image.init()  # every plugin now: a damaged image would make a child import all of them

PRELOADED = (
    captum.attr,
    np,
    safetensors.numpy,
    safetensors.torch,
    torch.export.passes,
    workers.analyses,
    workers.child,
)
"""Named so that it is seen what these imports are for: being there."""


def initialise_device(device: str) -> None:
    """Creates the CUDA context and the handles of its libraries; in the child, before it enters the sandbox."""
    # read by cuBLAS when its handle is made; without it deterministic algorithms are refused
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.cuda.current_device()  # makes the context
    small = torch.ones(1, 1, 4, 4, device=device)
    (small @ small).sum().item()
    torch.nn.functional.conv2d(small, small).sum().item()
    torch.cuda.synchronize(device)
