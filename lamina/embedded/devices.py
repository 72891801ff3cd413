"""Which accelerators does this machine have, and which worker gets which? Asked without torch or CUDA."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CPU = "cpu"
GPU = "gpu"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_ASK_SECONDS = 10.0
_DEVICE = re.compile(r"^GPU (?P<index>\d+): (?P<name>.+?) \(UUID: (?P<uuid>GPU-[\w-]+)\)$")
_SLICE = re.compile(r"^\s+MIG (?P<profile>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[\w/-]+)\)$")


@dataclass(frozen=True)
class Device:
    """One CUDA device, or one slice of one: what `CUDA_VISIBLE_DEVICES` calls it, and its name for people."""

    id: str
    name: str


@dataclass(frozen=True)
class WorkerPlacement:
    """One worker: its name, what it adds to the environment, and the queues it serves."""

    name: str
    env: Mapping[str, str]
    queues: tuple[str, ...]


def devices(environment: Mapping[str, str] | None = None) -> list[Device]:
    """The CUDA devices a worker may use: those `CUDA_VISIBLE_DEVICES` names if it is set, else all the driver knows.

    The list is empty where there is no driver. A device nvidia-smi does not tell of within 10 s is not used.
    """
    chosen = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return _chosen(chosen)
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return []
        return listed(answer.stdout) if answer.returncode == 0 else []
    return [Device(str(index), "NVIDIA GPU") for index, _ in enumerate(_DRIVER.iterdir())] if _DRIVER.is_dir() else []


def listed(answer: str) -> list[Device]:
    """The devices in what `nvidia-smi -L` prints; a device cut into MIG slices counts as its slices."""
    found: list[Device] = []
    whole: Device | None = None
    for line in answer.splitlines():
        if (device := _DEVICE.match(line)) is not None:
            whole = Device(device["index"], device["name"])
            found.append(whole)
        elif (part := _SLICE.match(line)) is not None and whole is not None:
            if whole in found:
                found.remove(whole)
            found.append(Device(part["uuid"], f"{whole.name} MIG {part['profile']}"))
    return found


def place(devices: Sequence[Device], cpu_workers: int) -> list[WorkerPlacement]:
    """One worker per device and `cpu_workers` that see none; every queue is served by someone.

    Raises ValueError when that makes no worker at all.
    """
    if cpu_workers < 0 or (cpu_workers == 0 and not devices):
        raise ValueError(f"{cpu_workers} CPU workers and {len(devices)} GPUs make no worker: ask for at least one")
    gpu_queues = (GPU,) if cpu_workers else (GPU, CPU)
    cpu_queues = (CPU,) if devices else (CPU, GPU)
    on_gpu = [
        WorkerPlacement(
            f"worker-gpu{number}",
            # CUDA's own order is fastest first; nvidia-smi counts by bus, and the two must agree.
            {"CUDA_VISIBLE_DEVICES": device.id, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            gpu_queues,
        )
        for number, device in enumerate(devices)
    ]
    on_cpu = [
        WorkerPlacement(f"worker-cpu{number}", {"CUDA_VISIBLE_DEVICES": ""}, cpu_queues)
        for number in range(cpu_workers)
    ]
    return on_gpu + on_cpu


def _chosen(text: str) -> list[Device]:
    found: list[Device] = []
    for word in (part.strip() for part in text.split(",")):
        if not word or word.startswith("-") or not word[0].isalnum() or word == "NoDevFiles":
            break  # CUDA itself ignores everything from the first invalid word on
        found.append(Device(word, f"CUDA device {word}"))
    return found
