"""Which parts of the input drive each layer, and from which layer on is the decision visible?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3, asked of every layer from the same
samples.
"""

from __future__ import annotations

from typing import Any

from workers.kind import AnalysisKind, Context, Control
from workers.lime.kind import FAMILY
from workers.lime.layers import controls, section
from workers.lime.layers.case import Case
from workers.lime.layers.compute import applies, compute, parts
from workers.lime.layers.estimate import estimate
from workers.lime.layers.measurements import METRIC_NAMES, measurements
from workers.lime.layers.merge import merge
from workers.lime.layers.outcome import LayersOutcome
from workers.lime.layers.parameters import LayersParameters
from workers.passes.asked import ROLE
from workers.subject.subject import Subject


def _control(which: tuple[str, str]) -> Control[LayersParameters]:
    def run(subject: Subject, parameters: LayersParameters, context: Context) -> Any:
        return controls.run(which, Case.of(subject, parameters), context)

    return Control(name=which[0], question=which[1], run=run)


KIND: AnalysisKind[LayersParameters, LayersOutcome] = AnalysisKind(
    name="lime_layers",
    version=1,
    family=FAMILY,
    title=section.TITLE,
    question=section.QUESTION,
    source=section.SOURCE,
    queue="cpu",
    roles=(ROLE,),
    optional_roles=("background", "training"),
    metrics=METRIC_NAMES,
    parameters=LayersParameters,
    outcome=LayersOutcome,
    applies=applies,
    quote=estimate,
    plan=parts,
    compute=lambda subject, part, _, context: compute(subject, part, context),
    merge=lambda subject, parameters, partials, _: merge(subject, parameters, partials),
    controls=tuple(_control(which) for which in controls.RUNS),
    section=section.section,
    measurements=measurements,
)
