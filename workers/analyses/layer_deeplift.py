"""How much does what a layer changed by, from baseline to input, add to what the target changed by?

Shrikumar, Greenside and Kundaje, Learning important features through propagating activation differences,
arXiv:1704.02685, the rescale rule.
"""

from __future__ import annotations

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import CompleteLayers
from workers.attribution.spec import Attribution
from workers.rescale.deep_lift import DeepLift
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared


class DeepLiftParameters(CompleteLayers):
    """What to explain, and from where."""


def _method(_parameters: DeepLiftParameters, _ready: Prepared, _subject: Subject) -> DeepLift:
    return DeepLift()


KIND = attribution_kind(
    Attribution(
        name="layer_deeplift",
        version=1,
        title="DeepLIFT of every layer",
        question="How much of the output's change, from the baseline to the input, does each unit's own change account"
        " for?",
        source="Shrikumar, Greenside and Kundaje 2017, arXiv:1704.02685, rescale rule, section 3.5.1",
        noun="contribution",
        places="layers",
        parameters=DeepLiftParameters,
        method=_method,
        multiplied=True,
        limits=(
            "Secants between the ends stand for all between them: what goes up and down again on the way looks flat.",
            "Operations without a stated rule refuse the layers before them: their numbers would not add up.",
        ),
        formula="""
        With Δh = h(x) − h(x') for every tensor of the network, each operation passes multipliers *m* back so that the
        contributions *m_j Δh_j* of a layer add up to the change of the target:

            C_j(x) = m_j Δh_j,    m_in = m_out · Δy / Δz   for an elementwise y = f(z)

        (the derivative where |Δz| is tiny, as captum does). Linear operations pass gradients. Products of two things
        that change, divisions, max-pooling, softmax, normalisations, attention and recurrent cells have rules of their
        own that are complete, whether they are modules, functions or operations of an exported graph, and reused ones
        count for each use. One forward pass of input and baseline together and one backward pass serve all layers.
        """,
        literature="""Shrikumar, Greenside and Kundaje: *Learning important features through propagating activation
        differences*, arXiv:1704.02685, section 3.5.1; as modified gradients Ancona, Ceolini, Öztireli and Gross,
        arXiv:1711.06104.""",
    )
)
