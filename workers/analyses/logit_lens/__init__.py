"""What would a language model predict if it stopped after each of its blocks?

nostalgebraist, interpreting GPT: the logit lens, 2020; Belrose et al., arXiv:2303.08112, section 2.
"""

from __future__ import annotations

from workers.analyses.logit_lens.case import applies, estimate, parts
from workers.analyses.logit_lens.compute import compute, merge
from workers.analyses.logit_lens.controls import CONTROLS
from workers.analyses.logit_lens.findings import measurements
from workers.analyses.logit_lens.outcome import LensOutcome, LensParameters
from workers.analyses.logit_lens.section import QUESTION, SOURCE, TITLE, section
from workers.kind import AnalysisKind
from workers.passes.asked import ROLE

KIND: AnalysisKind[LensParameters, LensOutcome] = AnalysisKind(
    name="logit_lens",
    version=1,
    family="attention",
    title=TITLE,
    question=QUESTION,
    source=SOURCE,
    queue="cpu",
    roles=(ROLE,),
    metrics=("lens_probability", "lens_divergence", "lens_agreement", "lens_decided"),
    parameters=LensParameters,
    outcome=LensOutcome,
    applies=applies,
    quote=estimate,
    plan=parts,
    compute=compute,
    merge=merge,
    controls=CONTROLS,
    section=section,
    measurements=measurements,
)
