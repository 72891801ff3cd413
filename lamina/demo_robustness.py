"""What breaks the demo's networks? What is asked of attacks, and how their answers are shown on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from lamina.client import Client
from lamina.commands.shown import say, show_table
from lamina.failure import NotMet
from service.contracts.api import AuditView

ATTACKS: dict[str, dict[str, dict[str, JsonValue]]] = {
    "digits-cnn": {
        "robustness": {"examples": 60, "epsilons": [0.5, 1.0, 2.0], "queries": 500, "pictures": 3},
        "robustness_layers": {"examples": 24, "probe_examples": 150},
    },
    "tumour-mlp": {"robustness_tabular": {"examples": 40}},
}
"""What the last version of each is asked about attacks."""


def show(client: Client, view: AuditView) -> None:
    """Clean and robust accuracy with intervals, what the checks of the attack say, and the answers of the others.

    Raises NotMet where an audit that was asked has no answer.
    """
    for analysis in view.analyses:
        if analysis.kind not in ATTACKS.get(view.model_name, {}):
            continue
        detail = client.analysis(analysis.id)
        if detail.outcome is None or detail.section is None:
            raise NotMet(f"{view.title}: {analysis.kind} succeeded, and has no answer")
        if analysis.kind == "robustness":
            _show_curve(view.title, detail.outcome)
            _show_verdicts(view.title, detail.outcome)
        say(f"{view.title}, {analysis.kind}: {detail.section['answer']}")


def _show_curve(title: str, outcome: Mapping[str, Any]) -> None:
    heads = (
        "epsilon",
        ">accuracy, at most",
        ">95 % interval",
        ">n",
        *(f">{each['name']} alone" for each in outcome["named"]),
    )
    unit = f"{outcome['norm']}, {outcome['unit']}"
    show_table(heads, _budgets(outcome), title=f"{title}: accuracy under attack ({unit})")


def _budgets(outcome: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    none = [None] * len(outcome["named"])
    yield ("no attack", *_share(outcome["clean"]), *none)
    for place, at in enumerate(outcome["curve"]):
        alone = (f"{each['robust'][place]['value']:.1%}" for each in outcome["named"])
        yield (f"{at['epsilon']:.4g}", *_share(at["robust"]), *alone)


def _share(share: Mapping[str, Any]) -> tuple[str, str, int]:
    return f"{share['value']:.1%}", f"{share['low']:.1%} to {share['high']:.1%}", share["n"]


def _show_verdicts(title: str, outcome: Mapping[str, Any]) -> None:
    rows = ((each["name"], each["verdict"], each["observed"] or each["because"]) for each in outcome["verdicts"])
    show_table(("check", "verdict", "seen"), rows, title=f"{title}: may the attack be believed?")
