"""What does the documentation say of where an attack lands? Formulas by hand, the rest from the kind."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.robustness.layers import controls, section
from workers.robustness.layers.measurements import METRIC_NAMES
from workers.robustness.layers.parameters import RobustnessLayersParameters

_WIDE = 120
_METHOD = """
One attack runs on the input (Auto-PGD on several losses, at one epsilon). Each example that it breaks goes on with
its adversarial x' and with random changes of the same L2 norm within the same bounds. In every layer:

    r_l = |h_l(x') - h_l(x)| / |h_l(x)|        ratio_l = r_l(adversarial) / mean over draws of r_l(random)

The ratio is what is the attack's own: every network grows every change. The gain is r_l over that of the last layer
that leads to it, or over the input's. Attributions are gradient x activation of the right class; told is whether they
rank the units of the layer at x' as they do at x, beside one random change.

A latent attack moves a layer's output by at most rho |h_l(x)|, in L2, and runs the network from there on. The smallest
rho that breaks each example is found by the frontier of the attack engine, from the largest budget down, each climb
from where the last one broke it, and then again just below what was found. rho_50 is the budget at which half of the
examples that are right are broken; an example that holds at the largest counts as above it.

Linear probes are ridge regressions onto the classes, cross-fitted in five folds on the layer's output (means of
neighbours where it has more than 2,048 units). An adversarial's first flip is laid at the first layer whose probe is
trusted, reads the clean example rightly, and reads the adversarial as another class.
"""
_LAYERS = (
    "Of each layer: displacement by adversarials and by noise, their ratio, cosine and gain, as medians with 95 %"
    " bootstrap intervals and the 5 % and 95 % quantiles; rank correlation and overlap of attributions beside noise and"
    " chance; rho_50 with its interval, how many held, and its gradients; the probe's accuracy, flips, the flips of"
    " noise, and how many adversarials flip there first."
)
_ARTIFACTS = (
    "Artifacts: `arrays.safetensors` with `adversarials`, `noise`, `displacement`, `random_displacement`, `ratio`,"
    " `gain` and `cosine` (layers, broken), `latent/LAYER` by example (-2: above the largest; -1: no meaning) and"
    " `probe/LAYER`; of images `displaced.png`, where each layer's maps are carried."
)
_FINDINGS = (
    "`wrong-everywhere`, `nothing-broken`, `few-broken`: how much there is to follow.",
    "`diagnostic-only`: embeddings of tokens were attacked, which no text need have.",
    "`noise-breaks-too`, `noise-shorter`: the comparison with noise is worth little, and why.",
    "`probes-too-weak`: layers at which no flip is laid.",
    "`directed-growth`: the layer over which the attack grows most beside noise.",
    "`weakest-layer`: the layer that takes the least to break half of the examples.",
    "`flips-first`: the probe at which most adversarials flip first.",
    "`attributions-move`: the layer whose units change places most.",
)


def page() -> str:
    """The Markdown of docs/kinds/robustness_layers.md."""
    parts = [
        f"# {section.TITLE}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{section.QUESTION}**"),
        "## Method",
        _METHOD.strip("\n"),
        "## Parameters",
        _parameters(),
        "## Outcome",
        _wrapped(_LAYERS),
        _wrapped(_ARTIFACTS),
        "## Measurements",
        _measurements(),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {which[1]} Expected: {controls.RUNS[which][0]}.") for which in controls.RUNS),
        "## Findings",
        "\n".join(_item(each) for each in _FINDINGS),
        "## Limits",
        "\n".join(_item(each) for each in section.LIMITS),
        "## Source",
        _wrapped(f"{section.SOURCE}."),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> str:
    schema = RobustnessLayersParameters.model_json_schema()["properties"]
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
