"""Does the later version decide on the same grounds, is it as accurate, and are its outputs distributed alike?

Järvelin and Kekäläinen 2002; Agresti and Min 2005; McNemar 1947; Yurdakul 2018.
"""

from __future__ import annotations

from workers.comparison import compute
from workers.comparison.controls import ITSELF, against_itself
from workers.comparison.outcome import CompareOutcome, CompareParameters
from workers.comparison.page import page
from workers.comparison.section import METRIC_NAMES, QUESTION, SOURCE, TITLE, measurements, section
from workers.kind import AnalysisKind, Control

KIND: AnalysisKind[CompareParameters, CompareOutcome] = AnalysisKind(
    name="compare",
    version=1,
    family="comparison",
    title=TITLE,
    question=QUESTION,
    source=SOURCE,
    queue="cpu",
    roles=(),
    metrics=METRIC_NAMES,
    parameters=CompareParameters,
    outcome=CompareOutcome,
    applies=compute.applies,
    quote=compute.quote,
    plan=compute.parts,
    compute=compute.compute,
    merge=compute.merge,
    controls=(Control(name=ITSELF[0], question=ITSELF[1], run=against_itself),),
    section=section,
    measurements=measurements,
    page=page(),
    analysis_roles=(compute.BEFORE, compute.AFTER),
)
