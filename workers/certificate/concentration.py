"""On how many units does an attribution rest?

Gini index: Hurley and Rickard, arXiv:0811.4706; as sparseness of attributions Chalasani et al., arXiv:1810.06583.
Effective number: exp of Shannon's entropy of the shares, Hill 1973.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.ranks import effective_units, gini


def concentration(attributions: Mapping[str, Tensor]) -> list[Check]:
    """Two checks for each tap: sparseness, and the effective number of units."""
    return [check for key, each in attributions.items() for check in _at(key, each)]


def _at(key: str, attribution: Tensor) -> list[Check]:
    units = attribution[0].numel()
    reason = ""
    if not bool(attribution.isfinite().all()):
        reason = "the attribution holds NaN or infinity"
    elif units < 2:
        reason = "one unit holds everything"
    elif not bool(attribution.any()):
        reason = "the attribution is zero everywhere"
    if reason:
        return [not_applicable(name, reason, key) for name in ("sparseness", "effective_units")]
    return [
        measured("sparseness", gini(attribution), key),
        measured("effective_units", effective_units(attribution), key, note=f"of {units} units"),
    ]
