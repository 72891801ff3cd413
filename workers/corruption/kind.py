"""How do corruptions become a kind of analysis?"""

from __future__ import annotations

from workers.corruption import compute, controls, estimate
from workers.corruption.measurements import METRIC_NAMES, measurements
from workers.corruption.merge import merge
from workers.corruption.of_tables import ROLES
from workers.corruption.outcome import CorruptionOutcome
from workers.corruption.page import page
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.section import QUESTION, SOURCE, TITLE, section
from workers.kind import AnalysisKind, Control
from workers.passes.asked import ROLE

FAMILY = "robustness"


def corruption_kind() -> AnalysisKind[CorruptionParameters, CorruptionOutcome]:
    """The kind, for networks of any format: it takes forward passes alone."""
    return AnalysisKind(
        name="corruption",
        version=1,
        family=FAMILY,
        title=TITLE,
        question=QUESTION,
        source=SOURCE,
        queue="cpu",
        roles=(ROLE,),
        metrics=METRIC_NAMES,
        parameters=CorruptionParameters,
        outcome=CorruptionOutcome,
        applies=compute.applies,
        quote=estimate.estimate,
        plan=compute.parts,
        compute=compute.compute,
        merge=merge,
        controls=tuple(_control(which) for which in controls.RUNS),
        section=section,
        measurements=measurements,
        page=page(),
        optional_roles=tuple(each for each in ROLES if each != ROLE),
    )


def _control(which: tuple[str, str]) -> Control[CorruptionParameters]:
    return Control(
        name=which[0],
        question=which[1],
        run=lambda subject, parameters, context: controls.run(which, subject, parameters, context),
    )
