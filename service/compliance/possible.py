"""Which values can a metric take at all? A threshold outside of them could never fail, or never be met."""

import math

from service.contracts.compliance import Requirement
from service.contracts.vocabulary import METRICS

INF = math.inf
COUNTED = frozenset(
    {
        *("analyses", "bytes and rows", "checks", "classes of attack", "examples", "exceptions", "layers", "numbers"),
        *("numbers and files", "pieces of evidence", "places", "rows", "thresholds", "yes or no"),
    }
)
"""Units of what is counted to the last one: no interval, and nothing below zero."""
_PARTS = frozenset(
    {
        *("share", "probability", "share of a layer's units", "share of adversarials", "share of examples"),
        *("share of samples", "share of slots", "share of surrogates", "share of the depth", "share of the text"),
        *("share of the features chosen", "share of the features compared", "share of the ideal gain"),
        *("share of the weight of all features", "yes or no"),
    }
)
_UNBOUNDED = frozenset({"output", "share of the output's change", "target output"})
_BY_UNIT = {"rank correlation": (-1.0, 1.0), "share of the absolute attribution": (-1.0, 1.0)}
_BY_UNIT["share of the variance"] = (-INF, 1.0)
_BY_NAME = {
    "accuracy_minus_declared": (-1.0, 1.0),
    "completeness_error": (0.0, INF),
    "corruption_drop": (-1.0, 1.0),
    "mean_absolute_error": (0.0, INF),
    "paired_accuracy_difference": (-1.0, 1.0),
    "root_mean_squared_error": (0.0, INF),
}


def values_of(metric: str) -> tuple[float, float]:
    """The lowest and highest value of a metric; infinite where nothing bounds it. Raises KeyError for no word."""
    unit = METRICS[metric].unit
    if metric in _BY_NAME:
        return _BY_NAME[metric]
    if unit in _PARTS:
        return 0.0, 1.0
    if unit in _UNBOUNDED:
        return -INF, INF
    return _BY_UNIT.get(unit, (0.0, INF))


def counted(metric: str) -> bool:
    """Whether a metric is a count, which has no interval."""
    return METRICS[metric].unit in COUNTED


def compared_values(requirement: Requirement) -> tuple[float, float]:
    """The lowest and highest value that a requirement compares with its threshold."""
    low, high = values_of(requirement.metric)
    if requirement.relative_to == "nothing":
        return low, high
    if requirement.relative_to == "baseline_ratio":
        return 0.0, INF
    return low - high, high - low


def decides_nothing(requirement: Requirement) -> str:
    """Why a comparison could only ever go one way; empty where both ways are open, or no threshold is set."""
    threshold = requirement.threshold
    if threshold is None:
        return ""
    low, high = compared_values(requirement)
    if METRICS[requirement.metric].unit == "yes or no" and threshold not in {0, 1}:
        return f"it is 0 or 1, and is compared with {threshold:g}"
    never = {
        "<=": threshold < low,
        "<": threshold <= low,
        ">=": threshold > high,
        ">": threshold >= high,
        "==": not low <= threshold <= high,
    }
    always = {"<=": threshold >= high, "<": threshold > high, ">=": threshold <= low, ">": threshold < low, "==": False}
    what = f"its values lie between {low:g} and {high:g}"
    if never[requirement.op]:
        return f"{requirement.op} {threshold:g} can never be met: {what}"
    if always[requirement.op]:
        return f"{requirement.op} {threshold:g} can never fail: {what}"
    return ""
