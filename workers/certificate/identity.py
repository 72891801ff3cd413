"""Is an attribution that is presented for this model this model's?

Nothing else can tell an attribution of another network, or one whose units or examples were mixed up, from a poor one
of this network: it is made again and compared.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.certificate.checks import Check, judged, measured, not_applicable
from workers.certificate.ranks import correlation, obstacle
from workers.numerics.intervals import Interval
from workers.sweep.method import Explain
from workers.sweep.ready import Prepared

_TOLERANCE = {torch.float64: 1e-6}
_COARSE = 1e-3


def same_model(
    presented: Mapping[str, Tensor], explain: Explain, ready: Prepared, *, tolerance: float | None = None
) -> list[Check]:
    """Two checks for each tap presented: the largest difference from what `explain` gives, and the ranking.

    tolerance: the largest difference that passes, where the method's own draws may move it. A tap that the model does
    not have, or has in another shape, fails.
    """
    made = explain(ready)
    return [check for key, each in presented.items() for check in _compared(key, each, made.get(key), tolerance)]


def _compared(key: str, ours: Tensor, made: Tensor | None, tolerance: float | None) -> list[Check]:
    if made is None or made.shape != ours.shape:
        what = "nothing" if made is None else f"shape {tuple(made.shape)}"
        note = f"the model gives {what} there and shape {tuple(ours.shape)} is presented"
        return [
            judged("identity", Interval(1.0, None, None, len(ours), 0.95, "largest"), key, note=note),
            not_applicable("identity_ranks", note, key),
        ]
    if not bool(ours.isfinite().all()) or not bool(made.isfinite().all()):
        return [
            not_applicable(name, "the attribution holds NaN or infinity", key)
            for name in ("identity", "identity_ranks")
        ]
    one, other = (each.detach().flatten(1).to("cpu", torch.float64) for each in (ours, made))
    scale = torch.maximum(one.abs().amax(1), other.abs().amax(1))
    gap = (one - other).abs().amax(1)
    largest = float(torch.where(scale > 0, gap / scale.where(scale > 0, torch.ones_like(scale)), 0.0).max())
    limit = _TOLERANCE.get(ours.dtype, _COARSE) if tolerance is None else tolerance
    difference = judged("identity", Interval(largest, None, None, len(ours), 0.95, "largest"), key, threshold=limit)
    reason = obstacle(ours) or obstacle(made)
    if reason:
        return [difference, not_applicable("identity_ranks", reason, key)]
    return [difference, measured("identity_ranks", correlation(ours, made), key)]
