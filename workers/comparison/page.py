"""What does the documentation say of comparisons?"""

from __future__ import annotations

from service.contracts.vocabulary import METRICS
from workers.comparison.outcome import CompareParameters
from workers.comparison.section import LIMITS, METRIC_NAMES, QUESTION, SOURCE, TITLE

_HOW = """
Two earlier analyses fill the roles `before` and `after` (`"inputs": {"before": {"analysis": ID}, ...}`). They must be
of one kind and version, with the same parameters; attributions must also be of the same data. The audit's model is the
later version.

| of | number | how |
| --- | --- | --- |
| attributions | nDCG of layers within an example | gain: the earlier absolute attribution; rank: the later one's |
| attributions | nDCG of units within a layer | the same, of means over examples; units are matched by place |
| accuracy | difference in pairs | Agresti and Min's interval, McNemar's exact test |
| accuracy | difference of log loss in pairs | bootstrap |
| accuracy | shift of each class's probability | PSI over (1/n + 1/m) chi2(B - 1), at 99 % for all scores together |
"""
_CONTROLS = {
    "a ranking against itself": "the earlier analysis compared with itself keeps every ranking, and nothing moves.",
}

_OUTCOME = (
    "What is kept of every ranking, what was gained and lost in pairs, how far each score moved; layers and scores that"
    " cannot be compared, each with its reason."
)


def page() -> str:
    """The page as Markdown."""
    fields = CompareParameters.model_fields.items()
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
        "\n".join(f"- **{name}**: {said}" for name, said in _CONTROLS.items()),
        "## Limits",
        "\n".join(f"- {each}" for each in LIMITS),
        "## Source",
        f"{SOURCE}.",
    ]
    return "\n\n".join(lines) + "\n"
