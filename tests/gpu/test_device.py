"""On a machine with a GPU: equal numbers, memory that comes back after a kill, one worker per device.

`make gpu-check` runs these. They were written without a GPU at hand and say so until someone has run them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from lamina.embedded.devices import devices
from lamina.up import Stack
from tests import networks
from tests.end_to_end.material import network, register
from tests.stacks import QUICK, Running
from workers.sweep.plan import plan
from workers.sweep.probe import probe
from workers.sweep.reducers import Totals
from workers.sweep.run import sweep
from workers.sweep.target import Target

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def used_bytes() -> int:
    """Memory in use on the first device, as the driver says."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]) * 2**20


def totals(device: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    model = networks.resnet().to(device, dtype)
    inputs = (networks.points(4, 3, 12, 12).to(device, dtype),)
    baselines = (torch.zeros_like(inputs[0]),)
    target = Target.classes(0)
    seen = probe(model, inputs, baselines, target)
    made = plan(
        seen,
        examples=4,
        evaluations=33,
        memory_bytes=1 << 30,
        threads=1,
        device=device,
        dtype=str(dtype).removeprefix("torch."),
    )
    reducer = Totals()
    sweep(model, seen, made, inputs, baselines, target, [reducer])
    return {tap.key: reducer.signed(tap.key).cpu() for tap in seen.taps}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_a_gpu_gives_the_cpus_numbers(dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = totals("cuda:0", dtype), totals("cpu", dtype)
    for key, expected in theirs.items():
        scale = expected.abs().max().clamp_min(1e-6)
        assert ((ours[key] - expected).abs().max() / scale) < tolerance, key


@pytest.fixture
def with_gpus(tmp_path: Path) -> Iterator[Running]:
    """A stack with a worker for each device and one for the CPU."""
    with Stack(tmp_path / "home", workers=1, environment=QUICK) as stack:
        yield Running(stack)


def test_the_devices_memory_comes_back_after_a_kill(with_gpus: Running, tmp_path: Path) -> None:
    before = used_bytes()
    with with_gpus.client() as client:
        ids = register(client, tmp_path, "gpu", network(width=2048, depth=6), examples=200)
        audit = client.submit_audit(
            model=ids.model, inputs={"evaluation": ids.dataset}, analyses={"layer_conductance": {"steps": 400}}
        )
        until(lambda: used_bytes() > before + 2**28)
        for name, pid in with_gpus.stack.pids().items():
            if name.startswith("worker"):
                for child in psutil.Process(pid).children(recursive=True):
                    os.kill(child.pid, signal.SIGKILL)
        until(lambda: used_bytes() < before + 2**27)
        client.cancel(audit.id)


def test_every_device_gets_a_worker_of_its_own(with_gpus: Running) -> None:
    with with_gpus.client() as client:
        until(lambda: len(client.ready().workers) >= len(devices()) + 1)
        gpus = [worker for worker in client.ready().workers if worker.device != "cpu"]
    assert len(gpus) == len(devices())


def until(true: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]  # a callable
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
