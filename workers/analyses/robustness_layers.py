"""In which layers does an attack grow beside noise of equal norm, and which layer takes the least to break?

Adversarials by Auto-PGD, Croce and Hein, arXiv:2003.01690, section 3; attacks at layers as Singh et al.,
arXiv:1905.05186, section 3; linear probes, Alain and Bengio, arXiv:1610.01644.
"""

from __future__ import annotations

from typing import Any

from workers.kind import AnalysisKind, Context, Control
from workers.passes.asked import ROLE
from workers.robustness.layers import controls, section
from workers.robustness.layers.case import Case
from workers.robustness.layers.compute import applies, parts
from workers.robustness.layers.estimate import estimate
from workers.robustness.layers.measurements import METRIC_NAMES, measurements
from workers.robustness.layers.merge import compute, merge
from workers.robustness.layers.outcome import RobustnessLayersOutcome
from workers.robustness.layers.page import page
from workers.robustness.layers.parameters import RobustnessLayersParameters
from workers.subject.subject import Subject


def _control(which: tuple[str, str]) -> Control[RobustnessLayersParameters]:
    def run(subject: Subject, parameters: RobustnessLayersParameters, context: Context) -> Any:
        return controls.run(which, Case.of(subject, parameters), context)

    return Control(name=which[0], question=which[1], run=run)


KIND: AnalysisKind[RobustnessLayersParameters, RobustnessLayersOutcome] = AnalysisKind(
    name="robustness_layers",
    version=1,
    family="robustness",
    title=section.TITLE,
    question=section.QUESTION,
    source=section.SOURCE,
    queue="cpu",
    roles=(ROLE,),
    optional_roles=("background", "training"),
    metrics=METRIC_NAMES,
    parameters=RobustnessLayersParameters,
    outcome=RobustnessLayersOutcome,
    applies=applies,
    quote=estimate,
    plan=parts,
    compute=lambda subject, _part, parameters, context: compute(Case.of(subject, parameters), context),
    merge=merge,
    controls=tuple(_control(which) for which in controls.RUNS),
    section=section.section,
    measurements=measurements,
    page=page(),
)
