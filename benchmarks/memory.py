"""How far is the quote of a whole analysis from the memory it takes? Layer conductance of eight networks.

Each network is exported, inspected and analysed as the worker does it: one sandboxed child for each job, freshly forked
from the zygote. Measured and quoted is the most that is resident above the start of the job, the model and the data
included. The bar: within 25 % above 64 MiB, within 16 MiB below.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import Residual, bert_like, mlp10x256, resnet18_like
from lamina.export import export
from service.contracts.base import digest_of_value
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.job import (
    RESULT,
    Analyse,
    InspectDataset,
    Inspected,
    InspectModel,
    Member,
    StagedDataset,
    StagedModel,
    Succeeded,
)
from service.contracts.manifest import CANONICAL, DatasetManifest, ModelManifest
from service.contracts.provenance import Provenance
from workers.analyses import KINDS
from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildSpec, Level, Limits

KIND = "layer_conductance"
EXAMPLES = 32
MEBIBYTE = 1 << 20
ENGINE_BYTES = 512 * MEBIBYTE
"""LAMINA_CHILD_ENGINE_BYTES as it is set where nobody sets it."""
LIMITS = Limits(memory_bytes=4096 * MEBIBYTE)
LAYOUTS = {1: ("table", "NF"), 2: ("series", "NTC"), 3: ("image", "NCHW")}


class Recurrent(nn.Module):
    """Two layers of LSTM, 64 wide, over 40 steps of 16 features."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 64, 2, batch_first=True), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        given: Tensor = self.head(self.lstm(x)[0][:, -1])
        return given


class UNet(nn.Module):
    """Two levels down and up with skips, then the mean over the map as ten classes."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down1, self.down2 = _double(3, width), _double(width, 2 * width)
        self.pool, self.bottom = nn.MaxPool2d(2), _double(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.merge2 = _double(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.merge1, self.head = _double(2 * width, width), nn.Conv2d(width, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        up = self.merge2(torch.cat([self.up2(self.bottom(self.pool(second))), second], 1))
        up = self.merge1(torch.cat([self.up1(up), first], 1))
        given: Tensor = self.head(up).mean((2, 3))
        return given


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )


def _cnn() -> tuple[nn.Module, Tensor]:
    layers = [nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(800, 10)), torch.randn(1, 1, 28, 28)


def _shrinking() -> tuple[nn.Module, Tensor]:
    """A wide map that each block halves."""
    blocks = [Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 128, 2)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(*stem, *blocks, *head), torch.randn(1, 3, 64, 64)


def _wide() -> tuple[nn.Module, Tensor]:
    layers = [nn.Linear(512, 4096), nn.ReLU(), nn.Linear(4096, 2048), nn.ReLU(), nn.Linear(2048, 10)]
    return nn.Sequential(*layers), torch.randn(1, 512)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "mlp": mlp10x256,
    "cnn": _cnn,
    "resnet-shrinking": _shrinking,
    "resnet18-like": resnet18_like,
    "lstm": lambda: (Recurrent(), torch.randn(1, 40, 16)),
    "transformer": bert_like,
    "mlp-wide": _wide,
    "unet": lambda: (UNet(), torch.randn(1, 3, 48, 48)),
}


def measure() -> list[dict[str, object]]:
    """One row for each network, in bytes."""
    zygote = Zygote()
    zygote.start()
    try:
        return [_row(name, *taken(zygote, make)) for name, make in NETWORKS.items()]
    finally:
        zygote.close()


def _row(name: str, measured: int, quoted: int) -> dict[str, object]:
    return {
        "name": f"attribution/memory/{name}",
        "what": f"resident above the start at the peak of {KIND}, {EXAMPLES} examples; the peer is its quote",
        "value": measured,
        "unit": "B",
        "peer": "quoted before",
        "peer_value": quoted,
        "ratio": quoted / measured,
        "floor_value": None,
        "floor_ratio": None,
        "runs": 1,
        "spread": [measured, measured, measured],
        "device": "cpu",
        "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def taken(zygote: Zygote, make: Callable[[], tuple[nn.Module, Tensor]]) -> tuple[int, int]:
    """(measured, quoted) bytes of one network, above what was resident when its job began."""
    (said,) = analysed(zygote, make, (KIND,))
    assert said.peak_bytes is not None
    assert said.quoted_bytes is not None
    return said.peak_bytes, said.quoted_bytes


def analysed(zygote: Zygote, make: Callable[[], tuple[nn.Module, Tensor]], kinds: tuple[str, ...]) -> list[Provenance]:
    """What the analyses of one network, each in a job of its own, say of themselves."""
    torch.manual_seed(0)
    network, example = make()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape, facts = tuple(example.shape[1:]), _facts(tuple(example.shape[1:]), network.eval()(example).shape[1])
        export(network, example.expand(2, *shape).contiguous(), folder / "source.pt2")
        inputs = np.random.default_rng(0).uniform(-1, 1, (EXAMPLES, *shape)).astype(np.float32)
        np.savez(folder / "source.npz", inputs=inputs)
        data_facts = DatasetFacts(input=facts.input, labels_array=None)
        model, model_file = _inspected(
            zygote, folder / "m", InspectModel(member="a", facts=facts), folder / "source.pt2"
        )
        data, data_file = _inspected(
            zygote, folder / "d", InspectDataset(member="a", facts=data_facts), folder / "source.npz"
        )
        assert isinstance(model, ModelManifest)
        assert isinstance(data, DatasetManifest)
        said = []
        for kind in kinds:
            job = _job(kind, facts, model, data_facts, data)
            scratch = _scratch(folder / kind, job, {job.model.file: model_file, "input-0.safetensors": data_file})
            result = _run(zygote, scratch, "a")
            if not isinstance(result, Succeeded):
                raise TypeError(f"{kind} ended {result.status}: {result.model_dump_json()[:1000]}")
            said.append(result.provenance)
    return said


def _facts(shape: tuple[int, ...], classes: int) -> ModelFacts:
    kind, layout = LAYOUTS[len(shape)]
    return ModelFacts.model_validate(
        {
            "task": "classification",
            "input": {"kind": kind, "layout": layout, "shape": shape, "bounds": {"low": [-1.0], "high": [1.0]}},
            "output": {"kind": "logits", "classes": [f"class {at}" for at in range(classes)]},
        }
    )


def _job(
    kind: str, facts: ModelFacts, model: ModelManifest, data_facts: DatasetFacts, data: DatasetManifest
) -> Analyse:
    member = Member(
        id="a", kind=kind, kind_version=KINDS[kind].version, parameters={}, digest=digest_of_value("memory")
    )
    return Analyse(
        members=(member,),
        model=StagedModel(
            file=CANONICAL[model.format],
            name="m",
            version="1",
            digest=model.canonical_digest,
            facts=facts,
            manifest=model,
        ),
        inputs={
            "evaluation": StagedDataset(
                file="input-0.safetensors", name="d", digest=data.canonical_digest, facts=data_facts, manifest=data
            )
        },
        memory_bytes=ENGINE_BYTES,
        sandbox_level=Level.FULL.value,
    )


def _scratch(folder: Path, job: Analyse | InspectModel | InspectDataset, files: dict[str, bytes]) -> Path:
    for each in ("inputs", "results", "cancel"):
        (folder / each).mkdir(parents=True)
    for name, content in files.items():
        (folder / "inputs" / name).write_bytes(content)
    (folder / "job.json").write_text(job.model_dump_json())
    return folder


def _run(zygote: Zygote, scratch: Path, member: str) -> Any:
    spec = ChildSpec(entry="workers.child:run", scratch=scratch, limits=LIMITS, minimum_level=Level.RLIMITS_ONLY)
    child = zygote.spawn(spec)
    ended = child.wait(LIMITS.wall_seconds)
    child.kill()
    if ended is None or ended.reason != "completed":
        raise RuntimeError(f"a job did not complete: {ended}\n{(scratch / 'output.txt').read_text()[-2000:]}")
    return RESULT.validate_json((scratch / "results" / member / "result.json").read_bytes())


def _inspected(
    zygote: Zygote, folder: Path, job: InspectModel | InspectDataset, source: Path
) -> tuple[ModelManifest | DatasetManifest, bytes]:
    scratch = _scratch(folder, job, {"source": source.read_bytes()})
    result = _run(zygote, scratch, job.member)
    if not isinstance(result, Inspected):
        raise TypeError(f"the inspection ended {result.status}: {result.model_dump_json()[:1000]}")
    return result.manifest, (scratch / "results" / job.member / result.canonical).read_bytes()
