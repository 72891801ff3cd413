"""How much of the output's change, from the baseline to the input, does each part of the input account for?

    (x_i - x'_i) ∫₀¹ ∂F(x' + α(x - x'))/∂x_i dα

Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, arXiv:1703.01365, equation 1.
"""

from __future__ import annotations

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import MOST_STEPS, Complete, MostSteps, Steps
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.method import Method
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.methods.within import IntegratedGradientsWithin
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


class IntegratedGradientsParameters(Complete):
    """What to explain, from where, and how finely."""

    most_steps: MostSteps = Field(0, description=MOST_STEPS)
    steps: Steps = Field(50, description="Steps along the path.")
    rule: Rule = Field(
        "captum",
        description="captum (Gauss-Legendre nodes, as captum 0.9) or trapezoid (equal steps, whose passes conductance"
        " shares).",
    )


def _method(parameters: IntegratedGradientsParameters, _ready: Prepared, _subject: Subject) -> Method:
    if parameters.most_steps:
        return IntegratedGradientsWithin(tolerance=parameters.tolerance, most_steps=parameters.most_steps)
    return IntegratedGradients(steps=parameters.steps, rule=parameters.rule)


KIND = attribution_kind(
    Attribution(
        name="integrated_gradients",
        version=1,
        title="Integrated gradients of the input",
        question="How much of the output's change, from the baseline to the input, does each part of the input account"
        " for?",
        source="Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1",
        noun="integrated gradient",
        places="inputs",
        parameters=IntegratedGradientsParameters,
        method=_method,
        multiplied=True,
        limits=(
            "The straight line from baseline to input leads through points that no data have.",
            "Parts of the input that work only together share what they do by the path, not by a rule of fairness.",
        ),
        formula="""
        For an element *x_i* of the input, a baseline *x'* and the output *F* that is explained:

            IG_i(x) = (x_i − x'_i) ∫₀¹ ∂F(x' + α(x − x'))/∂x_i dα

        All elements together add up to F(x) − F(x'). The integral is a weighted sum over S Gauss-Legendre nodes (rule
        `captum`) or equal steps (`trapezoid`). Of several inputs all move together, and they are complete together.
        Ids move as what their embedding gives.
        """,
        literature="""Sundararajan, Taly and Yan: *Axiomatic attribution for deep networks*, arXiv:1703.01365, equation
        1.""",
    )
)
