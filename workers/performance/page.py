"""What does the documentation say of accuracy? Formulas are written by hand, the rest comes from the kind."""

from __future__ import annotations

from service.contracts.vocabulary import METRICS
from workers.performance import controls
from workers.performance.outcome import AccuracyParameters
from workers.performance.section import LIMITS, METRIC_NAMES, QUESTION, SOURCE, TITLE

_HOW = """
One forward pass over the labelled examples gives probabilities (the softmax of logits, or what the model gives where
it gives probabilities, which must add up to 1). What is predicted is the first of the most probable classes.

| number | formula | interval |
| --- | --- | --- |
| accuracy, also of each class | right / n | Wilson |
| balanced accuracy | mean over classes with examples of their accuracy | bootstrap within classes |
| log loss | mean of -ln p(label), p at least 1e-12 | bootstrap |
| Brier score | mean of the sum over classes of (p - [class is label])^2 | bootstrap |
| calibration error | sum over bins of n_bin / n * abs(accuracy - mean p), bins of equal mass | basic bootstrap |

Draws come from the analysis' digest, so a replay has the same bounds.
"""
_OUTCOME = (
    "Accuracy, balanced accuracy, log loss, Brier score and calibration error, each with its interval and n; accuracy"
    " and count of each class; how often it is right in bins of like probability; what was taken for what. Kept for"
    " each example: `label`, `predicted`, `probability_of_label`, `probability` (n, classes) and `content`, the digest"
    " of its raw inputs by which two analyses are paired."
)


def page() -> str:
    """The page as Markdown."""
    fields = AccuracyParameters.model_fields.items()
    lines = [
        f"# {TITLE}",
        QUESTION,
        "## How",
        _HOW.strip(),
        "## Parameters",
        "| name | default | what |\n| --- | --- | --- |\n"
        + "\n".join(f"| `{name}` | `{field.default}` | {field.description} |" for name, field in fields),
        "## Outcome",
        _OUTCOME,
        "## Measurements",
        "| metric | unit | direction | over |\n| --- | --- | --- | --- |\n"
        + "\n".join(
            f"| `{name}` | {METRICS[name].unit} | {METRICS[name].direction} | {METRICS[name].denominator} |"
            for name in METRIC_NAMES
        ),
        "## Controls",
        "\n".join(f"- **{name}**: {question}" for name, question in (controls.LABELS, controls.CONSTANT)),
        "## Limits",
        "\n".join(f"- {each}" for each in LIMITS),
        "## Source",
        f"{SOURCE}.",
    ]
    return "\n\n".join(lines) + "\n"
