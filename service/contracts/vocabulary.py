"""What may be measured? Every metric kept in history, with its unit, direction and denominator."""

from dataclasses import dataclass
from typing import Literal

VERSION = 1
Direction = Literal["lower is better", "higher is better", "closer to zero is better", "no direction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One entry of the vocabulary. A name is never reused with another meaning."""

    name: str
    title: str
    unit: str
    direction: Direction
    denominator: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="layer_total",
            title="signed conductance of a layer",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum over a layer's units",
        ),
        Metric(
            name="layer_absolute_total",
            title="absolute conductance of a layer",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum of absolute values over a layer's units",
        ),
        Metric(
            name="completeness_error",
            title="completeness error at a cut layer",
            unit="share of the output's change",
            direction="lower is better",
            denominator="mean over examples of |sum of conductance - (F(x) - F(x'))| / max(|F(x) - F(x')|, floor)",
        ),
        Metric(
            name="captum_difference",
            title="largest difference from captum over the recomputed layers",
            unit="share of the layer's largest absolute attribution",
            direction="lower is better",
            denominator="largest over the seeded layers that captum can do",
        ),
        Metric(
            name="clean_accuracy",
            title="accuracy on the examples analysed",
            unit="share of examples",
            direction="higher is better",
            denominator="labelled examples analysed",
        ),
    )
}
