"""How much of the target does each part of the input hold, to first order?

    x_i · ∂F(x)/∂x_i

Shrikumar et al., Not just a black box, arXiv:1605.01713, section 3.
"""

from __future__ import annotations

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.at_input import InputXGradient
from workers.sweep.ready import Prepared


class InputXGradientParameters(AttributionParameters):
    """What to explain."""


def _method(_parameters: InputXGradientParameters, _ready: Prepared, _subject: Subject) -> InputXGradient:
    return InputXGradient()


KIND = attribution_kind(
    Attribution(
        name="input_x_gradient",
        version=1,
        title="Input times gradient",
        question="How much of the target does each part of the input hold, to first order?",
        source="Shrikumar et al. 2016, arXiv:1605.01713, section 3",
        noun="input x gradient",
        places="inputs",
        parameters=InputXGradientParameters,
        method=_method,
        multiplied=False,
        limits=(
            "It is a first-order picture at one point: where the network saturates, what matters may get nothing.",
            "Zero is its hidden baseline, in the units that the network reads: parts that are zero there get nothing.",
        ),
        formula="""
        For an element *x_i* of the input and the output *F* that is explained, in the units that the network reads:

            A_i(x) = x_i · ∂F(x)/∂x_i

        For ids, *x* is what their embedding gives. One forward and one backward pass. For piecewise linear networks
        without biases it adds up to F(x).
        """,
        literature="""Shrikumar, Greenside, Shcherbina and Kundaje: *Not just a black box*, arXiv:1605.01713, section
        3.""",
    )
)
