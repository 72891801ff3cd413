"""How do attacks on tables become a kind of analysis?"""

from __future__ import annotations

from workers.kind import AnalysisKind, Control
from workers.passes.asked import ROLE
from workers.passes.attacked import BACKGROUND
from workers.robustness.tabular import compute, controls, estimate
from workers.robustness.tabular.measurements import METRIC_NAMES, measurements
from workers.robustness.tabular.merge import merge
from workers.robustness.tabular.outcome import TabularOutcome
from workers.robustness.tabular.page import page
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.section import QUESTION, SOURCE, TITLE, section

FAMILY = "robustness"


def tabular_kind() -> AnalysisKind[TabularParameters, TabularOutcome]:
    """The kind, for networks of any format: black boxes are searched by their outputs alone."""
    return AnalysisKind(
        name="robustness_tabular",
        version=1,
        family=FAMILY,
        title=TITLE,
        question=QUESTION,
        source=SOURCE,
        queue="cpu",
        roles=(ROLE,),
        metrics=METRIC_NAMES,
        parameters=TabularParameters,
        outcome=TabularOutcome,
        applies=compute.applies,
        quote=estimate.estimate,
        plan=compute.parts,
        compute=compute.compute,
        merge=merge,
        controls=tuple(_control(which) for which in controls.RUNS),
        section=section,
        measurements=measurements,
        page=page(),
        optional_roles=BACKGROUND,
    )


def _control(which: tuple[str, str]) -> Control[TabularParameters]:
    return Control(
        name=which[0],
        question=which[1],
        run=lambda subject, parameters, context: controls.run(which, subject, parameters, context),
    )
