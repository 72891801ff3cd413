"""How does a way to attribute become a kind of analysis?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.contracts.section import Section
from workers.attribution import compute, controls, estimate, measurements, section
from workers.attribution.merge import merge
from workers.attribution.outcome import AttributionOutcome
from workers.attribution.page import page
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import A, Attribution
from workers.kind import AnalysisKind, Computed, Context, Control, Partial
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

FAMILY = "attribution"


def attribution_kind(kind: Attribution[A]) -> AnalysisKind[A, AttributionOutcome]:
    """The kind whose computation, checks, words and history are those of all attributions."""
    spec: Any = kind

    def merged(
        subject: Subject, parameters: A, partials: Sequence[Partial], _context: Context
    ) -> Computed[AttributionOutcome]:
        return merge(spec, subject, parameters, partials)

    def shown(outcome: AttributionOutcome) -> Section:
        return section.section(spec, outcome)

    return AnalysisKind(
        name=kind.name,
        version=kind.version,
        family=FAMILY,
        title=kind.title,
        question=kind.question,
        source=kind.source,
        queue="cpu",
        roles=(ROLE,),
        metrics=measurements.metrics(spec),
        parameters=kind.parameters,
        outcome=AttributionOutcome,
        applies=lambda subject, parameters: compute.applies(spec, subject, parameters),
        quote=lambda subject, parameters, budget: estimate.estimate(spec, subject, parameters, budget),
        plan=lambda subject, parameters, context: compute.parts(spec, subject, parameters, context),
        compute=lambda subject, part, parameters, context: compute.compute(spec, subject, part, parameters, context),
        merge=merged,
        controls=tuple(_control(spec, which) for which in controls.names(spec)),
        section=shown,
        measurements=lambda outcome: measurements.measurements(spec, outcome),
        page=page(spec),
    )


def _control(kind: Attribution[Any], which: tuple[str, str]) -> Control[Any]:
    def run(subject: Subject, parameters: AttributionParameters, context: Context) -> Any:
        return controls.RUNS[which](compute.Case.of(kind, subject, parameters), context)

    return Control(name=which[0], question=which[1], run=run)
