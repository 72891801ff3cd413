"""By how much does the target fall when a window of the input is hidden?

Zeiler and Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.2.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import FromBaseline
from workers.attribution.spec import Attribution
from workers.attribution.windows import boxes
from workers.occlusion.occlusion import Occlusion
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared


class OcclusionParameters(FromBaseline):
    """What to explain, what is hidden at once, and what stands in its place."""

    window: Annotated[int, Field(ge=0, le=4096), WHOLE] = Field(
        0,
        description="Columns, time steps, tokens, or pixels a side, with all their channels; 0 for as many as make 64"
        " windows, 7 by 7 of a picture.",
    )
    stride: Annotated[int, Field(ge=0, le=4096), WHOLE] = Field(
        0, description="From window to window; 0 for windows side by side."
    )


def _method(parameters: OcclusionParameters, ready: Prepared, subject: Subject) -> Occlusion:
    strides = boxes(ready, subject, parameters.stride) if parameters.stride else ()
    return Occlusion(windows=boxes(ready, subject, parameters.window), strides=strides)


KIND = attribution_kind(
    Attribution(
        name="occlusion",
        version=1,
        title="Occlusion of the input",
        question="By how much does the target fall when a window of the input is hidden?",
        source="Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2",
        noun="drop",
        places="inputs",
        parameters=OcclusionParameters,
        method=_method,
        multiplied=True,
        forward=True,
        limits=(
            "What is hidden is replaced by the baseline, which may look like something of its own.",
            "Drops do not add up: of two windows that stand in for each other none is missed.",
            "Every element of a window repeats the window's whole drop.",
        ),
        formula="""
        For each window *w* of the input, alone, with the baseline in its place:

            Drop_w(x) = F(x) − F(x; x_w := x'_w)

        An element gets the mean of the drops of all windows that it lies in, as in captum 0.9. Of several inputs one at
        a time is hidden from. Windows run in batches, without gradients.
        """,
        literature="""Zeiler and Fergus: *Visualizing and understanding convolutional networks*, arXiv:1311.2901,
        section 4.2.""",
    )
)
