"""How steep is the target at the input?

    |∂F(x)/∂x_i|

Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, arXiv:1312.6034, section 3.
"""

from __future__ import annotations

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.at_input import Saliency
from workers.sweep.ready import Prepared


class SaliencyParameters(AttributionParameters):
    """What to explain."""

    absolute: bool = Field(default=True, description="Magnitudes, as in the paper; false keeps the sign.")


def _method(parameters: SaliencyParameters, _ready: Prepared, _subject: Subject) -> Saliency:
    return Saliency(absolute=parameters.absolute)


KIND = attribution_kind(
    Attribution(
        name="saliency",
        version=1,
        title="Saliency of the input",
        question="How strongly does the target respond to a small change of each part of the input?",
        source="Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 3",
        noun="saliency",
        places="inputs",
        parameters=SaliencyParameters,
        method=_method,
        unit=lambda target: f"{target} per unit of the input",
        multiplied=False,
        slope=True,
        signs="Blue: the target rises with it, orange: it falls.",
        limits=(
            "It is a slope at one point: where the network saturates, what decided may have none.",
            "It says how the target would respond, not what the input contributed.",
        ),
        formula="""
        For an element *x_i* of the input and the output *F* that is explained, in the units that the network reads:

            S_i(x) = |∂F(x)/∂x_i|

        with its sign where `absolute` is false. One forward and one backward pass. For ids it is the gradient at what
        their embedding gives.
        """,
        literature="""Simonyan, Vedaldi and Zisserman: *Deep inside convolutional networks*, arXiv:1312.6034, section
        3.""",
    )
)
