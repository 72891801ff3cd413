"""How strong is the ladder beside AutoAttack-standard, and for how much less?

The reference is written down in `tests.references.ensemble`. On the public network (`LAMINA_TEST_DATA`) both run in
turn, three times; a curve of eight budgets is held against eight runs of the reference. On networks trained here, some
of which hide their gradients, robust accuracy and what was asked of the network are compared. One thread.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.references.ensemble import Ensemble
from tests.workers.attack import cases
from tests.workers.attack.strength_networks import NAMES, data, network
from workers.attack.classes import Misclassified
from workers.attack.frontier import attack
from workers.attack.space import Norm
from workers.numerics.memory import keep_freed_pages

PAIRS, CURVE_IMAGES = 3, 50
PUBLIC_EPSILON = 0.3
CURVE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
BUDGETS: tuple[tuple[Norm, float], ...] = (("linf", 0.15), ("l2", 0.7))
BACKWARD = 2
"""What the way back of a gradient costs, in forward passes: the usual estimate, for the one count of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """CPU seconds, rows forward, rows back, and which examples hold, (N, budgets)."""

    seconds: float
    forwards: int
    gradients: int
    robust: Tensor

    @property
    def passes(self) -> int:
        """Rows forward and back, in rows forward; a gradient's own forward is among `forwards`."""
        return self.forwards + BACKWARD * self.gradients


def measure() -> list[dict[str, object]]:
    """The rows of `benchmarks/results.json`."""
    keep_freed_pages()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        folder = os.environ.get("LAMINA_TEST_DATA")
        rows = [] if folder is None else _public(Path(folder) / "mnist_cnn_a_adv")
        for name in NAMES:
            for norm, epsilon in BUDGETS:
                rows += _own(name, norm, epsilon)
        return rows
    finally:
        torch.set_num_threads(before)


def _ours(model: nn.Module, x: Tensor, y: Tensor, norm: Norm, epsilons: Sequence[float]) -> Run:
    began = process_time()
    found = attack(
        cases.victim(model), Misclassified(y), x, cases.space(norm), cases.settings(*epsilons, norm=norm),
        range(len(x)),
    )  # fmt: skip
    return Run(
        seconds=process_time() - began, forwards=found.asked.forwards + len(x), gradients=found.asked.gradients,
        robust=found.robust(),
    )  # fmt: skip


def _theirs(model: nn.Module, x: Tensor, y: Tensor, norm: Norm, epsilon: float) -> Run:
    began = process_time()
    judged = Ensemble(model, norm, epsilon).judge(x, y)
    return Run(
        seconds=process_time() - began, forwards=judged.count.forwards, gradients=judged.count.gradients,
        robust=judged.robust[:, None],
    )  # fmt: skip


def _public(folder: Path) -> list[dict[str, object]]:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    model.eval().requires_grad_(requires_grad=False)
    images = np.load(folder / "images200.npz")
    x, y = torch.from_numpy(images["inputs"]), torch.from_numpy(images["labels"])
    pairs = [
        (_ours(model, x, y, "linf", (PUBLIC_EPSILON,)), _theirs(model, x, y, "linf", PUBLIC_EPSILON))
        for _ in range(PAIRS)
    ]
    rows = _compared("mnist_cnn_a_adv", f"200 images, L-infinity {PUBLIC_EPSILON}", pairs)
    x, y = x[:100], y[:100]
    pair = (_ours(model, x, y, "l2", (2.0,)), _theirs(model, x, y, "l2", 2.0))
    rows += _compared("mnist_cnn_a_adv_l2", "100 images, L2 2.0", [pair])
    x, y = x[:CURVE_IMAGES], y[:CURVE_IMAGES]
    curve = _ours(model, x, y, "linf", CURVE)
    singles = [_theirs(model, x, y, "linf", epsilon) for epsilon in CURVE]
    joined = Run(
        seconds=sum(each.seconds for each in singles), forwards=sum(each.forwards for each in singles),
        gradients=sum(each.gradients for each in singles), robust=torch.cat([each.robust for each in singles], 1),
    )  # fmt: skip
    what = (
        f"{CURVE_IMAGES} images, {len(CURVE)} budgets of L-infinity {CURVE[0]} to {CURVE[-1]}; the peer runs for each"
    )
    return rows + _compared("curve8", what, [(curve, joined)])


def _own(name: str, norm: Norm, epsilon: float) -> list[dict[str, object]]:
    n = 500 if name == "pgd" else 200
    x, y = (each[:n] for each in data())
    model = network(name)
    pair = (_ours(model, x, y, norm, (epsilon,)), _theirs(model, x, y, norm, epsilon))
    return _compared(f"{name}-{norm}", f"{n} digits of 8 x 8, {norm} {epsilon}", [pair])


def _compared(name: str, what: str, pairs: list[tuple[Run, Run]]) -> list[dict[str, object]]:
    """Three rows: robust accuracy, CPU seconds, passes."""
    mine, theirs = pairs[0]
    return [
        _row(
            f"attack/{name}/robust_accuracy", f"robust accuracy at most, mean over budgets: {what}", "share",
            [float(a.robust.double().mean()) for a, _ in pairs], [float(b.robust.double().mean()) for _, b in pairs],
        ),
        _row(
            f"attack/{name}/seconds", f"CPU seconds: {what}", "s",
            [a.seconds for a, _ in pairs], [b.seconds for _, b in pairs],
        ),
        _row(
            f"attack/{name}/passes",
            f"rows forward, a gradient counted as {1 + BACKWARD}: {what}; ours {mine.gradients} gradients and"
            f" {mine.forwards} forwards, the peer {theirs.gradients} and {theirs.forwards}",
            "rows", [a.passes for a, _ in pairs], [b.passes for _, b in pairs],
        ),
    ]  # fmt: skip


def _row(name: str, what: str, unit: str, ours: Sequence[float], peers: Sequence[float]) -> dict[str, object]:
    return {
        "name": name, "what": what, "value": median(ours), "unit": unit,
        "peer": "AutoAttack-standard, as the papers have it (tests/references/ensemble.py)",
        "peer_value": median(peers), "ratio": median(b / max(a, 1e-12) for a, b in zip(ours, peers, strict=True)),
        "floor_value": None, "floor_ratio": None, "runs": len(ours), "spread": [min(ours), median(ours), max(ours)],
        "device": "cpu", "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }  # fmt: skip
