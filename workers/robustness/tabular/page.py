"""What does the documentation say of attacks on tables? The way is written by hand, the rest comes from the kind."""

from __future__ import annotations

from textwrap import dedent, fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.robustness.tabular import controls
from workers.robustness.tabular.measurements import METRIC_NAMES
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.section import LIMITS, QUESTION, SOURCE, TITLE

_WIDE = 120
_HOW = """
Each number may move by epsilon units of its own column (its standard deviation in the background, or a quantile range),
within its declared bounds. Whole numbers and columns with a step move by whole steps. A column may be immutable, or may
only rise or fall. Categories, truth values and one-hot groups move from one legal value to another; they cost no
budget, and how many may move is `most_categories`. Relations are weighted sums that are at most, or equal to, a bound:
`{"columns": ["debt", "income"], "weights": [1, -1]}` says that debt is at most income.

Whatever an attack proposes is made legal before the model is asked: bounds and directions, steps towards the row,
relations by projecting onto them in turn within the box that the proposal takes, and where that fails half of the
change, a quarter, an eighth, or none. So what counts as broken is legal by construction, and is checked again by code
that shares nothing with the attack: numpy, the names as they were given, the bytes as they are stored, and the model
asked one row at a time.

1. **categories**: every legal change of one category in one batch, the best kept, up to `most_categories` times.
2. **neighbours**: the nearest rows that are decided otherwise, drawn in to every budget.
3. **the ladder**: Auto-PGD with several losses and classes, and a search by random blocks, as the kind robustness has
   it, of the model behind the repair: with the categories as they are, with those that came nearest, and with those
   that came nearest once all numbers had taken one step of the gradient. A black box is searched by blocks alone.
4. **fewer columns**: of each broken row, columns that need not have changed are put back.

A row broken within a budget is broken within every larger one. Rows of the data that break a rule themselves are told
and set aside, or the analysis is refused (`broken_rules`).
"""
_READ = """
| task | a row is broken where |
| --- | --- |
| classes and labels | the model decides for another class than the label |
| classes without labels, actions | the model decides otherwise than before |
| one number | the output moves by more than `shift` standard deviations of the output |
"""
_CONTROLS = {
    controls.LINEAR: "a linear model around rows of the data, whose smallest budget follows from its weights, bounds"
    " and directions, breaks at 1.02 of it and not at 0.98.",
    controls.HELD: "a model of nothing but numbers that may not change is not broken at any budget.",
    controls.SPOILT: "rows spoilt in every way that the rules know must all be found by the independent check, and the"
    " rows as they are must pass it.",
}
_FINDINGS = (
    "`recheck-refused`: a stored row is not confirmed by the independent check. Do not rely on the numbers.",
    "`wrong-everywhere`: no row is decided rightly without an attack.",
    "`protected-flips`: a protected column alone changes decisions.",
    "`easily-broken`: more than half of the rows are broken within one of the budgets, beyond the interval.",
    "`few-examples`: fewer than 30 rows.",
    "`rows-set-aside`: rows of the data break a declared rule themselves.",
    "`no-labels`: decisions are held against the model's own.",
    "`rules-in-the-way`: more than half of the proposals break a relation beyond repair.",
)
_OUTCOME = (
    (
        "For each budget the share of rows that hold under every attack, an upper bound, and the attack success, with"
        " Wilson's intervals; the median number of changed columns and the median cost of a broken row, with bootstrap"
        " intervals; for each column its rule, its budget in raw units and how often attacks changed it; what each"
        " attack asked and broke; flips by protected columns alone; and rows before and after."
    ),
    (
        "Artifacts: `arrays.safetensors` with `index`, `original` and `made` (rows, columns; raw units), `at` (place of"
        " the smallest budget that breaks the row; as many as there are budgets where none does, -1 where the row is"
        " wrong without an attack), `by` (the attack, by its place), `clean`, and where columns are protected `flips`"
        " and `tried` (columns, rows)."
    ),
)
_LITERATURE = """Croce and Hein: *Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks*, arXiv:2003.01690. Simonetto, Ghamizi and Cordy: *Constrained adaptive attack: effective
adversarial attack against deep neural networks for tabular data*, arXiv:2406.00775. Successive projections: Gubin,
Polyak and Raik 1967, USSR Computational Mathematics and Mathematical Physics 7(6):1."""


def page() -> str:
    """The Markdown of docs/kinds/robustness_tabular.md."""
    parts = [
        f"# {TITLE}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{QUESTION}**"),
        "## How rows are attacked",
        _HOW.strip("\n"),
        "## What counts as broken",
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
        _wrapped(f"{SOURCE}."),
        _wrapped(" ".join(dedent(_LITERATURE).split())),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> str:
    schema = TabularParameters.model_json_schema()["properties"]
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
