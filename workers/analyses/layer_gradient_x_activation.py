"""How much of the target does each unit hold, to first order, as the network stands at the input?

    h_j · ∂F(x)/∂h_j

as captum's LayerGradientXActivation; on inputs Shrikumar et al., arXiv:1605.01713, section 3.
"""

from __future__ import annotations

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import OfLayers
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.at_input import GradientXActivation
from workers.sweep.ready import Prepared


class GradientXActivationParameters(OfLayers):
    """What to explain."""


def _method(_parameters: GradientXActivationParameters, _ready: Prepared, _subject: Subject) -> GradientXActivation:
    return GradientXActivation()


KIND = attribution_kind(
    Attribution(
        name="layer_gradient_x_activation",
        version=1,
        title="Gradient times activation of every layer",
        question="How much of the target does each unit of each layer hold, to first order, at the input?",
        source="Shrikumar et al. 2016, arXiv:1605.01713, section 3, taken at layers as captum does",
        noun="gradient x activation",
        places="layers",
        parameters=GradientXActivationParameters,
        method=_method,
        multiplied=False,
        formula="""
        For a unit *h_j* of a layer, at the input *x*, with the output *F* that is explained:

            A_j(x) = h_j(x) · ∂F(x)/∂h_j

        One forward and one backward pass serve all layers. Ids count as what their embedding gives.
        """,
        literature="""Shrikumar, Greenside, Shcherbina and Kundaje: *Not just a black box*, arXiv:1605.01713, section 3,
        taken at layers as captum 0.9's `LayerGradientXActivation` does.""",
        limits=(
            "It is a first-order picture at one point: where the network saturates, what matters may get nothing.",
            "Nothing promises that it adds up to the output.",
        ),
    )
)
