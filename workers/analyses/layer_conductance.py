"""How much of the output's change, from a baseline to the input, flows through each layer and each of its units?

Dhamdhere, Sundararajan and Yan, How important is a neuron?, arXiv:1805.12233, equation 2:

    Cond_j(x) = Σ_i (x_i - x'_i) ∫₀¹ ∂F(x' + α(x - x'))/∂h_j · ∂h_j/∂x_i dα
"""

from __future__ import annotations

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import MOST_STEPS, CompleteLayers, MostSteps, Steps
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.method import Method
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.within import ConductanceWithin
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


class ConductanceParameters(CompleteLayers):
    """What to explain, from where, and how finely."""

    most_steps: MostSteps = Field(0, description=MOST_STEPS)
    steps: Steps = Field(50, description="Steps along the path; error falls as 1/S.")
    rule: Rule = Field(
        "trapezoid",
        description="How a step is summed: trapezoid (gradients of both ends) or captum (as captum 0.9 does).",
    )


def _method(parameters: ConductanceParameters, _ready: Prepared, _subject: Subject) -> Method:
    if parameters.most_steps:
        return ConductanceWithin(tolerance=parameters.tolerance, most_steps=parameters.most_steps)
    return Conductance(steps=parameters.steps, rule=parameters.rule)


KIND = attribution_kind(
    Attribution(
        name="layer_conductance",
        version=2,
        title="Conductance of every layer",
        question="How much of the output's change, from the baseline to the input, flows through each layer and each of"
        " its units?",
        source="Dhamdhere, Sundararajan and Yan 2018, arXiv:1805.12233, equation 2",
        noun="conductance",
        places="layers",
        parameters=ConductanceParameters,
        method=_method,
        multiplied=True,
        formula="""
        For a unit *h_j* of a layer, an input *x*, a baseline *x'* and the output *F* that is explained:

            Cond_j(x) = Σ_i (x_i − x'_i) ∫₀¹ ∂F(x' + α(x − x'))/∂h_j · ∂h_j/∂x_i dα

        Where every path from the input to the output passes through a layer (a *cut* layer), its units add up to
        F(x) − F(x'): that is *completeness*, and how far it is missed is the error of the steps. The integral is a sum
        over S steps of the change of *h_j* along the path, times the output's gradient:

        | rule | sum | points |
        | --- | --- | --- |
        | `trapezoid` | Σ ½ (g_i + g_{i+1}) (h_{i+1} − h_i) | i / S |
        | `captum` | Σ g_i (h_{i+1} − h_i) | S + 1 Gauss-Legendre nodes, as captum 0.9 does |

        Both cost the same. On networks with ReLU the error of either falls as 1/S, and that of `trapezoid` is about
        half. All layers come from the same forward and backward passes; a layer that runs more than once has an entry
        for each call, a layer that gives several tensors one for each. Where a network has several inputs, all that are
        floating point go from their baselines to their values together, each in its own raw units; ids move as what
        their embedding gives; other integers (masks) keep their values, and the answer names them.

        A baseline of zero is black for most images. For tables choose `mean`: zero is seldom a possible row.
        """,
        literature="""Dhamdhere, Sundararajan and Yan: *How important is a neuron?*, arXiv:1805.12233, equation 2 and
        section 2.""",
        limits=("It says what flows through a layer, not what would happen if the layer were removed.",),
    )
)
