"""Does every accelerator get one worker, and does a worker see only its own?"""

from pathlib import Path

import pytest

from lamina.embedded.devices import Device, WorkerPlacement, devices, listed, place

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-2222-3333-4444-555555555555)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-66666666-7777-8888-9999-000000000000)
"""
SLICED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-2222-3333-4444-555555555555)
  MIG 3g.20gb     Device  0: (UUID: MIG-aaaaaaaa-1111-1111-1111-111111111111)
  MIG 3g.20gb     Device  1: (UUID: MIG-bbbbbbbb-1111-1111-1111-111111111111)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-66666666-7777-8888-9999-000000000000)
"""


def test_every_device_nvidia_smi_lists_is_counted() -> None:
    assert listed(TWO) == [Device("0", "NVIDIA H100 80GB HBM3"), Device("1", "NVIDIA A100-SXM4-40GB")]


def test_a_sliced_device_counts_as_its_slices() -> None:
    assert [device.id for device in listed(SLICED)] == [
        "MIG-aaaaaaaa-1111-1111-1111-111111111111",
        "MIG-bbbbbbbb-1111-1111-1111-111111111111",
        "1",
    ]


@pytest.mark.parametrize("answer", ["", "No devices found.\n", "NVIDIA-SMI has failed\n"])
def test_an_answer_without_devices_has_none(answer: str) -> None:
    assert listed(answer) == []


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("", []),
        ("-1", []),
        ("0", ["0"]),
        ("2, 0", ["2", "0"]),
        ("1,-1,0", ["1"]),
        ("NoDevFiles", []),
        ("GPU-1a", ["GPU-1a"]),
    ],
)
def test_what_cuda_was_told_to_see_is_all_that_is_used(variable: str, expected: list[str]) -> None:
    assert [device.id for device in devices({"CUDA_VISIBLE_DEVICES": variable})] == expected


@pytest.mark.parametrize(("status", "expected"), [(0, ["0", "1"]), (9, [])])
def test_the_driver_is_asked_when_cuda_was_told_nothing(
    status: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{TWO}END\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [device.id for device in devices({})] == expected


def test_without_a_driver_there_is_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lamina.embedded.devices._DRIVER", tmp_path / "gpus")
    assert devices({}) == []
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    assert [device.id for device in devices({})] == ["0"]


def test_two_devices_and_one_cpu_worker_make_three_workers_that_share_nothing() -> None:
    gpu = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert place(listed(TWO), 1) == [
        WorkerPlacement("worker-gpu0", {"CUDA_VISIBLE_DEVICES": "0", **gpu}, ("gpu",)),
        WorkerPlacement("worker-gpu1", {"CUDA_VISIBLE_DEVICES": "1", **gpu}, ("gpu",)),
        WorkerPlacement("worker-cpu0", {"CUDA_VISIBLE_DEVICES": ""}, ("cpu",)),
    ]


@pytest.mark.parametrize(("gpus", "cpu_workers"), [(0, 1), (0, 3), (1, 0), (2, 0), (2, 2)])
def test_every_queue_is_served_and_no_two_workers_share_a_name(gpus: int, cpu_workers: int) -> None:
    workers = place([Device(str(number), "GPU") for number in range(gpus)], cpu_workers)
    assert {queue for worker in workers for queue in worker.queues} == {"cpu", "gpu"}
    assert len({worker.name for worker in workers}) == len(workers) == gpus + cpu_workers


@pytest.mark.parametrize("cpu_workers", [0, -1])
def test_no_worker_at_all_is_refused(cpu_workers: int) -> None:
    with pytest.raises(ValueError, match="ask for at least one"):
        place([], cpu_workers)
