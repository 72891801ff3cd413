"""How far must inputs be moved until a network errs, as far as the strongest attacks find?

Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks,
arXiv:2003.01690; Carlini et al., On evaluating adversarial robustness, arXiv:1902.06705, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.contracts.section import Section
from workers.kind import AnalysisKind, Computed, Context, Control, Part, Partial
from workers.passes.asked import ROLE
from workers.passes.attacked import BACKGROUND
from workers.robustness import compute, controls, estimate, section
from workers.robustness.case import Case
from workers.robustness.measurements import METRIC_NAMES, measurements
from workers.robustness.merge import merge
from workers.robustness.outcome import RobustnessOutcome
from workers.robustness.page import page
from workers.robustness.parameters import RobustnessParameters
from workers.subject.subject import Subject

FAMILY = "robustness"
_TITLE = "Robustness: how much an attack breaks"
_QUESTION = "How far must inputs be moved until the network errs, and how much holds within a budget?"
_SOURCE = "Croce and Hein 2020, arXiv:2003.01690, section 4; Carlini et al. 2019, arXiv:1902.06705, section 4"
_LITERATURE = """Attacks: Croce and Hein 2020, arXiv:2003.01690, sections 3 and 4 (Auto-PGD, DLR); Andriushchenko et al.
2020, arXiv:1912.00049 (Square); Chen, Jordan and Wainwright 2020, arXiv:1904.02144 (HopSkipJump); Goodfellow et al.
2015, arXiv:1412.6572 (FGSM); Madry et al. 2018, arXiv:1706.06083 (PGD); Rony et al. 2019, arXiv:1811.09600 (DDN);
Pintor et al. 2021, arXiv:2102.12827 (FMN). Doubts: Carlini et al. 2019, arXiv:1902.06705, section 4; Athalye et al.
2018, arXiv:1802.00420; Zimmermann et al. 2022, arXiv:2206.13991. Intervals: Wilson 1927, JASA 22:209."""


def _compute(subject: Subject, part: Part, _: RobustnessParameters, context: Context) -> Partial:
    return compute.compute(subject, part, context)


def _merge(
    subject: Subject, parameters: RobustnessParameters, partials: Sequence[Partial], _: Context
) -> Computed[RobustnessOutcome]:
    return merge(subject, parameters, partials)


def _section(outcome: RobustnessOutcome) -> Section:
    return section.section(_TITLE, _QUESTION, _SOURCE, outcome)


def _control(which: tuple[str, str]) -> Control[RobustnessParameters]:
    return Control(
        name=which[0],
        question=which[1],
        run=lambda subject, parameters, context: controls.run(which, Case.of(subject, parameters), context),
    )


KIND: AnalysisKind[RobustnessParameters, RobustnessOutcome] = AnalysisKind(
    name="robustness",
    version=1,
    family=FAMILY,
    title=_TITLE,
    question=_QUESTION,
    source=_SOURCE,
    queue="cpu",
    roles=(ROLE,),
    metrics=METRIC_NAMES,
    parameters=RobustnessParameters,
    outcome=RobustnessOutcome,
    applies=compute.applies,
    quote=estimate.estimate,
    plan=compute.parts,
    compute=_compute,
    merge=_merge,
    controls=tuple(_control(which) for which in controls.RUNS),
    section=_section,
    measurements=measurements,
    page=page(_TITLE, _QUESTION, _LITERATURE),
    optional_roles=BACKGROUND,
)
