"""How do time and memory compare with captum on networks of the sizes people really audit?

Conductance of every leaf layer of a ResNet-50-like and a ViT-B/16-like network at 224 px and of a BERT-base-like one at
128 tokens, S=8, one example, float32, one thread, random weights. captum is timed at layers spread over the depth, one
call each; what all layers would take it is interpolated over the order of layers, and the row says so. Memory is what a
fresh process holds at its peak above network and input: all layers by one sweep, and captum's for single layers.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import captum
import numpy as np
import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from benchmarks.networks import bert_base_like, resnet50_like, vit_b16_like
from benchmarks.timing import seconds
from workers.machine import resident_bytes
from workers.numerics.memory import give_back_freed_pages
from workers.sweep.plan import Plan, plan
from workers.sweep.probe import Probe, Tap, probe
from workers.sweep.reducers import Moments, Totals
from workers.sweep.rules import nodes
from workers.sweep.run import sweep
from workers.sweep.target import Target

STEPS, PAIRS, DEPTHS = 8, 3, 7
MEMORY_BYTES = 2 << 30
NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "resnet50-like": resnet50_like,
    "vit-b16-like": vit_b16_like,
    "bert-base-like": bert_base_like,
}


class Case:
    """One network made ready: everything that is timed is a method."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(0)
        network, self.x = NETWORKS[name]()
        self.model, self.baseline, self.target = network.eval(), torch.zeros_like(self.x), Target.classes(1)
        self.seen: Probe = probe(self.model, (self.x,), (self.baseline,), self.target)
        self.leaves: list[Tap] = [
            tap for tap in self.seen.taps if not tap.container and tap.status == "on_path" and tap.same_as is None
        ]
        keys = [tap.key for tap in self.leaves]
        self.chunks: Plan = plan(
            self.seen, examples=1, evaluations=STEPS + 1, memory_bytes=MEMORY_BYTES, threads=1, layers=keys
        )

    @property
    def depths(self) -> list[int]:
        """Places among the leaves, from the first to the last, evenly spread."""
        return [round(at) for at in np.linspace(0, len(self.leaves) - 1, DEPTHS).tolist()]

    def ours(self) -> None:
        """All layers by one sweep, reduced to unit means and totals."""
        sweep(self.model, self.seen, self.chunks, (self.x,), (self.baseline,), self.target, [Totals(), Moments()])

    def captum(self, depth: int) -> None:
        """One layer by captum, with its defaults: all steps at once."""
        layer = dict(self.model.named_modules())[self.leaves[depth].module]
        LayerConductance(self.model, layer).attribute(self.x, self.baseline, target=1, n_steps=STEPS)

    def floor(self) -> None:
        """The same chunks, forward and backward to the input, nothing looked at."""
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        points = nodes("captum", STEPS)
        for at in range(0, len(points), self.chunks.points):
            alphas = torch.tensor(points[at : at + self.chunks.points]).view(-1, *[1] * (self.x.ndim - 1))
            rows = (self.baseline + alphas * (self.x - self.baseline)).requires_grad_()
            torch.autograd.grad(self.model(rows)[:, 1].sum(), rows)
        for parameter in self.model.parameters():
            parameter.requires_grad = True


def measure() -> list[dict[str, object]]:
    """Two rows for each network: time and memory."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for name in NETWORKS for row in (_time(name), _memory(name))]
    finally:
        torch.set_num_threads(before)


def _time(name: str) -> dict[str, object]:
    case = Case(name)
    case.ours()
    ours, peer, floor = [], [], []
    for _ in range(PAIRS):
        ours.append(seconds(case.ours))
        single = [seconds(lambda depth=depth: case.captum(depth)) for depth in case.depths]
        floor.append(seconds(case.floor))
        every = np.interp(np.arange(len(case.leaves)), case.depths, single)
        peer.append(float(every.sum()))
    return _row(
        name=f"attribution/conductance/{name}",
        what=f"conductance of {len(case.leaves)} leaf layers, S={STEPS}, one example, float32, chunks of"
        f" {case.chunks.points} points; captum timed at {DEPTHS} layers spread over the depth, interpolated for all",
        unit="s", peer="captum LayerConductance, layer by layer (interpolated)", ours=ours, peer_values=peer,
        floor=floor,
    )  # fmt: skip


def _memory(name: str) -> dict[str, object]:
    case = Case(name)
    ours = [_peak(name, "ours")]
    single = [_peak(name, str(depth)) for depth in (case.depths[0], case.depths[len(case.depths) // 2])]
    return _row(
        name=f"attribution/conductance-memory/{name}",
        what=f"peak above network and input in a fresh process: all {len(case.leaves)} leaf layers by one sweep; the"
        " peer is captum for one layer, the larger of the first and the middle one",
        unit="B", peer="captum LayerConductance, one layer", ours=ours, peer_values=[max(single)], floor=None,
    )  # fmt: skip


def _row(
    name: str, what: str, unit: str, peer: str, ours: list[float], peer_values: list[float], floor: list[float] | None
) -> dict[str, object]:
    return {
        "name": name, "what": what, "value": median(ours), "unit": unit, "peer": peer,
        "peer_value": median(peer_values),
        "ratio": median(p / o for p, o in zip(peer_values, ours, strict=True)),
        "floor_value": None if floor is None else median(floor),
        "floor_ratio": None if floor is None else median(o / f for o, f in zip(ours, floor, strict=True)),
        "runs": len(ours), "spread": [min(ours), median(ours), max(ours)], "device": "cpu", "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "captum": captum.__version__},
    }  # fmt: skip


def _peak(name: str, what: str) -> float:
    """Bytes, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.real", name, what], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def _peak_here(name: str, what: str) -> int:
    """The most that is resident above what was there when all was ready."""
    torch.set_num_threads(1)
    case = Case(name)
    give_back_freed_pages()
    own = Path("/proc/self")
    (own / "clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here: proc(5)
    before = resident_bytes()
    if what == "ours":
        case.ours()
    else:
        case.captum(int(what))
    lines = (own / "status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")) - before


if __name__ == "__main__":
    print(_peak_here(*sys.argv[1:3]))
