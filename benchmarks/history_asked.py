"""What is asked of a history of a million points? Each question by lot, its answer checked to be the whole one."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

MODELS, VERSIONS, LAYERS = 20, 100, 50
METRICS = (
    *("layer_absolute_total", "completeness_error", "parameter_randomisation", "deletion_gain", "insertion_gain"),
    *("infidelity_share", "max_sensitivity", "method_agreement", "baseline_ranks", "seed_ranks"),
)
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
BASELINE_VERSION = VERSIONS // 2
PAGE, SERIES_PAGE, SHOWN = 100, 50, 100
Params = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A kind of request: where it goes, what one of them asks (drawn by lot), and how many items answer it."""

    name: str
    path: str
    what: str
    asked: Callable[[httpx.Client, random.Random], Params]
    items: int

    def check(self, asked: Mapping[str, str], content: bytes) -> None:
        """Raises RuntimeError where the answer is not the one that is measured."""
        found = len(json.loads(content)["items"])
        if found != self.items:
            raise RuntimeError(f"{self.path} {dict(asked)} gave {found} items, so this measures something else")


def a_model(lots: random.Random) -> str:
    """The name of a model."""
    return f"model {lots.randrange(MODELS)}"


def _page(client: httpx.Client, lots: random.Random) -> Params:
    """What one page of points asks; a cursor or a line is found by a request that is not timed."""
    asked = {"model_name": a_model(lots), "metric": lots.choice(METRICS), "limit": str(PAGE)}
    shape = lots.randrange(4)
    if shape == 2:
        return {**asked, "layer": f"features.{lots.randrange(LAYERS)}.conv"}
    if shape in (1, 3):
        until = DAY_ONE + timedelta(days=lots.randrange(20, VERSIONS))
        further = {**asked, "until": until.isoformat().replace("+00:00", "Z")} if shape == 1 else asked
        page = client.get("/v1/measurements", params=further).raise_for_status().json()
        if shape == 3:
            return {"series_key": page["items"][0]["series_key"], "limit": str(PAGE)}
        return {**further, "cursor": page["next"]}
    return asked


def _series(client: httpx.Client, lots: random.Random) -> Params:
    asked = {"model_name": a_model(lots), "limit": str(SERIES_PAGE)}
    if lots.randrange(2):
        return {**asked, "metric": lots.choice(METRICS)}
    page = client.get("/v1/history/series", params=asked).raise_for_status().json()
    return {**asked, "cursor": page["next"]}


def _buckets(client: httpx.Client, lots: random.Random) -> Params:
    asked = {"model_name": a_model(lots), "metric": lots.choice(METRICS), "limit": "1"}
    page = client.get("/v1/measurements", params=asked).raise_for_status().json()
    return {"series_key": page["items"][0]["series_key"], "by": "day", "zone": "Europe/Berlin"}


def _rollup(_: httpx.Client, lots: random.Random) -> Params:
    asked = {"model_name": a_model(lots), "metric": lots.choice(METRICS)}
    return {**asked, "model_version": str(lots.randrange(VERSIONS))} if lots.randrange(2) else asked


def _compare(client: httpx.Client, lots: random.Random) -> Params:
    return {**_compare_all(client, lots), "metric": lots.choice(METRICS)}


def _compare_all(_: httpx.Client, lots: random.Random) -> Params:
    before, after = lots.sample(range(VERSIONS), 2)
    return {"model_name": a_model(lots), "from_version": str(before), "to_version": str(after)}


def _regressions(client: httpx.Client, lots: random.Random) -> Params:
    return {**_regressions_all(client, lots), "metric": lots.choice(METRICS)}


def _regressions_all(_: httpx.Client, lots: random.Random) -> Params:
    asked = {"model_name": a_model(lots)}
    return {**asked, "version": str(lots.randrange(VERSIONS))} if lots.randrange(2) else asked


QUESTIONS = (
    Question(
        name="page",
        path="/v1/measurements",
        what="100 points: by model and metric, further back by cursor, by layer, by line, in equal shares",
        asked=_page,
        items=PAGE,
    ),
    Question(
        name="series",
        path="/v1/history/series",
        what="50 lines of a model: of a metric, or further on by cursor",
        asked=_series,
        items=SERIES_PAGE,
    ),
    Question(
        name="buckets",
        path="/v1/history/buckets",
        what="the 100 points of a line in days of a zone",
        asked=_buckets,
        items=VERSIONS,
    ),
    Question(
        name="rollup",
        path="/v1/history/rollup",
        what="the latest of the 50 lines of a metric, of a model or of a version",
        asked=_rollup,
        items=LAYERS,
    ),
    Question(
        name="compare",
        path="/v1/history/compare",
        what="two versions, the 50 lines of a metric",
        asked=_compare,
        items=LAYERS,
    ),
    Question(
        name="compare-all",
        path="/v1/history/compare",
        what="two versions, all 500 lines, the 100 worst shown",
        asked=_compare_all,
        items=SHOWN,
    ),
    Question(
        name="regressions",
        path="/v1/history/regressions",
        what="a version against the approved baseline, the 50 lines of a metric",
        asked=_regressions,
        items=LAYERS,
    ),
    Question(
        name="regressions-all",
        path="/v1/history/regressions",
        what="a version against the approved baseline, all 500 lines, the 100 worst shown",
        asked=_regressions_all,
        items=SHOWN,
    ),
)
