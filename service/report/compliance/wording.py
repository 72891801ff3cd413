"""How do the values of an assessment read? Closed words into plain ones, numbers into numbers with a display."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from service.contracts.compliance import Basis, Comparator, Rule, Status
from service.contracts.section import Blank, Cell, Number, Word, exact
from service.contracts.vocabulary import METRICS
from service.report.twin import MONTHS, Moment, moment
from service.report.wording import clipped

STATUS = {
    Status.MET: "met",
    Status.NOT_MET: "not met",
    Status.STALE: "stale",
    Status.INSUFFICIENT: "insufficient evidence",
    Status.NOT_APPLICABLE: "not applicable",
}
WORST_FIRST = (Status.NOT_MET, Status.STALE, Status.INSUFFICIENT, Status.MET, Status.NOT_APPLICABLE)
OPERATORS: dict[Comparator, str] = {"<=": "\u2264", ">=": "\u2265", "==": "=", "<": "<", ">": ">"}
RULES: dict[Rule, str] = {
    "ci": "the whole interval on the good side",
    "point": "the value itself",
    "exact": "exactly this value",
}
BASES: dict[Basis, str] = {
    "D": "deterministic",
    "S": "statistical: follows from a null or an interval",
    "P": "published convention",
    "O": "set by the organisation, or our neutral default",
    "A": "attested by a named person",
}
RELATIVE = {
    "nothing": "",
    "declared": "minus the declared level",
    "baseline": "minus the approved baseline",
    "baseline_ratio": "divided by the approved baseline",
}
DAY = timedelta(days=1).total_seconds()
HOUR = timedelta(hours=1).total_seconds()


def counted(value: int) -> Number:
    """A number of things."""
    return Number(value=value, count=True)


def counted_or(value: int | None, because: str) -> Number | Blank:
    """A number of things, or why there is none."""
    return Blank(because=because) if value is None else counted(value)


def chosen(value: float) -> Number:
    """A number that somebody chose, with no digit more than they wrote."""
    digits = next((digits for digits in range(1, 12) if float(f"{value:.{digits}g}") == value), 12)
    return Number(value=value, digits=digits)


def estimate(
    value: float, low: float | None = None, high: float | None = None, n: int | None = None, *, metric: str = ""
) -> Number:
    """A measured value, its interval where both ends are known; whole numbers of checks or rows read as counts."""
    both = low is not None and high is not None
    unit = METRICS[metric].unit if metric in METRICS else ""
    whole = not both and float(value).is_integer() and abs(value) < 2**53 and not unit.startswith(("share", "rank"))
    return Number(
        value=value,
        count=whole,
        low=low if both else None,
        high=high if both else None,
        n=n or None,
        unit=clipped(unit, 64),
    )


def estimate_or(
    value: float | None, because: str, *, low: float | None = None, high: float | None = None, metric: str = ""
) -> Number | Blank:
    """A measured value, or why there is none."""
    return Blank(because=because) if value is None else estimate(value, low, high, metric=metric)


def when_or(at: datetime | None, because: str) -> Moment | Blank:
    """A time, or why there is none."""
    return Blank(because=because) if at is None else moment(at)


def word_or(text: str | None, because: str) -> Cell:
    """A text, or why there is none."""
    return Word(value=clipped(text)) if text else Blank(because=because)


def days(seconds: float) -> Number:
    """A duration in days."""
    return Number(value=round(seconds / DAY, 2), unit="days")


def title_of(metric: str) -> str:
    """What a metric is called; a word that the vocabulary lacks is shown as it is."""
    return clipped(METRICS[metric].title if metric in METRICS else metric.replace("_", " "), 128)


def direction_of(metric: str) -> str:
    """Which way a metric is better."""
    return METRICS[metric].direction if metric in METRICS else "no direction"


def demand(operator: Comparator, threshold: float | None) -> str:
    """Operator and threshold as people write them."""
    return "no threshold set" if threshold is None else f"{OPERATORS[operator]} {exact(threshold)}"


def local_window(start: datetime, end: datetime, zone: str) -> str:
    """A window as the clocks of a zone show it. Raises ZoneInfoNotFoundError for a zone that nobody knows."""
    place = ZoneInfo(zone)
    return f"from {_local(start, place)} until before {_local(end, place)} ({zone})"


def _local(at: datetime, place: ZoneInfo) -> str:
    there = at.astimezone(place)
    return f"{there.day} {MONTHS[there.month - 1]} {there.year}, {there:%H:%M}"


def date(at: datetime) -> str:
    """A day in words, in UTC."""
    shown = moment(at).at
    return f"{shown.day} {MONTHS[shown.month - 1]} {shown.year}"


def listed(names: list[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def plural(count: int, one: str, more: str = "") -> str:
    """`1 control`, `3 controls`."""
    return f"{exact(count)} {one if count == 1 else more or one + 's'}"


def short(text: str) -> str:
    """As much as a short line of the twin takes."""
    return clipped(text, 256)


def name(text: str) -> str:
    """As much as a name takes."""
    return clipped(text, 128)


def long(text: str) -> str:
    """As much as a paragraph takes."""
    return clipped(text, 4000)
