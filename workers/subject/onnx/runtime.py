"""How is onnxruntime kept from doing anything but computing? The only place that imports it.

Its wheels send usage data by default: at import they start a thread and write an identifier and a database to the home
folder. The variable below, set before the import, prevents all three; a test watches threads, sockets and files.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime  # noqa: TID251  # the one place, after the line above
from numpy.typing import NDArray

PROVIDER = "CPUExecutionProvider"
_OUT_OF_MEMORY = ("Failed to allocate memory", "bad allocation", "bad_alloc", "BFCArena")

onnxruntime.set_default_logger_severity(4)  # fatal only: its errors are raised too, and its texts quote the file


class RunFailed(Exception):
    """onnxruntime cannot read or run a network; the text is its reason."""


class Session:
    """A network that runs on this thread alone, the same way every time.

    No arena: memory goes back after each pass. No spinning, no parallel operators, no profile, no optimised copy on
    disk, no operators from libraries. Equal inputs give equal bytes on one machine.
    """

    def __init__(self, path: os.PathLike[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.use_deterministic_compute = True
        options.enable_cpu_mem_arena = False
        options.enable_profiling = False
        options.log_severity_level = 4
        options.add_session_config_entry("session.load_model_format", "ONNX")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=[PROVIDER])
        except Exception as error:  # onnxruntime raises classes of its own, under Exception
            raise _failure(error) from error
        self.inputs = tuple((value.name, value.type, tuple(value.shape)) for value in self._session.get_inputs())
        self.outputs = tuple((value.name, value.type, tuple(value.shape)) for value in self._session.get_outputs())

    def run(self, inputs: list[NDArray[np.generic]], outputs: list[int]) -> list[NDArray[np.generic]]:
        """The chosen outputs for one array per input. Raises RunFailed, or MemoryError."""
        given = {name: array for (name, _, _), array in zip(self.inputs, inputs, strict=True)}
        try:
            found: list[NDArray[np.generic]] = self._session.run([self.outputs[at][0] for at in outputs], given)
        except Exception as error:
            raise _failure(error) from error
        return found


def _failure(error: Exception) -> Exception:
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
        return MemoryError(text)
    return RunFailed(text)
