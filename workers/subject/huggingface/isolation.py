"""What may transformers see of this machine? torch and tokenizers: no hub, no kernels, no other library that is there.

What it imports would otherwise depend on what else is installed, and some of that (kernels, bitsandbytes, torchvision)
changes which code runs, or fetches it. Imported before transformers, always.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    TRANSFORMERS_OFFLINE="1",
    TRANSFORMERS_VERBOSITY="critical",
    TOKENIZERS_PARALLELISM="false",
    RAYON_NUM_THREADS="1",
)

NEVER = ("kernels", "torchvision", "flash_attn", "bitsandbytes", "accelerate", "deepspeed", "peft", "hf_xet")
"""Not importable in this process from here on."""
_NOT_BY_TRANSFORMERS = ("scipy", "sklearn", "psutil")
"""Ours to use, and not needed for what transformers does here: 300 modules less."""

for _name in NEVER:
    if _name not in sys.modules:
        sys.modules[_name] = None  # type: ignore[assignment]  # the documented way to make an import fail


@contextmanager
def alone() -> Iterator[None]:
    """Within it, what is not needed cannot be imported, so that transformers decides to do without.

    If transformers is there already, it has decided, and must find what it decided on.
    """
    decided = "transformers" in sys.modules
    hidden = {name: sys.modules.get(name) for name in _NOT_BY_TRANSFORMERS if not decided}
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # as above
    try:
        yield
    finally:
        for name, module in hidden.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
