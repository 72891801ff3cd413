"""What does each unit contribute as its layer alone goes from its baseline activation to its activation?

Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, arXiv:1703.01365, with a layer in the place
of the input.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import CompleteLayers
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


class LayerIntegratedGradientsParameters(CompleteLayers):
    """What to explain, from where, and how finely."""

    steps: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        50, description="Steps along each layer's own line; every layer has passes of its own."
    )
    rule: Rule = Field("captum", description="captum (Gauss-Legendre nodes, as captum 0.9) or trapezoid (equal steps).")


def _method(
    parameters: LayerIntegratedGradientsParameters, _ready: Prepared, _subject: Subject
) -> LayerIntegratedGradients:
    return LayerIntegratedGradients(steps=parameters.steps, rule=parameters.rule)


KIND = attribution_kind(
    Attribution(
        name="layer_integrated_gradients",
        version=1,
        title="Integrated gradients of every layer",
        question="What does each unit contribute as its layer alone goes from its activation at the baseline to that at"
        " the input?",
        source="Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1, at layers as captum does",
        noun="integrated gradient",
        places="layers",
        parameters=LayerIntegratedGradientsParameters,
        method=_method,
        multiplied=True,
        limits=(
            "The layer moves alone while the rest of the network sees the input: such states may never occur.",
            "Beside a skip connection the units add up to what this branch contributes, not to the output's change.",
        ),
        formula="""
        With *a(x)* the activation of a layer, moved on the straight line from *a(x')* to *a(x)* while the rest of the
        network sees the input *x*:

            LIG_j(x) = (a_j(x) − a_j(x')) ∫₀¹ ∂F(x; a := a(x') + α(a(x) − a(x')))/∂a_j dα

        The units add up to F(x) − F(x; a := a(x')); where every path passes through the layer that is F(x) − F(x').
        Each layer has a line of its own, so only what lies behind it is run again for it: the network up to the layer
        runs once. captum's call with a list of layers moves all of them together, which is another question; the
        comparison asks it for one layer at a time.
        """,
        literature="""Sundararajan, Taly and Yan: *Axiomatic attribution for deep networks*, arXiv:1703.01365, equation
        1, with the output of a layer in the place of the input, as captum 0.9's `LayerIntegratedGradients`.""",
    )
)
