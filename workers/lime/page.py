"""What does the documentation say of a kind of LIME? Its formula is written by hand, the rest from the kind."""

from __future__ import annotations

from textwrap import dedent, fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.lime import controls
from workers.lime.measurements import METRIC_NAMES
from workers.lime.section import limits
from workers.lime.spec import Lime

_WIDE = 120
_SURROGATE = """
Samples are weighed by their distance d from the example, π = sqrt(exp(−d² / width²)); a ridge regression with those
weights is fitted for every target at once from one matrix of weighted moments in float64:

    min_w Σ π(z) (f(x_z) − w₀ − w·z)² + α |w|²

Features are chosen as in lime (`selection`); the surrogate is fitted again on those kept. It differs from lime 0.2.0.1
in that R² and the local prediction are each target's own, seeds fix everything, and its errors are told: standard
errors of what a run with other samples would give, R² on samples it was not fitted to, how stable the features and
coefficients are from run to run, and what other kernel widths would say.
"""
_CONTROLS = {
    controls.PLANTED: "the engine is asked about a sum of three features, with the example's own samples; it must find"
    " them, with their coefficients, and call them readable.",
    controls.NOISE: "the engine is asked about a rule of noise; the verdict must be that it is not locally linear.",
    controls.CONSTANT: "the engine is asked about a constant; the verdict must be that nothing changes.",
    controls.WHOLE: "the first sample is the example itself, and the network must say the same of both.",
    controls.AGAIN: "200 samples of an example run twice; the surrogates must be the same bit for bit.",
    controls.BLOCKS: "the same samples in blocks half as large: 1e-3 of the largest coefficient in float32, 1e-8 in"
    " float64, is all that rounding may move.",
}
_FINDINGS = (
    "`lime-differs`: the package lime gives other numbers for the same samples. Do not use them.",
    "`not-locally-linear`: a surrogate tells too little of what changes. Its weights must not be read.",
    "`nothing-changes`: the target is the same at every sample; there is nothing to explain.",
    "`unstable-ranking`: two runs would have less than half of the features kept in common.",
    "`ranking-not-settled`: with `settle`, the last feature kept and the first left out are not told apart at `most`.",
    "`samples-lost`: the network raises or gives no finite number at some samples, which are left out.",
    "`surrogate-doubtful`: something speaks against a surrogate; it is said what.",
    "`lime-chooses-otherwise`: lime keeps other features that fit as well: they are tied.",
    "`methods-disagree`: the attribution beside it names other features.",
)


def page(kind: Lime[Any]) -> str:
    """The Markdown of docs/kinds/NAME.md."""
    parts = [
        f"# {kind.title}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{kind.question}**"),
        "## The samples",
        dedent(kind.formula).strip("\n"),
        "## The surrogate",
        _SURROGATE.strip("\n"),
        "## Parameters",
        _parameters(kind),
        "## Outcome",
        *_outcome(kind),
        "## Measurements",
        _measurements(),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {_CONTROLS[which]}") for which in controls.RUNS),
        "## Findings",
        "\n".join(_item(each) for each in _FINDINGS),
        "## Limits",
        "\n".join(_item(each) for each in limits(kind)),
        "## Source",
        _wrapped(" ".join(dedent(kind.literature).split())),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters(kind: Lime[Any]) -> str:
    schema = kind.parameters.model_json_schema()["properties"]
    rows = [f"| `{name}` | {_default(each['default'])} | {each['description']} |" for name, each in schema.items()]
    return "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *rows])


def _default(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, list | tuple):
        return ", ".join(map(_default, value)) or "none"
    return f"{value}"


def _outcome(kind: Lime[Any]) -> list[str]:
    first = (
        f"For each example and target: the {kind.nouns} kept and the ten strongest others, each with its coefficient,"
        " standard error and 95 % interval, and its coefficient with all features; intercept; R² on the samples fitted"
        " to and on others; f(x) beside what the surrogate says; VSI, CSI and the overlap of two runs; the gap between"
        " the last kept and the first left out; other kernel widths; and a verdict with its reason: readable, doubtful,"
        " not locally linear, or nothing changes. An example without a surrogate is listed with the reason, and the"
        " others go on."
    )
    second = (
        f"Over the examples: the few that together show the most (SP-LIME), and each {kind.noun}'s mean coefficient and"
        " magnitude by target and class with bootstrap intervals, both where features mean the same in all examples;"
        " what lime says of what was drawn to be compared; attributions beside. Surrogates that may not be read are in"
        " neither."
    )
    third = (
        "Artifacts: `arrays.safetensors` with `coefficients/EXAMPLE`, `errors/EXAMPLE`, `whole/EXAMPLE` and"
        " `whole_errors/EXAMPLE`, (targets, features) each; a standard error that is not known is -1."
    )
    return [_wrapped(first), _wrapped(second), _wrapped(third)]


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
