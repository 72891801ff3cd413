"""What is the Shapley value of each part of the input, where absent parts are at the baseline?

Lundberg and Lee, A unified approach to interpreting model predictions, arXiv:1705.07874, section 4.1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import Complete
from workers.attribution.spec import Attribution
from workers.attribution.windows import boxes
from workers.occlusion.kernel_shap import KernelShap
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared


class KernelShapParameters(Complete):
    """What to explain, which parts play, and how many coalitions are tried."""

    samples: Annotated[int, Field(ge=2, le=100_000), WHOLE] = Field(
        256, description="Coalitions for each example; all of them, and exact values, where there are no more."
    )
    window: Annotated[int, Field(ge=0, le=4096), WHOLE] = Field(
        0,
        description="Size of a part: columns, time steps, tokens, or pixels a side, with all their channels; 0 for as"
        " many as make 64 parts, 7 by 7 of a picture.",
    )


def _method(parameters: KernelShapParameters, ready: Prepared, subject: Subject) -> KernelShap:
    return KernelShap(samples=parameters.samples, windows=boxes(ready, subject, parameters.window))


KIND = attribution_kind(
    Attribution(
        name="kernel_shap",
        version=1,
        title="Shapley values of the input's parts",
        question="What does each part of the input add to the target, on average over all orders of putting parts in?",
        source="Lundberg and Lee 2017, arXiv:1705.07874, section 4.1",
        noun="Shapley value",
        places="inputs",
        parameters=KernelShapParameters,
        method=_method,
        multiplied=True,
        draws=True,
        severed=False,
        rounding=10.0,
        limits=(
            "Absent parts are at the baseline, and most coalitions look like no example of the data.",
            "Every element of a part repeats the part's value; the values of parts, not of elements, add up.",
            "Unless all coalitions are tried it is an estimate; the spread over seeds says how sure.",
        ),
        formula="""
        With v(z) = F(the parts of z from x, the others from x'), the Shapley value of a part is its mean addition to v
        over all orders in which parts are put in. It is found as the weighted least squares fit

            min Σ_z π(z) (v(z) − v(∅) − Σ_p φ_p z_p)²,   Σ_p φ_p = F(x) − F(x')

        over `samples` coalitions, drawn with their complements, or exactly where there are no more than so many. All
        inputs are parted and play together.
        """,
        literature="""Lundberg and Lee: *A unified approach to interpreting model predictions*, arXiv:1705.07874,
        section 4.1.""",
    )
)
