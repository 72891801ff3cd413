"""From which tokens does what the output reads come, through the attention of all layers?

Abnar and Zuidema, Quantifying attention flow in transformers, arXiv:2005.00928, section 3; weighted by gradients:
Chefer, Gur and Wolf, Generic attention-model explainability, arXiv:2103.15679, section 3.
"""

from __future__ import annotations

from workers.analyses.attention_rollout.case import applies, estimate, parts
from workers.analyses.attention_rollout.compute import compute, merge
from workers.analyses.attention_rollout.controls import CONTROLS
from workers.analyses.attention_rollout.findings import measurements
from workers.analyses.attention_rollout.outcome import RolloutOutcome, RolloutParameters
from workers.analyses.attention_rollout.section import QUESTION, SOURCE, TITLE, section
from workers.kind import AnalysisKind
from workers.passes.asked import ROLE

KIND: AnalysisKind[RolloutParameters, RolloutOutcome] = AnalysisKind(
    name="attention_rollout",
    version=1,
    family="attention",
    title=TITLE,
    question=QUESTION,
    source=SOURCE,
    queue="cpu",
    roles=(ROLE,),
    metrics=("attention_entropy", "attention_distance", "rollout_entropy"),
    parameters=RolloutParameters,
    outcome=RolloutOutcome,
    applies=applies,
    quote=estimate,
    plan=parts,
    compute=compute,
    merge=merge,
    controls=CONTROLS,
    section=section,
    measurements=measurements,
)
