"""How does a kind of input become a kind of analysis?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.contracts.section import Section
from workers.kind import AnalysisKind, Computed, Context, Control, Partial
from workers.lime import compute, controls, estimate, section
from workers.lime.case import Case
from workers.lime.measurements import METRIC_NAMES, measurements
from workers.lime.merge import merge
from workers.lime.outcome import LimeOutcome
from workers.lime.page import page
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Lime, P
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

FAMILY = "lime"


def lime_kind(kind: Lime[P]) -> AnalysisKind[P, LimeOutcome]:
    """The kind whose computation, checks, words and history are those of all LIME."""
    spec: Any = kind

    def merged(subject: Subject, parameters: P, partials: Sequence[Partial], _: Context) -> Computed[LimeOutcome]:
        return merge(spec, subject, parameters, partials)

    def shown(outcome: LimeOutcome) -> Section:
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
        metrics=METRIC_NAMES,
        parameters=kind.parameters,
        outcome=LimeOutcome,
        applies=lambda subject, parameters: compute.applies(spec, subject, parameters),
        quote=lambda subject, parameters, budget: estimate.estimate(spec, subject, parameters, budget),
        plan=lambda subject, parameters, context: compute.parts(spec, subject, parameters, context),
        compute=lambda subject, part, parameters, context: compute.compute(spec, subject, part, parameters, context),
        merge=merged,
        controls=tuple(_control(spec, which) for which in controls.RUNS),
        section=shown,
        measurements=measurements,
        page=page(spec),
        optional_roles=kind.optional_roles,
    )


def _control(kind: Lime[Any], which: tuple[str, str]) -> Control[Any]:
    def run(subject: Subject, parameters: LimeParameters, context: Context) -> Any:
        return controls.run(which, Case.of(kind, subject, parameters), context)

    return Control(name=which[0], question=which[1], run=run)
