"""How much of the output's change, from a baseline to the input, flows through each layer and each of its units?

Dhamdhere, Sundararajan and Yan, How important is a neuron?, arXiv:1805.12233, equation 2:

    Cond_j(x) = Σ_i (x_i - x'_i) ∫₀¹ ∂F(x' + α(x - x'))/∂h_j · ∂h_j/∂x_i dα
"""

from __future__ import annotations

from workers.analyses.layer_conductance.compute import applies, compute, estimate, merge, parts
from workers.analyses.layer_conductance.controls import CONTROLS
from workers.analyses.layer_conductance.findings import measurements
from workers.analyses.layer_conductance.outcome import ConductanceOutcome, ConductanceParameters
from workers.analyses.layer_conductance.section import QUESTION, SOURCE, TITLE, section
from workers.kind import AnalysisKind
from workers.passes.asked import ROLE

KIND: AnalysisKind[ConductanceParameters, ConductanceOutcome] = AnalysisKind(
    name="layer_conductance",
    version=1,
    family="conductance",
    title=TITLE,
    question=QUESTION,
    source=SOURCE,
    queue="cpu",
    roles=(ROLE,),
    metrics=("layer_total", "layer_absolute_total", "completeness_error", "captum_difference", "clean_accuracy"),
    parameters=ConductanceParameters,
    outcome=ConductanceOutcome,
    applies=applies,
    quote=estimate,
    plan=parts,
    compute=compute,
    merge=merge,
    controls=CONTROLS,
    section=section,
    measurements=measurements,
)
