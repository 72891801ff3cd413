"""How strongly does the target respond to each unit, on average along the path from the baseline to the input?

    ∫₀¹ ∂F(x' + α(x - x'))/∂h_j dα

Leino et al., Influence-directed explanations, arXiv:1802.03788, definition 1.
"""

from __future__ import annotations

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import LayersFromBaseline, Steps
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.internal_influence import InternalInfluence
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


class InternalInfluenceParameters(LayersFromBaseline):
    """What to explain, from where, and how finely."""

    steps: Steps = Field(50, description="Steps along the path.")
    rule: Rule = Field(
        "trapezoid",
        description="trapezoid (points that conductance shares) or captum (Gauss-Legendre nodes, as captum 0.9).",
    )


def _method(parameters: InternalInfluenceParameters, _ready: Prepared, _subject: Subject) -> InternalInfluence:
    return InternalInfluence(steps=parameters.steps, rule=parameters.rule)


KIND = attribution_kind(
    Attribution(
        name="layer_internal_influence",
        version=1,
        title="Internal influence of every layer",
        question="How strongly does the target respond to each unit of each layer, on average from baseline to input?",
        source="Leino et al. 2018, arXiv:1802.03788, definition 1",
        noun="internal influence",
        places="layers",
        parameters=InternalInfluenceParameters,
        method=_method,
        unit=lambda target: f"{target} per unit of the layer",
        multiplied=False,
        slope=True,
        signs="Blue: the target rises with it, orange: it falls.",
        limits=(
            "It is a slope and no contribution: a unit may have a large one and never change.",
            "It adds up to nothing, so there is no completeness to check.",
        ),
        formula="""
        For a unit *h_j* of a layer, an input *x*, a baseline *x'* and the output *F* that is explained, the mean
        gradient along the straight line between them:

            I_j(x) = ∫₀¹ ∂F(x' + α(x − x'))/∂h_j dα

        as a weighted sum over S steps: `trapezoid` over i / S, or S Gauss-Legendre nodes (`captum`). All layers come
        from the same passes, and with the rule `trapezoid` and as many steps conductance shares them.
        """,
        literature="""Leino, Sen, Datta, Fredrikson and Li: *Influence-directed explanations for deep convolutional
        networks*, arXiv:1802.03788, definition 1, with the uniform distribution on the line.""",
    )
)
