"""What does the documentation say of corruptions? Formulas are written by hand, the rest comes from the kind."""

from __future__ import annotations

from textwrap import dedent, fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.corruption import controls
from workers.corruption.cells import TABLE
from workers.corruption.measurements import METRIC_NAMES
from workers.corruption.of_images import IMAGE
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.section import LIMITS, QUESTION, TITLE
from workers.corruption.series import SERIES
from workers.corruption.spec import Corruption
from workers.corruption.words import TEXT

_WIDE = 120
_HOW = """
Every example is corrupted on its own, with draws that hang on the analysis, the corruption and the example's number:
not on the batch, and not on the severity, so that a higher severity is the same draw, stronger. Images are corrupted
between their declared bounds (0 to 1 below), series in standard deviations of their channels over the steps that are
no padding, texts by words and read again by the model's own tokenizer, tables by columns. What comes out lies within
the declared bounds, or as far beyond as the example itself does. Lengths in images are shares of the shorter side, or
of 32 pixels where it is shorter.
"""
_READ = """
| task | what is read |
| --- | --- |
| classes and labels | accuracy: whether the answer is right |
| classes without labels, actions, next tokens | agreement: whether the answer is still the clean one |
| segmentation, sequences | agreement: the share of places that keep their clean class |
| regression, scores, generation | mean absolute shift of the output, in its unit |
| reconstruction | mean squared error against the input that was given, in the units that the network reads |
"""
_CONTROLS = {
    controls.IDENTITY: "severity 0 of every corruption goes through scaling, layout and tokenizer, and must give the"
    " clean answers.",
    controls.THRESHOLD: "grey pictures in twenty equal steps and a rule that calls a picture bright above half: after"
    " brightening by 0.1 two more are wrong, and so on.",
    controls.CONSTANT: "a network that gives its clean answer whatever it reads keeps the clean value.",
    controls.ALONE: "examples corrupted one by one and together are the same bit for bit.",
}
_FINDINGS = (
    "`not-finite`: the model gives NaN or infinity for a corrupted input.",
    "`worse-than-chance`: clean accuracy is nothing or below guessing; the declaration does not fit.",
    "`corruption-harms`: a corruption costs more than `alarm` over its severities, beyond its interval.",
    "`few-examples`: fewer than 30.",
    "`no-labels`: answers are held against the model's own.",
    "`without-effect`: a corruption changes nothing in these data.",
)
_OUTCOME = (
    (
        "For each corruption and severity: the value with its interval (Wilson for shares), the drop against clean,"
        " paired by example, with its interval (Agresti and Min for shares), how far corrupted examples are from clean"
        " ones, and how many did not change. Means over severities, over groups and over all, the worst, and each class"
        " under the worst. A sheet of one picture, or a table of one text, under each corruption."
    ),
    (
        "Artifacts: `arrays.safetensors` with `value/KIND` and `distance/KIND` (severities, examples), `finite/KIND`,"
        " and `value/clean`, `finite/clean` (examples). A number that is not known is -1."
    ),
)
_LITERATURE = """Hendrycks and Dietterich: *Benchmarking neural network robustness to common corruptions and
perturbations*, arXiv:1903.12261. Fog: Fournier, Fussell and Carpenter 1982, Communications of the ACM 25:371. Paired
shares: Agresti and Min 2005, Statistics in Medicine 24:729; means of shares: Agresti and Coull 1998, The American
Statistician 52:119."""


def page() -> str:
    """The Markdown of docs/kinds/corruption.md."""
    parts = [
        f"# {TITLE}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{QUESTION}**"),
        "## How inputs are corrupted",
        _HOW.strip("\n"),
        *[part for name, kinds in _KINDS.items() for part in (f"### {name}", _strengths(kinds))],
        "## What is read",
        _READ.strip("\n"),
        "## Parameters",
        _parameters(),
        "## Outcome",
        *map(_wrapped, _OUTCOME),
        "## Measurements",
        _measurements(),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {_CONTROLS[which]}") for which in controls.RUNS),
        "## Findings",
        "\n".join(_item(each) for each in _FINDINGS),
        "## Limits",
        "\n".join(_item(each) for each in LIMITS),
        "## Source",
        _wrapped(" ".join(dedent(_LITERATURE).split())),
    ]
    return "\n\n".join(parts) + "\n"


_KINDS: dict[str, tuple[Corruption, ...]] = {"Images": IMAGE, "Series": SERIES, "Texts": TEXT, "Tables": TABLE}


def _strengths(kinds: tuple[Corruption, ...]) -> str:
    rows = [
        f"| `{each.name}` | {each.group} | {each.strength} | {', '.join(f'{one:.3g}' for one in each.strengths)} |"
        for each in kinds
    ]
    return "\n".join(["| corruption | group | strength | at severities 1 to 5 |", "| --- | --- | --- | --- |", *rows])


def _parameters() -> str:
    schema = CorruptionParameters.model_json_schema()["properties"]
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
