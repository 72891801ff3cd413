"""What do requests and answers about history look like? Baselines, lines, buckets, comparisons."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.contracts.base import Digest, Integer, Name, Text, Value

BaselineState = Literal["current", "replaced"]


class BaselineSubmission(Value):
    """Approve an audit as what later measurements of a model are compared with."""

    model_name: Name = Field(description="Name of the model, all versions.")
    audit: UUID = Field(description="Id of an audit of a version of it, finished, with measurements.")
    reason: Annotated[Text, Field(min_length=1)] = Field(description="Why this audit: what was looked at, and by whom.")


class BaselineView(Value):
    """An approved baseline."""

    id: UUID
    model_name: str
    model_version: str
    audit: UUID
    audit_title: str
    reason: str
    state: BaselineState
    approved_by: UUID
    approved_by_name: str
    approved_at: datetime
    replaced_at: datetime | None


By = Literal["day", "week", "month"]
Over = Literal["line", "layer", "class"]
How = Literal["newcombe", "intervals", "numbers"]
VerdictWord = Literal["improved", "worse", "no_difference_shown", "not_comparable"]


class PointBrief(Value):
    """One point of a line: the value with its interval (95 %) and n, of which version, measured when and where."""

    model_version: str
    value: float
    low: float | None
    high: float | None
    n: Integer
    at: datetime
    audit: UUID
    analysis: UUID
    dataset_digest: Digest | None


class LineView(Value):
    """What a line is of: everything that its points share."""

    series_key: Digest
    kind: str
    kind_version: Integer
    metric: str
    unit: str
    direction: str
    layer: str | None
    class_name: str | None
    target: str | None
    epsilon: float | None
    facets: dict[str, str]
    dataset_name: str | None
    dataset_role: str | None
    parameters_digest: Digest


class SeriesView(LineView):
    """A line from its first point to its last."""

    first_at: datetime
    last_at: datetime
    count: Integer = Field(description="How many points it has.")
    last: PointBrief


class BucketView(Value):
    """What a line did in one day, week or month."""

    label: str = Field(description="2026-03-29, 2026-W13 or 2026-03.")
    start: datetime = Field(description="Its first moment.")
    end: datetime = Field(description="The first moment after it.")
    count: Integer
    first: PointBrief
    last: PointBrief
    min: float
    median: float
    max: float
    versions: tuple[str, ...] = Field(description="Model versions that begin in it, in order of time.")
    dataset_changes: Integer = Field(description="Points whose data differ from those of the point before.")


class Buckets(Value):
    """A line in buckets; those without points are left out."""

    line: LineView
    by: By
    zone: str
    tzdata: str = Field(description="Edition of the zone database that set the borders.")
    points: Integer
    items: tuple[BucketView, ...]


class RollupItem(LineView):
    """The latest point of a line; of a layer or class, of the worst of its lines."""

    lines: Integer = Field(description="How many lines this stands for.")
    last: PointBrief


class Rollup(Value):
    """The latest of every line of a metric, worst first where the metric has a direction; else largest first."""

    model_name: str
    metric: str
    over: Over
    lines: Integer
    items: tuple[RollupItem, ...]
    not_shown: Integer = Field(description="Items past the limit.")


class LineDifference(LineView):
    """One line of two versions, or of baseline and version.

    `p` is two-sided. The interval is of this line alone; the verdict takes all lines tested into account (Holm).
    """

    before: PointBrief | None
    after: PointBrief | None
    difference: float | None = Field(
        description="After less before; of a metric that should be close to zero, of its distance from zero."
    )
    low: float | None
    high: float | None
    how: How | None = Field(description="What the difference rests on; numbers: nothing is known of chance.")
    p: float | None
    p_holm: float | None = Field(description="Adjusted so that one wrong answer or more among all is rare.")
    p_bh: float | None = Field(description="Adjusted so that few of the answers are wrong (Benjamini-Hochberg).")
    verdict: VerdictWord
    because: str


class Counts(Value):
    """How many lines got each verdict; those without intervals apart."""

    improved: Integer
    worse: Integer
    improved_as_numbers: Integer
    worse_as_numbers: Integer
    no_difference_shown: Integer
    not_comparable: Integer


class Comparison(Value):
    """Every line of two versions of a model: the worse first, then what improved, then the rest."""

    model_name: str
    from_version: str
    to_version: str
    level: float = Field(description="Bound on the chance of one wrong verdict or more among the lines tested.")
    lines: Integer = Field(description="All lines that were looked at.")
    tested: Integer = Field(description="Those with a probability: the family that Holm's adjustment is over.")
    counts: Counts
    said: str
    items: tuple[LineDifference, ...]
    not_shown: Integer = Field(description="Items past the limit.")


class Regressions(Value):
    """Every line of a version beside the approved baseline."""

    model_name: str
    baseline: UUID | None = Field(description="Id of the baseline that counts; null: none is approved.")
    baseline_audit: UUID | None
    baseline_version: str | None
    version: str | None = Field(description="The version that was looked at; null: none was measured.")
    level: float
    lines: Integer
    tested: Integer
    counts: Counts
    said: str
    items: tuple[LineDifference, ...]
    not_shown: Integer
