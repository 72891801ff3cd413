"""Do the attributions of a layer add up to what the output changed by?

They must where the method says so and every path passes through the layer: Sundararajan, Taly and Yan,
arXiv:1703.01365, for inputs; Dhamdhere et al., arXiv:1805.12233, for layers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.sweep.completeness import Endpoints
from workers.sweep.completeness import completeness as gap
from workers.sweep.methods.unit_sums import UnitEnds


def completeness(
    signed: Mapping[str, Tensor], ends: Endpoints, *, tolerance: float, claimed: Collection[str]
) -> list[Check]:
    """One check for each tap of `signed`, the sums over its units (n,).

    claimed: the taps at which the method must be complete. tolerance: the largest mean error that passes, as a share of
    the output's change.
    """
    change = ends.difference.abs()
    scale = change.mean()
    checks = []
    for key, total in signed.items():
        if key not in claimed:
            reason = "the method makes no such claim here: paths pass the layer by, or it has no such axiom"
            checks.append(not_applicable("completeness", reason, key))
        elif not bool(scale > 0):
            reason = "the target is the same at the inputs as at the baselines"
            checks.append(not_applicable("completeness", reason, key))
        elif not bool(total.isfinite().all()):
            checks.append(not_applicable("completeness", "the attribution holds NaN or infinity", key))
        else:
            error = gap(total.to("cpu", torch.float64), ends).delta.abs() / scale
            checks.append(measured("completeness", error, key, threshold=tolerance))
    return checks


def unit_conductance(ends: UnitEnds, chosen: Sequence[tuple[int, ...]], *, tolerance: float) -> Check:
    """Whether what the inputs get for each unit of `chosen` adds up to that unit's own conductance; of the worst unit.

    tolerance: the largest mean error that passes, as a share of what flows through the unit.
    """
    if ends.unsummed:
        return not_applicable("unit_conductance", ends.unsummed)
    error = ends.error()
    known = [at for at in range(len(chosen)) if not bool(error[:, at].isnan().any())]
    if not known:
        return not_applicable("unit_conductance", "nothing flows through the chosen units")
    worst = max(known, key=lambda at: float(error[:, at].mean()))
    note = f"at unit {','.join(map(str, chosen[worst]))}, the worst of {len(known)}"
    return measured("unit_conductance", error[:, worst], threshold=tolerance, note=note)
