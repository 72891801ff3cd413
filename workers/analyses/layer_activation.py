"""What does each layer hold at the input?

    h_j(x)

The values themselves, which every other attribution is read beside.
"""

from __future__ import annotations

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import OfLayers
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.at_input import Activation
from workers.sweep.ready import Prepared


class ActivationParameters(OfLayers):
    """What is looked at."""


def _method(_parameters: ActivationParameters, _ready: Prepared, _subject: Subject) -> Activation:
    return Activation()


KIND = attribution_kind(
    Attribution(
        name="layer_activation",
        version=1,
        title="Activation of every layer",
        question="What does each layer give at the input, unit by unit?",
        source="Erhan et al. 2009, Visualizing higher-layer features; arXiv:1312.6034 has the gradients beside it",
        noun="activation",
        places="layers",
        parameters=ActivationParameters,
        method=_method,
        unit=lambda _target: "layer output",
        signs="Blue is above zero, orange below.",
        multiplied=False,
        severed=False,
        limits=(
            "It explains nothing by itself: a large value may have no influence on the output.",
            "Values of different layers have different scales and are not to be compared.",
        ),
        formula="""
        The value *h_j(x)* of every unit of every layer, as the layer gives it at the input *x*: one forward pass, no
        gradient. Layers that the target does not depend on are left out, as in every attribution. The target is chosen
        only to say which those are.
        """,
        literature="""Erhan, Bengio, Courville and Vincent: *Visualizing higher-layer features of a deep network*, 2009.
        captum 0.9 calls it `LayerActivation`. What the values do to the output is another question: Simonyan, Vedaldi
        and Zisserman, arXiv:1312.6034.""",
    )
)
