"""How much of the output's change flows through each unit, on average over baselines that are other examples?

    mean over draws of ∂F/∂h at (αx + (1 - α)b) times (h(x) - h(b))

Erion et al., arXiv:1906.10670, equation 3; Lundberg and Lee, arXiv:1705.07874.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import OfLayers
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.gradient_shap import GradientShap
from workers.sweep.ready import Prepared


class GradientShapParameters(OfLayers):
    """What to explain, and by how many draws."""

    samples: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        20, description="Draws for each example: of another example as the baseline, and of a point between."
    )
    noise: float = Field(
        0.0, ge=0, le=1, description="Standard deviation of the noise on the input, as a share of the input's range."
    )


def _method(parameters: GradientShapParameters, _ready: Prepared, _subject: Subject) -> GradientShap:
    return GradientShap(samples=parameters.samples, noise=parameters.noise)


KIND = attribution_kind(
    Attribution(
        name="layer_gradient_shap",
        version=1,
        title="Gradient SHAP of every layer",
        question="How much of the difference between the output and that of other examples flows through each unit of"
        " each layer?",
        source="Erion et al. 2019, arXiv:1906.10670, equation 3; Lundberg and Lee 2017, arXiv:1705.07874",
        noun="gradient SHAP value",
        places="layers",
        parameters=GradientShapParameters,
        method=_method,
        multiplied=True,
        draws=True,
        limits=(
            "Baselines are the other examples analysed: other data give other numbers.",
            "It is a mean over random draws; the spread over seeds in the certificate says how sure it is.",
            "It is complete only on average over draws, so there is no completeness to check.",
        ),
        formula="""
        For each of n draws, with another example *b_i* of the evaluation data as the baseline and *α_i* uniform in
        [0, 1):

            GS_j(x) = (1/n) Σ_i ∂F(α_i x + (1 − α_i) b_i)/∂h_j · (h_j(x) − h_j(b_i))

        What an example draws follows from the analysis and its place in the data alone, never from how the work is cut.
        The comparison gives captum the very points that were drawn here.
        """,
        literature="""Erion, Janizek, Sturmfels, Lundberg and Lee: *Learning explainable models using attribution
        priors*, arXiv:1906.10670, equation 3. Lundberg and Lee: *A unified approach to interpreting model predictions*,
        arXiv:1705.07874.""",
    )
)
