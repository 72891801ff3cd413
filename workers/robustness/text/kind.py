"""How do attacks on texts become a kind of analysis?"""

from __future__ import annotations

from workers.kind import AnalysisKind, Control
from workers.passes.asked import ROLE
from workers.robustness.text import compute, controls, estimate
from workers.robustness.text.measurements import METRIC_NAMES, measurements
from workers.robustness.text.merge import merge
from workers.robustness.text.outcome import TextOutcome
from workers.robustness.text.page import page
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.section import QUESTION, SOURCE, TITLE, section

FAMILY = "robustness"


def text_kind() -> AnalysisKind[TextParameters, TextOutcome]:
    """The kind, for networks that read texts or ids; of black boxes words are misspelt and replaced."""
    return AnalysisKind(
        name="robustness_text", version=1, family=FAMILY, title=TITLE, question=QUESTION, source=SOURCE, queue="cpu",
        roles=(ROLE,), metrics=METRIC_NAMES, parameters=TextParameters, outcome=TextOutcome, applies=compute.applies,
        quote=estimate.estimate, plan=compute.parts, compute=compute.compute, merge=merge,
        controls=tuple(_control(which) for which in controls.RUNS), section=section, measurements=measurements,
        page=page(),
    )  # fmt: skip


def _control(which: tuple[str, str]) -> Control[TextParameters]:
    return Control(
        name=which[0],
        question=which[1],
        run=lambda subject, parameters, context: controls.run(which, subject, parameters, context),
    )
