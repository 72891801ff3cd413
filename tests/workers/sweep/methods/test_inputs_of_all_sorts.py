"""Ids that enter through an embedding, masks that are held, several inputs, and networks that take one batch size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers.sweep.methods.made import CLASSES, attributed, checked, ready, worst
from workers.sweep.embedded import Ids
from workers.sweep.method import Method
from workers.sweep.methods.at_input import Activation, GradientXActivation, InputXGradient, Saliency
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.gradient_shap import GradientShap
from workers.sweep.methods.internal_influence import IntegratedGradients, InternalInfluence
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.methods.smoothgrad import SmoothGrad
from workers.sweep.methods.within import IntegratedGradientsWithin
from workers.sweep.ready import Prepared

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor . did not already require gradients")  # captum's own

TEXT = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [1, 1, 2, 9, 9, 8]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])

METHODS: list[Method] = [
    Activation(), GradientXActivation(), InternalInfluence(steps=4), Saliency(), InputXGradient(),
    IntegratedGradients(steps=4), SmoothGrad(samples=3), GradientShap(samples=3), GradientShap(samples=2, noise=0.1),
    NeuronConductance(layer="inner.mix", chosen=((0, 3), (2, 7)), steps=4),
    IntegratedGradientsWithin(tolerance=0.5, most_steps=16),
]  # fmt: skip


def text() -> Prepared:
    start = Ids(origin="zero", real=MASK.bool(), low=0, high=9)
    return ready(networks.ready(networks.Reader()), (TEXT, MASK), CLASSES, (start, MASK))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_ids_move_as_their_embedding_and_captum_agrees(method):
    given = text()
    made = attributed(method, given)
    assert worst(checked(method, given)) <= 1e-10
    if not isinstance(method, Activation):  # which padding has too
        assert made["input"].shape[-2:] == (6, 8)  # tokens by the width of the embedding
        padding = made["input"].reshape(3, -1, 6, 8)[1, :, 3:]
        assert float(padding.abs().max()) == 0  # the mask holds, and padding has no part


def test_integrated_gradients_of_text_are_complete():
    made = attributed(IntegratedGradients(steps=60), text())
    torch.testing.assert_close(made.totals.signed("input"), made.ends.difference, rtol=1e-8, atol=1e-10)


def test_several_inputs_have_their_own_numbers_and_draw_their_own_noise():
    x, y = networks.points(6, 6).split(3)
    given = ready(networks.ready(networks.Siamese()), (x, y), CLASSES)
    for method in (
        Saliency(), InputXGradient(), IntegratedGradients(steps=4), SmoothGrad(samples=3, ranges=(1.0, 3.0)),
        GradientShap(samples=3), NeuronConductance(layer="head", chosen=((1,),), steps=3),
    ):  # fmt: skip
        if not isinstance(method, GradientShap):
            assert set(attributed(method, given).of) == {"input", "input_2"}
        assert worst(checked(method, given)) <= 1e-10, method


class Rows(nn.Module):
    """Takes so many rows and no other number; any where that is None."""

    def __init__(self, rows: int | None) -> None:
        super().__init__()
        self.inner, self.rows = networks.mlp(), rows

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x if self.rows is None else x.view(self.rows, 6))


@pytest.mark.parametrize(
    "method",
    [
        Activation(), GradientXActivation(), Saliency(), IntegratedGradients(steps=5), Conductance(steps=5),
        SmoothGrad(samples=3), GradientShap(samples=3), GradientShap(samples=3, noise=0.2),
        NeuronConductance(layer="inner.0", chosen=((2,), (5,)), steps=5), IntegratedGradientsWithin(tolerance=0.2),
    ],
    ids=lambda method: method.name,
)  # fmt: skip
def test_one_batch_size_gives_the_numbers_of_any(method):
    x = networks.points(3, 6)
    fixed, free = (ready(Rows(rows).eval(), x, CLASSES, rows=rows) for rows in (4, None))
    here, there = attributed(method, fixed), attributed(method, free)
    for key, each in here.of.items():
        torch.testing.assert_close(each, there[key], rtol=1e-10, atol=1e-14)
    assert all("takes exactly 4 rows" in check.reason for check in checked(method, fixed))
