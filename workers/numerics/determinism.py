"""What makes a second run give the same bits, and how is a number that is not one caught?

Seeds are a hash of the analysis and the example, so the way the work is split changes nothing. The process-wide
switches (threads, kernels, TF32) are set for the length of one run and then put back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class NotFinite(ValueError):
    """A NaN or an infinity appeared where a number was due. Permanent: the same run gives it again."""

    def __init__(self, layer: str) -> None:
        super().__init__(
            f"layer '{layer}' gave NaN or infinity; look for overflow or a division by zero there, or use float64"
        )
        self.layer = layer


def seed_for(analysis_digest: str, example_index: int) -> int:
    """The seed, in [0, 2**63), for one example of one analysis: SHA-256 of the digest's text, a colon, the index."""
    text = f"{analysis_digest}:{example_index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def require_finite(values: Tensor, layer: str) -> None:
    """Raises NotFinite(layer) unless every element of `values` is a finite number."""
    if not bool(torch.isfinite(values).all()):
        raise NotFinite(layer)


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Runs the block on `threads` intra-op threads with deterministic kernels and without TF32; then restores.

    On CUDA, cuBLAS is deterministic only if CUBLAS_WORKSPACE_CONFIG=:4096:8 stood in the environment before CUDA
    was initialised; torch raises inside the block where it did not.
    """
    before = torch.get_num_threads()
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined] # set on the module object
    matmul_tf32 = torch.backends.cuda.matmul.allow_tf32
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    try:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # costs a pass over every buffer
        torch.backends.cuda.matmul.allow_tf32 = False
        with flags:
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined] # as above
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
