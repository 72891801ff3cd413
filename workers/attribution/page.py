"""What does the documentation say of a kind of attribution? Its formula is written by hand, the rest from the kind."""

from __future__ import annotations

from textwrap import dedent, fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.attribution import controls, measurements, section
from workers.attribution.parameters import AttributionParameters, Complete, FromBaseline
from workers.attribution.spec import Attribution

_WIDE = 120
_CONTROLS = {
    controls.SIDE: "a branch that nothing reads is added and attributed to like any layer; it must be seen to be off"
    " the path and get exactly 0.",
    controls.UNREAD: "one more input is added that nothing reads; it must be seen to be off the path and get exactly"
    " 0.",
    controls.ZERO: "each example as its own baseline; everything must get exactly 0.",
    controls.CHUNKS: "the first examples once more, in chunks of one: 1e-3 of the largest attribution in float32, 1e-8"
    " in float64, is all that rounding may move.",
    controls.DOUBLED: "the completeness error of four examples must not grow by more than a tenth, unless it is within"
    " `tolerance`, within rounding, or the growth is no larger than the spread over examples explains.",
}


def page(kind: Attribution[AttributionParameters]) -> str:
    """The Markdown of docs/kinds/NAME.md."""
    parts = [
        f"# {kind.title}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{kind.question}**"),
        "## The formula",
        dedent(kind.formula).strip("\n"),
        "## Parameters",
        _parameters(kind),
        "## Outcome",
        *_outcome(kind),
        "## Measurements",
        _measurements(kind),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {_CONTROLS[which]}") for which in controls.names(kind)),  # type: ignore[arg-type] # it asks only for what all have
        "## Certificate",
        _certificate(kind),
        "## Findings",
        "\n".join(_item(each) for each in _findings(kind)),
        "## Limits",
        "\n".join(_item(each) for each in section.limits(kind)),
        "## Source",
        _wrapped(" ".join(dedent(kind.literature).split())),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters(kind: Attribution[AttributionParameters]) -> str:
    schema = kind.parameters.model_json_schema()["properties"]
    rows = [f"| `{name}` | {_default(each['default'])} | {each['description']} |" for name, each in schema.items()]
    return "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *rows])


def _default(value: Any) -> str:
    return "all" if value == [] else f"`{value}`" if isinstance(value, str) else f"{value}"


def _outcome(kind: Attribution[AttributionParameters]) -> list[str]:
    noun = kind.places.removesuffix("s")
    complete = (
        " the completeness error where the method must add up, the share of the output's change that goes through it,"
        if issubclass(kind.parameters, Complete)
        else ""
    )
    first = (
        f"For each {noun}: the signed and the absolute sum of its units' {kind.noun}s (mean over examples; 95 %"
        f" intervals by the Poisson bootstrap over examples, Student's t of few), the same by class where examples are"
        f" labelled,{complete} how far its units agree, over how many units it is spread (first 16 examples), and its"
        " five strongest units, for each class three, with the mean and the mean magnitude of each (bootstrap where"
        " 8 MiB hold the replicates, the smallest first; else Student's t). For the analysis: what captum says of what"
        " was drawn to be compared, accuracy on the"
        f" labelled examples, and the certificate. A {noun} that gets no number is listed with the reason."
    )
    second = (
        f"Artifacts: `arrays.safetensors` with `signed/{noun.upper()}` and `absolute/{noun.upper()}` per example,"
        f" `output` and `baseline_output` per example, `unit_mean/{noun.upper()}` and"
        f" `unit_absolute_mean/{noun.upper()}`, and `map/{noun.upper()}` of the first six examples where the input is a"
        " picture, a text or a series; for pictures `layers.png`, for texts and series a map in the report."
    )
    return [_wrapped(first), _wrapped(second)]


def _measurements(kind: Attribution[AttributionParameters]) -> str:
    rows = [
        f"| `{name}` | {_cell(METRICS[name].unit)} | {METRICS[name].direction} | {_cell(METRICS[name].denominator)} |"
        for name in measurements.metrics(kind)
    ]
    return "\n".join(["| metric | unit | direction | denominator |", "| --- | --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("|", "\\|")


def _certificate(kind: Attribution[AttributionParameters]) -> str:
    what = "all checks of" if kind.places == "inputs" else "the checks of layers in"
    return _wrapped(
        f"`certificate` runs {what} [the certificate](../certificate.md) on the first `certificate_examples` examples;"
        " quick takes fewer draws and stages than full, and up to 8 places evenly over depth instead of 64. Where a"
        " necessary check fails the answer begins with it and the report says that the numbers are not usable."
    )


def _findings(kind: Attribution[AttributionParameters]) -> list[str]:
    made = [
        "`not-usable-in-a-report`: a necessary check of the certificate failed; `not-certified`: none could be made.",
        "`captum-disagrees`: captum gives other numbers. Do not use them.",
    ]
    if issubclass(kind.parameters, Complete):
        made.append("`completeness-not-met`: attributions miss the output's change by more than `tolerance`.")
    if issubclass(kind.parameters, FromBaseline):
        made.append("`output-does-not-change`: there is no change to attribute. Another baseline.")
    return made


def _wrapped(text: str) -> str:
    return fill(text, _WIDE, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return fill(f"- {text}", _WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
