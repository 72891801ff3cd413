"""Is rollout the product of the papers, on cases that can be done by hand and beside a slow transcription?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.references import rollout as reference
from workers.attention.rollout import crossed_relevances, joined, relevances, rollouts, weighted, with_residual

UNIFORM = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]], dtype=torch.float64)
FIRST_ONLY = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Rows that sum to one."""
    return torch.softmax(2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), -1)


def close(ours: Tensor, theirs: reference.Matrix) -> None:
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float64), rtol=1e-12, atol=1e-14)


def test_two_layers_by_hand():
    """(U/2 + I/2) = [[3/4, 1/4], [1/4, 3/4]]; (F/2 + I/2) = [[1, 0], [1/2, 1/2]]."""
    once, twice = rollouts([UNIFORM, FIRST_ONLY])
    assert once.tolist() == [[[0.75, 0.25], [0.25, 0.75]]]
    assert twice.tolist() == [[[0.75, 0.25], [0.5, 0.5]]]


def test_the_layer_nearer_to_the_input_stands_on_the_right():
    _, other = rollouts([FIRST_ONLY, UNIFORM])
    assert other.tolist() == [[[0.875, 0.125], [0.625, 0.375]]]


def test_a_layer_that_attends_to_nothing_hands_its_tokens_on():
    assert with_residual(torch.zeros(1, 2, 2, dtype=torch.float64)).tolist() == [[[1.0, 0.0], [0.0, 1.0]]]


def test_gradients_below_zero_do_not_count_and_heads_are_averaged_after_that():
    weights = torch.tensor([[[[1.0, 0.0]], [[0.5, 0.5]]]])
    gradient = torch.tensor([[[[-2.0, 3.0]], [[4.0, 1.0]]]])
    assert weighted(weights, gradient).tolist() == [[[1.0, 0.25]]]


def test_relevance_of_two_layers_by_hand():
    """R1 = I + A; R2 = R1 + B R1, with A = [[0, 1], [0, 0]] and B = [[0, 0], [2, 0]]."""
    a = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    b = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]], dtype=torch.float64)
    once, twice = relevances([a, b])
    assert once.tolist() == [[[1.0, 1.0], [0.0, 1.0]]]
    assert twice.tolist() == [[[1.0, 1.0], [2.0, 3.0]]]


def test_a_decoder_of_one_cross_attention_over_an_encoder_without_layers_sees_its_weights():
    across = torch.tensor([[[0.2, 0.8], [0.5, 0.5]]], dtype=torch.float64)
    (made,) = crossed_relevances([], [("cross", across)], 2)
    assert made.source.tolist() == across.tolist()
    assert made.own.tolist() == [[[1.0, 0.0], [0.0, 1.0]]]


@pytest.mark.parametrize("how", ["mean", "max", "min"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_rollout_is_that_of_the_slow_transcription(how, depth):
    layers = [drawn(2, 3, 6, 6, seed=at) for at in range(depth)]
    ours = list(rollouts([joined(each, how) for each in layers]))
    for example in range(2):
        theirs = reference.rollout([each[example].tolist() for each in layers], how)
        for mine, other in zip(ours, theirs, strict=True):
            close(mine[example], other)


@pytest.mark.parametrize("depth", [1, 3])
def test_relevance_is_that_of_the_slow_transcription(depth):
    layers = [drawn(2, 3, 6, 6, seed=at) for at in range(depth)]
    gradients = [torch.randn(2, 3, 6, 6, dtype=torch.float64) for _ in layers]
    ours = list(relevances([weighted(a, g) for a, g in zip(layers, gradients, strict=True)]))
    for example in range(2):
        positive = [
            reference.positive(a[example].tolist(), g[example].tolist()) for a, g in zip(layers, gradients, strict=True)
        ]
        for mine, other in zip(ours, reference.relevance(positive), strict=True):
            close(mine[example], other)


@pytest.mark.parametrize("depth", [0, 2])
def test_relevance_through_an_encoder_and_a_decoder_is_that_of_the_slow_transcription(depth):
    encoder = [drawn(2, 6, 6, seed=at) for at in range(depth)]
    decoder = [
        ("self", drawn(2, 4, 4, seed=10)), ("cross", drawn(2, 4, 6, seed=11)),
        ("self", drawn(2, 4, 4, seed=12)), ("cross", drawn(2, 4, 6, seed=13)),
    ]  # fmt: skip
    ours = list(crossed_relevances(encoder, decoder, 6))
    for example in range(2):
        theirs = reference.crossed(
            [each[example].tolist() for each in encoder], [(kind, each[example].tolist()) for kind, each in decoder], 6
        )
        for mine, (source, own) in zip(ours, theirs, strict=True):
            close(mine.source[example], source)
            close(mine.own[example], own)
