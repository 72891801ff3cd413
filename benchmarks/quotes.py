"""How far are the quotes of whole analyses, seconds and bytes, from what they then take?

Several kinds of attribution of eight networks, each analysis a job of its own in a sandboxed child, as in
a worker.
The bars: the median of |ln(taken / quoted)| of the seconds at most 0.4; bytes within 25 % above 64 MiB, else within
16 MiB. Two rows are kept; the cases are printed.
"""

from __future__ import annotations

import math
import platform
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.memory import EXAMPLES, MEBIBYTE, NETWORKS, analysed
from workers.sandbox.client import Zygote

ASKED = (
    "layer_conductance",
    "layer_gradient_x_activation",
    "layer_internal_influence",
    "layer_deeplift",
    "integrated_gradients",
)
_WIDE, _SMALL, _SLACK = 0.25, 64 * MEBIBYTE, 16 * MEBIBYTE


def measure() -> list[dict[str, object]]:
    """One row for seconds and one for bytes, over all cases."""
    zygote = Zygote()
    zygote.start()
    cases: list[tuple[str, str, float, float, int, int]] = []
    try:
        for network, make in NETWORKS.items():
            for kind, said in zip(ASKED, analysed(zygote, make, ASKED), strict=True):
                assert said.quoted_seconds is not None
                assert said.quoted_bytes is not None
                assert said.peak_bytes is not None
                cases.append((network, kind, said.seconds, said.quoted_seconds, said.peak_bytes, said.quoted_bytes))
    finally:
        zygote.close()
    _shown(cases)
    logs = sorted(abs(math.log(taken / quoted)) for _, _, taken, quoted, _, _ in cases)
    ratios = sorted(quoted / taken for *_, taken, quoted in cases)
    within = sum(_near(taken, quoted) for *_, taken, quoted in cases)
    common = {
        "peer": None, "peer_value": None, "ratio": None, "floor_value": None, "floor_ratio": None, "runs": len(cases),
        "device": "cpu", "threads": 1, "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }  # fmt: skip
    what = f"{len(cases)} analyses ({len(ASKED)} kinds, {len(NETWORKS)} networks, {EXAMPLES} examples)"
    return [
        {
            "name": "attribution/quotes/seconds", "what": f"median |ln(taken / quoted)| of the seconds of {what}",
            "value": median(logs), "unit": "1", "spread": [logs[0], median(logs), logs[-1]], **common,
        },
        {
            "name": "attribution/quotes/bytes",
            "what": f"share of {what} whose bytes are within 25 % of the quote above 64 MiB, else within 16 MiB; the"
            " spread is that of quoted / taken",
            "value": within / len(cases), "unit": "share", "spread": [ratios[0], median(ratios), ratios[-1]], **common,
        },
    ]  # fmt: skip


def _near(taken: int, quoted: int) -> bool:
    return abs(quoted - taken) <= (_WIDE * taken if taken > _SMALL else _SLACK)


def _shown(cases: list[tuple[str, str, float, float, int, int]]) -> None:
    table = Table(title="Quoted and taken")
    for column in ("network", "kind", "s", "quoted", "MiB", "quoted", "near"):
        table.add_column(column)
    for network, kind, seconds, said, peak, quoted in cases:
        table.add_row(
            network, kind, f"{seconds:.2f}", f"{said:.2f}", f"{peak / MEBIBYTE:.0f}", f"{quoted / MEBIBYTE:.0f}",
            "yes" if _near(peak, quoted) else "no",
        )  # fmt: skip
    Console().print(table)
