"""How steep is the target around the input, rather than just at it?

    mean over noise of ∂F(x + ε)/∂x_i

Smilkov et al., SmoothGrad, arXiv:1706.03825, equation 1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.smoothgrad import Of, SmoothGrad
from workers.sweep.ready import Prepared


class SmoothGradParameters(AttributionParameters):
    """What to explain, and through how much noise."""

    samples: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(25, description="Noisy copies of each example.")
    noise: float = Field(
        0.15,
        gt=0,
        le=2,
        description="Standard deviation of the noise, as a share of each example's largest value less its smallest.",
    )
    of: Of = Field("mean", description="What is taken of the copies' gradients: mean, square (mean of), or variance.")


def _method(parameters: SmoothGradParameters, _ready: Prepared, _subject: Subject) -> SmoothGrad:
    return SmoothGrad(samples=parameters.samples, noise=parameters.noise, of=parameters.of)


KIND = attribution_kind(
    Attribution(
        name="smoothgrad",
        version=1,
        title="SmoothGrad of the input",
        question="How strongly does the target respond to each part of the input, on average around it?",
        source="Smilkov et al. 2017, arXiv:1706.03825, equation 1",
        noun="smooth gradient",
        places="inputs",
        parameters=SmoothGradParameters,
        method=_method,
        unit=lambda target: f"{target} per unit of the input",
        multiplied=False,
        slope=True,
        signs="Blue: the target rises with it, orange: it falls.",
        draws=True,
        limits=(
            "How much noise is right is a choice: with more the picture is smoother and less of this input.",
            "It is a mean over random draws; the spread over seeds in the certificate says how sure it is.",
            "With `square` or `variance` the numbers are squares: their unit is that of the slope, squared.",
        ),
        formula="""
        With n draws of normal noise *ε_k* around the input *x*:

            SG_i(x) = (1/n) Σ_k ∂F(x + ε_k)/∂x_i

        or the mean square of these gradients (`square`), or their variance (`variance`, VarGrad). What an example draws
        follows from the analysis and its place in the data alone. The comparison gives captum the very copies.
        """,
        literature="""Smilkov, Thorat, Kim, Viégas and Wattenberg: *SmoothGrad*, arXiv:1706.03825, equation 1. Squares:
        Hooker et al., arXiv:1806.10758. Variance: Adebayo et al., arXiv:1810.03292.""",
    )
)
