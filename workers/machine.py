"""Where does this run, and with what? What provenance keeps, read without importing or starting anything."""

import os
import resource
import sys
from pathlib import Path

import captum
import numpy as np
import PIL
import pydantic
import safetensors
import torch

from service.contracts.provenance import Machine


def machine(device: str, threads: int) -> Machine:
    """This process's machine, as a bitwise replay needs it."""
    system = os.uname()
    return Machine(
        device=device,
        device_name=_device_name(device),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=threads,
        platform=f"{system.sysname} {system.release} {system.machine}"[:256],
        python=sys.version.split()[0],
        versions={
            "captum": captum.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "pydantic": pydantic.VERSION,
            "safetensors": safetensors.__version__,
            "torch": torch.__version__,
        },
    )


def _device_name(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name(device)[:256]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names[0] if names else os.uname().machine)[:256]


def resident_bytes() -> int:
    """Bytes of this process in memory now; on systems without /proc, the most there have been."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return most_resident_bytes()


def most_resident_bytes() -> int:
    """The most bytes this process has had in memory since it was forked."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
