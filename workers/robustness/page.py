"""What does the documentation say of robustness?"""

from __future__ import annotations

from textwrap import dedent, fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.robustness import controls
from workers.robustness.honesty.checks import CHECKS
from workers.robustness.measurements import METRIC_NAMES
from workers.robustness.parameters import RobustnessParameters
from workers.robustness.section import LIMITS

_WIDE = 120
_ATTACKS = """
Each example has its own budget: it is tried at the largest epsilon that is not yet known to break it, what breaks it is
drawn in to all smaller ones, and it goes on below. One whole ladder of failing attacks therefore stands for all smaller
budgets, and a curve costs hardly more than its last point. The ladder: Auto-PGD on the cross-entropy from a random
point; on the ratio of logits (DLR); on the difference to each of the most promising classes, in lanes of which the
weaker are dropped; once more from what came nearest; and Square, which sees outputs alone. FGSM and plain PGD are run
beside it, for comparison with figures from elsewhere, and DDN or FMN seek the nearest adversarial (`minimum`). What any
of them breaks counts: robust accuracy is the worst case per example over all attacks.

A black box, and a network whose graph does not reach its input, is attacked by random changes, by the nearest of the
other examples that is answered otherwise, by Square from random starts and by HopSkipJump; it is told that gradients
may find far more.
"""
_UNITS = """
Pictures and videos are moved in raw units, preprocessing being inside the attack; series and tables in standard
deviations of each channel or feature, taken over the data in the role background or training where one is given, else
over the evaluation data. Bounds are those declared: data outside them are refused with the example, the place and the
value. Columns that never change stay as they are. Of several inputs the first of floating point is moved. Where the
model reads ids, the embedding of the first of them is moved, relative to the mean norm of a token's: a diagnosis of the
network, and no attack that anybody could make.

Without `epsilons`, pictures get (1, 2, 4, 8, 16, 32) / 255 of the declared range, or a quarter, a half, once and twice
the epsilon that the model's owner claims; series and tables 0.05 to 0.8 standard deviations; L2 as many times half of
the root of the number of elements.
"""
_GOALS = """
Classification: another class than the label; without labels, another than the network's own prediction, and shares are
then agreement. Policy: another action. Next token and seq2seq: another token. Regression and score: the output shifts
by more than `tolerance`, and the largest shift found is told for each budget. Reconstruction: the error of an anomaly
is brought below a quantile of the errors over the examples, or that of a usual example above it (`anomaly`).
Segmentation and sequence models have many predictions for an example, and are refused.
"""
_CONTROLS = {
    controls.LINEAR: "a linear rule is laid over the first examples, within their bounds, whose smallest perturbation"
    " is margin over dual norm; nothing may be broken 2 % below it, and everything must be 2 % above.",
    controls.CONSTANT: "a rule that gives the same everywhere; nothing may be broken.",
    controls.AGAIN: "the first examples are attacked twice; the adversarials must be the same bit for bit.",
}
_FINDINGS = (
    "`adversarials-not-confirmed`: a check that shares nothing with the attacks denies what is stored.",
    "`wrong-everywhere`: no example is right without an attack.",
    "`attack-check-failed`, `attack-check-warned`: a check of the attack itself speaks against it.",
    "`outputs-alone`: no gradient could be taken.",
    "`few-examples`: fewer than 30 examples.",
    "`diagnostic-only`: embeddings were moved.",
    "`weak-attack-misleads`: FGSM or PGD alone would overstate robustness.",
    "`rounding-repairs`: some adversarials do not survive being stored in 8 bits.",
)
_FOUND = """
For each budget the share of examples that hold (at most), with Wilson's interval, over all and by class; what FGSM and
PGD alone leave; the median smallest perturbation with an interval by order statistics, censored where examples hold at
every budget; what each attack cost and was the first to break; the examples broken by the least, as pictures, lines or
tables; the verdict of each check of the attack; and what an independent check says of the stored adversarials, and of
them after 8-bit rounding.
"""
_ARTIFACTS = (
    "Artifacts: `arrays.safetensors` with `clean`, `at` (the place of the smallest epsilon that breaks an example, the"
    " number of budgets where none does, -1 where it is not clean), `distance`, `by` and `before`, one for each"
    " example, and of the first adversarials, up to 32 MiB, `index`, `made` (raw units), `epsilon`, `after`,"
    " `prediction`, `value` and `label`, with `unit` and `free`; `nearest` (how far it has to be moved at most, -1:"
    " none found), `shift` of numbers."
)


def page(title: str, question: str, literature: str) -> str:
    """The Markdown of docs/kinds/robustness.md."""
    parts = [
        f"# {title}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{question}**"),
        "## The attacks",
        _ATTACKS.strip("\n"),
        "## Units and bounds",
        _UNITS.strip("\n"),
        "## Goals",
        _GOALS.strip("\n"),
        "## The checks of the attack",
        "\n".join(_item(f"**{name}**: {each.question} Expected: {each.expected}.") for name, each in CHECKS.items()),
        "## Parameters",
        _parameters(),
        "## Outcome",
        _FOUND.strip("\n"),
        _wrapped(_ARTIFACTS),
        "## Measurements",
        _measurements(),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {_CONTROLS[which]}") for which in controls.RUNS),
        "## Findings",
        "\n".join(_item(each) for each in _FINDINGS),
        "## Limits",
        "\n".join(_item(each) for each in LIMITS),
        "## Source",
        _wrapped(" ".join(dedent(literature).split())),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> str:
    schema = RobustnessParameters.model_json_schema()["properties"]
    rows = [f"| `{name}` | {_default(each['default'])} | {each['description']} |" for name, each in schema.items()]
    return "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *rows])


def _default(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, list | tuple):
        return ", ".join(map(_default, value)) or "none"
    return f"{value}"


def _measurements() -> str:
    rows = [
        f"| `{name}` | {METRICS[name].unit} | {METRICS[name].direction} | {METRICS[name].denominator} |"
        for name in METRIC_NAMES
    ]
    return "\n".join(["| metric | unit | direction | denominator |", "| --- | --- | --- | --- |", *rows])


def _wrapped(text: str) -> str:
    return fill(text, _WIDE, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return fill(f"- {text}", _WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
