"""Does a figure that is not the one measured stand out? Single values, and totals of several analyses."""

from typing import Any

import pytest

from service.evidence.figures import figures_not_measured

NOTHING = {"type": "blank", "because": "the value itself was measured"}


def number(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"type": "number", "value": value, "low": low, "high": high}


def point(name: str, value: float, *, n: int = 19, metric: str = "replay_mismatches") -> dict[str, Any]:
    ends = {"low": None, "high": None} if metric == "replay_mismatches" else {"low": value - 0.1, "high": value + 0.1}
    return {"id": name, "analysis_id": f"run of {name}", "metric": metric, "value": value, "n": n} | ends


def control(requirement: dict[str, Any], link: dict[str, Any], word: str = "replay_mismatches") -> list[dict[str, Any]]:
    return [{"id": "REP-01", "requirements": [{"word": word, **requirement, "evidence": link}]}]


def total(value: float, n: int, *names: str, latest: str | None = None, measured: float = 0.0) -> list[dict[str, Any]]:
    last = latest or names[-1]
    link = {
        "measurement": last,
        "analysis": f"run of {last}",
        "measured": number(measured),
        "added": [{"measurement": name, "analysis": f"run of {name}"} for name in names],
    }
    return control({"value": number(value), "n": number(n)}, link)


def single(value: float, low: float, high: float, n: int) -> list[dict[str, Any]]:
    link = {"measurement": "a", "analysis": "run of a", "measured": NOTHING, "added": []}
    return control({"value": number(value, low, high), "n": number(n)}, link, "clean_accuracy")


REPLAYS = {"a": point("a", 2), "b": point("b", 1), "c": point("c", 0)}
ACCURACY = {"a": point("a", 0.5, n=100, metric="clean_accuracy")}


def test_a_total_of_what_was_measured_holds() -> None:
    assert not list(figures_not_measured(total(3, 3, "a", "b", "c"), REPLAYS))


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        (total(2, 3, "a", "b", "c"), "the report shows 2, and 3.0 is what was measured in all"),
        (total(3, 19, "a", "b", "c"), "the total is of 3 measurements, and n is 19"),
        (total(3, 3, "a", "b", "c", "c"), "counts a measurement twice"),
        (total(0, 2, "d", "c"), "has no measurement d"),
        (total(3, 3, "b", "c", "a", latest="c"), "is not the latest"),
        (total(3, 3, "a", "b", "c", measured=1), "is not the latest"),
    ],
    ids=["value", "n", "twice", "missing", "another is named", "another value"],
)
def test_a_total_that_is_otherwise_is_told(controls: list[dict[str, Any]], said: str) -> None:
    found = list(figures_not_measured(controls, REPLAYS))

    assert any(each.startswith("REP-01, requirement 1: ") and said in each for each in found), found


def test_a_total_counts_no_measurement_of_another_metric() -> None:
    points = REPLAYS | {"b": point("b", 1, metric="clean_accuracy")}

    assert any("another metric's" in each for each in figures_not_measured(total(3, 3, "a", "b", "c"), points))


def test_a_value_is_held_against_its_measurement() -> None:
    assert not list(figures_not_measured(single(0.5, 0.4, 0.6, 100), ACCURACY))


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        (single(0.6, 0.4, 0.6, 100), "0.5 was measured"),
        (single(0.5, 0.45, 0.6, 100), "the low end"),
        (single(0.5, 0.4, 0.65, 100), "the high end"),
        (single(0.5, 0.4, 0.6, 1000), "n is 1000 in the report and 100 in the evidence"),
    ],
    ids=["value", "low", "high", "n"],
)
def test_a_value_that_is_otherwise_is_told(controls: list[dict[str, Any]], said: str) -> None:
    found = list(figures_not_measured(controls, ACCURACY))

    assert len(found) == 1
    assert said in found[0]
