"""Which networks does rollout have a rule for, and what is said of the others?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from tests.workers.attention.networks import (
    WIDTH,
    BothWays,
    ByHand,
    Layers,
    Merging,
    Pooled,
    SideBySide,
    Translator,
    examples,
    made,
)
from workers.attention.find import find
from workers.attention.refusals import AttentionRefused, NoAttention
from workers.attention.run import Question, check
from workers.attention.structure import EncoderDecoder, Stack, structure


def of(network: nn.Module, *x: Tensor) -> Stack | EncoderDecoder:
    return structure(find(network, x, None))


def test_nothing_has_no_structure():
    with pytest.raises(NoAttention):
        structure(())


def test_layers_that_are_merged_between_are_refused():
    with pytest.raises(AttentionRefused, match="4 tokens in 'first' and 2 in 'second'"):
        of(made(Merging()), examples(tokens=4))


def test_two_sequences_side_by_side_are_refused():
    with pytest.raises(AttentionRefused, match="two sequences attend side by side"):
        of(made(SideBySide()), examples(), examples(seed=2))


def test_two_sequences_that_attend_to_each_other_are_refused():
    with pytest.raises(AttentionRefused, match="do not all read the same sequence"):
        of(made(BothWays()), examples(), examples(seed=2))


def test_cross_attention_alone_is_refused():
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cross = ByHand()

        def forward(self, x: Tensor, over: Tensor) -> Tensor:
            return self.cross(x, over)[:, 0]

    with pytest.raises(AttentionRefused, match="only cross-attention"):
        of(made(Cross()), examples(), examples(seed=2))  # of the same length, so that shapes do not tell


def test_a_stack_is_its_layers_in_the_order_in_which_they_run():
    stack = of(made(Layers(3)), examples())
    assert isinstance(stack, Stack)
    assert [each.key for each in stack.layers] == ["layers.0", "layers.1", "layers.2"]


def test_attention_that_pools_the_tokens_stands_aside():
    stack = of(made(Pooled()), examples())
    assert isinstance(stack, Stack)
    assert [each.key for each in stack.layers] == ["layers.0", "layers.1"]
    assert [each.key for each in stack.aside] == ["pool"]


def test_an_encoder_and_its_decoder_are_told_apart_by_what_they_are_made_from():
    for text in (examples(tokens=3, seed=2), examples(seed=2)):
        both = of(made(Translator()), examples(), text)
        assert isinstance(both, EncoderDecoder)
        assert [each.key for each in both.encoder.layers] == ["encoder.0", "encoder.1"]
        assert [each.key for each in both.decoder] == ["own.0", "cross.0", "own.1", "cross.1"]
        assert (both.encoder.tokens, both.tokens) == (5, text.shape[1])


def test_torchs_transformer_that_reads_one_sequence_twice_is_an_encoder_and_a_decoder():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Transformer(WIDTH, 2, 2, 2, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.both(x, x)[:, 0]

    both = of(made(Twice()), examples())
    assert isinstance(both, EncoderDecoder)
    assert [len(both.encoder.layers), len(both.decoder), len(both.crossed)] == [2, 4, 2]


def test_a_sequence_that_reads_another_without_layers_of_its_own_is_a_decoder():
    class Conditioned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own, self.cross = ByHand(), ByHand()

        def forward(self, x: Tensor, over: Tensor) -> Tensor:
            x = x + self.own(x)
            return (x + self.cross(x, over))[:, 0]

    both = of(made(Conditioned()), examples(), examples(tokens=3, seed=2))
    assert isinstance(both, EncoderDecoder)
    assert (both.encoder.layers, both.encoder.tokens) == ((), 3)


def test_learned_queries_that_attend_to_themselves_and_to_an_encoder_are_a_decoder():
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.own, self.cross = ByHand(), ByHand(), ByHand()
            self.queries = nn.Parameter(torch.ones(1, 3, WIDTH))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.encoder(x)
            queries = self.queries.expand(len(x), -1, -1)
            queries = queries + self.own(queries)
            return self.cross(queries, x)[:, 0]

    both = of(made(Detector()), examples())
    assert isinstance(both, EncoderDecoder)
    assert [each.key for each in both.decoder] == ["own", "cross"]


@pytest.mark.parametrize("name", ["transformer", "vit", "bert", "gpt"])
def test_the_zoos_networks_of_one_sequence_are_stacks(name):
    family = FAMILIES[name]
    stack = of(family.network(), *family.prepared(family.examples()))
    assert isinstance(stack, Stack)
    assert len(stack.layers) == 2


def test_the_zoos_summariser_is_an_encoder_and_a_decoder():
    family = FAMILIES["t5"]
    both = of(family.network(), *family.prepared(family.examples()))
    assert isinstance(both, EncoderDecoder)
    with pytest.raises(AttentionRefused, match='ask for the rule "gradient"'):
        check(both, Question(rule="rollout", heads="mean", read="target"))


@pytest.mark.parametrize("name", ["mlp", "resnet", "lstm", "capsules", "experts", "experts_sparse"])
def test_the_zoos_other_networks_have_no_attention(name):
    family = FAMILIES[name]
    with pytest.raises(NoAttention):
        of(family.network(), *family.prepared(family.examples()))


def test_a_position_that_is_not_there_is_refused():
    with pytest.raises(AttentionRefused, match="no position 5: the sequence has 5 tokens"):
        check(of(made(Layers()), examples()), Question(rule="rollout", heads="mean", read="position:5"))
