"""How often is the model right, class by class, and can its probabilities be believed?

Wilson 1927; Brier 1950; Naeini et al. 2015 (AAAI).
"""

from __future__ import annotations

from workers.kind import AnalysisKind, Control
from workers.passes.asked import ROLE
from workers.performance import compute, controls
from workers.performance.outcome import AccuracyOutcome, AccuracyParameters
from workers.performance.page import page
from workers.performance.section import METRIC_NAMES, QUESTION, SOURCE, TITLE, measurements, section

KIND: AnalysisKind[AccuracyParameters, AccuracyOutcome] = AnalysisKind(
    name="accuracy",
    version=1,
    family="performance",
    title=TITLE,
    question=QUESTION,
    source=SOURCE,
    queue="cpu",
    roles=(ROLE,),
    metrics=METRIC_NAMES,
    parameters=AccuracyParameters,
    outcome=AccuracyOutcome,
    applies=compute.applies,
    quote=compute.quote,
    plan=compute.parts,
    compute=compute.compute,
    merge=compute.merge,
    controls=(
        Control(name=controls.LABELS[0], question=controls.LABELS[1], run=controls.labels_as_answers),
        Control(name=controls.CONSTANT[0], question=controls.CONSTANT[1], run=controls.one_answer),
    ),
    section=section,
    measurements=measurements,
    page=page(),
)
