"""Through which parts of the input does the output's change reach chosen units, and through them the target?

    (x_k - x'_k) ∫₀¹ ∂F/∂h_j · ∂h_j/∂x_k dα

Dhamdhere, Sundararajan and Yan, arXiv:1805.12233, equation 1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import LayerName
from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import FromBaseline, Steps
from workers.attribution.spec import Attribution
from workers.kind import AnalysisError
from workers.subject.subject import Subject
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule


class NeuronConductanceParameters(FromBaseline):
    """Which units, from where, and how finely."""

    layer: LayerName = Field(
        "", description="The layer whose units are meant, as layer_conductance names it; empty for the last layer."
    )
    units: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]{1,9}(,[0-9]{1,9}){0,4}$")], ...],
        Field(max_length=64, strict=False),
    ] = Field((), description="The units, each by its index in one example's output: 3 or 3,0,7; empty for the first.")
    steps: Steps = Field(50, description="Steps along the path.")
    rule: Rule = Field("trapezoid", description="trapezoid (equal steps) or captum (Gauss-Legendre nodes).")


def _method(parameters: NeuronConductanceParameters, ready: Prepared, _subject: Subject) -> NeuronConductance:
    able = [tap for tap in ready.layers if tap.status == "on_path" and tap.same_as is None]
    if not able:
        raise AnalysisError("layer", "no layer of this model has units with a conductance")
    layer = parameters.layer or able[-1].key
    chosen = tuple(tuple(int(i) for i in unit.split(",")) for unit in parameters.units)
    tap = next((tap for tap in ready.probe.taps if tap.key == layer), None)
    if not chosen and tap is not None:
        chosen = (tuple(0 for _ in tap.shape),)
    return NeuronConductance(layer=layer, chosen=chosen, steps=parameters.steps, rule=parameters.rule)


KIND = attribution_kind(
    Attribution(
        name="neuron_conductance",
        version=1,
        title="Conductance of chosen units by input",
        question="Through which parts of the input does the output's change reach the chosen units, and through"
        " them the target?",
        source="Dhamdhere, Sundararajan and Yan 2018, arXiv:1805.12233, equation 1",
        noun="conductance of the chosen units",
        places="inputs",
        parameters=NeuronConductanceParameters,
        method=_method,
        multiplied=True,
        limits=(
            "It speaks of the chosen units alone: what reaches the target by others is not in it.",
            "Summed over the input it is the units' conductance, not the output's change; that this holds is checked.",
        ),
        formula="""
        For a chosen unit *h_j* of a layer and each element *x_k* of the input:

            Cond_jk(x) = (x_k − x'_k) ∫₀¹ ∂F(x' + α(x − x'))/∂h_j · ∂h_j/∂x_k dα

        Summed over *k* it is the unit's conductance, which is also found from the unit's own values along the path
        (equation 2); the difference is told for each unit, and is a necessary check of the certificate. Each step takes
        one forward pass, one backward pass from the target to the layer, and one from each chosen unit to the input.
        The attribution has the chosen units along its first axis.
        """,
        literature="""Dhamdhere, Sundararajan and Yan: *How important is a neuron?*, arXiv:1805.12233, equation 1.""",
    )
)
