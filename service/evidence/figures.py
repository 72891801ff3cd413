"""Is every figure that a verdict rests on the one that was measured? The twin's numbers against the measurements."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Point = Mapping[str, Any]
"""A measurement as a line of evidence/measurements has it."""


def figures_not_measured(controls: Sequence[Mapping[str, Any]], points: Mapping[str, Point]) -> Iterator[str]:
    """What differs between a twin's controls and the measurements (by id), a sentence each."""
    for control in controls:
        for place, requirement in enumerate(control["requirements"]):
            link = requirement["evidence"]
            if link is None or link["measurement"] is None:
                continue
            at = f"{control['id']}, requirement {place + 1}"
            point = points.get(link["measurement"])
            if point is None:
                yield f"{at}: the zip has no measurement {link['measurement']}"
            elif point["analysis_id"] != link["analysis"] or point["metric"] != requirement["word"]:
                yield f"{at}: the measurement named is another one's"
            elif link["added"]:
                yield from _total(at, requirement, link, points)
            else:
                yield from _one(at, requirement, link, point)


def _total(
    at: str, requirement: Mapping[str, Any], link: Mapping[str, Any], points: Mapping[str, Point]
) -> Iterator[str]:
    """A total is what its measurements add up to, n the analyses they are of, and the last of them the one named."""
    names = [each["measurement"] for each in link["added"]]
    missing = [name for name in names if name not in points]
    if missing:
        yield f"{at}: the zip has no measurement {missing[0]}, which the total counts"
        return
    counted = [points[name] for name in names]
    if len(set(names)) != len(names):
        yield f"{at}: the total counts a measurement twice"
    said = [(requirement["word"], each["analysis"]) for each in link["added"]]
    if [(point["metric"], point["analysis_id"]) for point in counted] != said:
        yield f"{at}: the total counts another metric's or another analysis's measurement"
    if names[-1] != link["measurement"] or link["measured"].get("value") != counted[-1]["value"]:
        yield f"{at}: the measurement named is not the latest of the total"
    total = math.fsum(point["value"] for point in counted)
    if requirement["value"].get("value") != total:
        yield f"{at}: the report shows {requirement['value'].get('value')}, and {total} is what was measured in all"
    if requirement["n"].get("value") != len({point["analysis_id"] for point in counted}):
        yield f"{at}: the total is of {len(counted)} measurements, and n is {requirement['n'].get('value')}"


def _one(at: str, requirement: Mapping[str, Any], link: Mapping[str, Any], point: Point) -> Iterator[str]:
    """A value, its interval and its n; of a difference or a ratio, what was measured before it was taken."""
    shown = link["measured"] if link["measured"]["type"] == "number" else requirement["value"]
    if shown.get("value") != point["value"]:
        yield f"{at}: the report shows {shown.get('value')}, and {point['value']} was measured"
    if link["measured"]["type"] != "number":
        for bound in ("low", "high"):
            if shown.get(bound) != point[bound]:
                yield f"{at}: the {bound} end of the interval is {shown.get(bound)}; {point[bound]} was measured"
    if requirement["n"].get("value") != point["n"]:
        yield f"{at}: n is {requirement['n'].get('value')} in the report and {point['n']} in the evidence"
