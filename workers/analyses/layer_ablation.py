"""By how much does the target fall when a channel, a token or a unit of a layer is taken away?

    F(x) - F(x; the group's units := their fill)

Meyes, Lu, de Puiseau and Meisen, Ablation studies in artificial neural networks, arXiv:1901.08644.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import LayersFromBaseline
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.suffix.ablation import LayerAblation
from workers.suffix.groups import Along
from workers.sweep.ready import Prepared


class AblationParameters(LayersFromBaseline):
    """What to explain, what is taken away together, and what stands in its place."""

    along: Along = Field(
        "first",
        description="Units taken away together: first (channels of pictures, tokens of texts), last (features of"
        " tokens, time steps of channels-first series), or each unit alone.",
    )
    fill: Literal["zero", "baseline", "mean"] = Field(
        "zero", description="What they become: zero, the layer's value at the baseline, or its mean over the examples."
    )


def _method(parameters: AblationParameters, _ready: Prepared, _subject: Subject) -> LayerAblation:
    return LayerAblation(along=parameters.along, fill=parameters.fill)


KIND = attribution_kind(
    Attribution(
        name="layer_ablation",
        version=1,
        title="Ablation of every layer",
        question="By how much does the target fall when a channel, a token or a unit of each layer is taken away?",
        source="Meyes et al. 2019, arXiv:1901.08644, and for the mean Wang et al. 2022, arXiv:2211.00593",
        noun="drop",
        places="layers",
        parameters=AblationParameters,
        method=_method,
        multiplied=False,
        forward=True,
        limits=(
            "Drops do not add up: two groups that stand in for each other both have none.",
            "A layer without a group of its units is a state that the network may never have seen.",
        ),
        formula="""
        For each group *g* of units of a layer, alone, with the rest of the network running on:

            Drop_g(x) = F(x) − F(x; h_g := fill_g)

        Groups lie along the first or the last axis of one example's output, or are single units; a layer with one axis
        has one group for each unit. Only what lies behind the layer is run again, all groups in batches. Layers of more
        than 16 384 groups are refused.
        """,
        literature="""Meyes, Lu, de Puiseau and Meisen: *Ablation studies in artificial neural networks*,
        arXiv:1901.08644. For the mean: Wang, Variengien, Conmy, Shlegeris and Steinhardt, arXiv:2211.00593. captum 0.9
        has it as `LayerFeatureAblation`.""",
    )
)
