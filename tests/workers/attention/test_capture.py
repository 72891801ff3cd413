"""Are the weights that are caught those the network uses, however its attention is written?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lamina.zoo.folders import FOLDERS
from tests.workers.attention.networks import (
    HEADS,
    HOW,
    TOKENS,
    WIDTH,
    ByHand,
    Layers,
    Rescaled,
    Torchs,
    Windows,
    by_hand,
    examples,
    made,
)
from workers.attention.capture import captured
from workers.attention.find import find
from workers.attention.operators import Attend
from workers.attention.refusals import AttentionRefused, NoAttention

pytestmark = pytest.mark.filterwarnings("ignore:::torch")


def weights(network: nn.Module, *x: Tensor) -> list[Tensor]:
    """(examples, heads, queries, keys) of each attention."""
    found = find(network, x, None)
    caught: list[Tensor] = []
    with torch.no_grad():
        captured(network, x, lambda each: (caught.append(each.weights), each.weights)[1])
    return [one.split(each, len(x[0])) for one, each in zip(found, caught, strict=True)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_weights_are_caught_however_attention_is_written(how, causal):
    network, x = made(Layers(1, how, causal=causal)), examples()
    (ours,) = weights(network, x)
    torch.testing.assert_close(ours, by_hand(network.layers[0], x), rtol=1e-12, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_an_exported_network_shows_the_same_weights(how):
    network, x = made(Layers(2, how, causal=True)), examples()
    program = torch.export.export(network, (x,), strict=False)
    for form in (program, program.run_decompositions()):
        exported = torch.export.unflatten(form)
        assert [each.key for each in find(exported, (x,), 4)] == ["layers.0", "layers.1"]
        caught: list[Tensor] = []
        with torch.no_grad():
            captured(exported, (x,), lambda each, kept=caught: (kept.append(each.weights), each.weights)[1])
        for mine, other in zip(caught, weights(network, x), strict=True):
            torch.testing.assert_close(mine.reshape(other.shape), other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("asked", [False, True])
def test_torchs_own_module_is_caught_whether_it_gives_its_weights_or_not(asked):
    network, x = made(Torchs(weights=asked)), examples()
    first, second = weights(network, x)
    mixed, one = network.layers[0](x, x, x, need_weights=True, average_attn_weights=False)
    after = x + mixed
    _, two = network.layers[1](after, after, after, need_weights=True, average_attn_weights=False)
    torch.testing.assert_close(first, one, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(second, two, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("first", [True, False])
def test_the_fast_path_of_torchs_encoder_is_not_taken(first):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=first)
    encoder, x = made(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)), examples()
    network = encoder if first else Turned(encoder)
    names = [each.key.removeprefix("inner.") for each in find(network, (x,), None)]
    assert names == ["layers.0.self_attn", "layers.1.self_attn"]


class Turned(nn.Module):
    """Tokens come first inside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(0, 1)).transpose(0, 1)


@pytest.mark.parametrize("how", HOW)
def test_the_network_answers_as_it_does_alone(how):
    network, x = made(Layers(2, how)), examples()
    with torch.no_grad():
        ours = captured(network, (x,), lambda each: each.weights)
        torch.testing.assert_close(ours, network(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("how", HOW)
def test_the_network_goes_on_with_the_weights_it_is_given(how):
    network, x = made(Layers(1, how)), examples()
    uniform = captured(network, (x,), lambda each: torch.full_like(each.weights, 1 / TOKENS))
    layer = network.layers[0]
    mixed = x + layer.out(layer.value(x).mean(1, keepdim=True).expand_as(x))
    torch.testing.assert_close(uniform, network.head(network.norm(mixed)[:, 0]), rtol=1e-12, atol=1e-14)


def test_no_hook_is_left_behind_even_where_the_pass_fails():
    network, x = made(Layers(2)), examples()

    def fail(_: object) -> Tensor:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        captured(network, (x,), fail)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    torch.softmax(x, -1)  # no mode is left either: nothing calls `fail`


@pytest.mark.filterwarnings("ignore:::transformers")
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "vit", "gpt", "llama", "t5"])
def test_classes_of_transformers_are_caught_as_they_say_it_themselves(name):
    family = FOLDERS[name]
    network, x = family.network(), family.prepared(family.examples())
    caught: list[Tensor] = []
    with torch.no_grad():
        captured(network, x, lambda each: (caught.append(each.weights), each.weights)[1])
        said = network.stock(**dict(zip(network._names, x, strict=True)), output_attentions=True)
    encoder = said.attentions if name != "t5" else said.encoder_attentions
    decoder = () if name != "t5" else zip(said.decoder_attentions, said.cross_attentions, strict=True)
    theirs = [*encoder, *(each for both in decoder for each in both)]
    assert len(caught) == len(theirs) == (6 if name == "t5" else 2)
    for mine, other in zip(caught, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


class TestOneCallForAll:
    """scaled_dot_product_attention, done in steps."""

    def drawn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)

    def check(self, q: Tensor, k: Tensor, v: Tensor, **given: object) -> Attend:
        attend = Attend.read("scaled_dot_product_attention", (q, k, v), given)
        assert attend is not None
        theirs = functional.scaled_dot_product_attention(q, k, v, **given)
        torch.testing.assert_close(attend.mixed(attend.weights()), theirs, rtol=1e-12, atol=1e-14)
        return attend

    @pytest.mark.parametrize("causal", [False, True])
    @pytest.mark.parametrize("scale", [None, 0.3])
    def test_plain_causal_and_scaled(self, causal, scale):
        self.check(
            self.drawn(2, 3, 4, 8), self.drawn(2, 3, 5, 8), self.drawn(2, 3, 5, 6), is_causal=causal, scale=scale
        )

    def test_a_boolean_mask_and_one_that_is_added(self):
        q, k, v = self.drawn(2, 3, 4, 8), self.drawn(2, 3, 5, 8), self.drawn(2, 3, 5, 6)
        self.check(q, k, v, attn_mask=self.drawn(4, 5) > -0.5)
        self.check(q, k, v, attn_mask=self.drawn(2, 1, 4, 5))

    def test_a_query_that_may_attend_to_nothing_gives_zeros_and_a_finite_gradient(self):
        q, k, v = (self.drawn(1, 1, 3, 4).requires_grad_() for _ in range(3))
        mask = torch.ones(3, 3, dtype=torch.bool)
        mask[1] = False
        attend = self.check(q, k, v, attn_mask=mask)
        assert attend.weights()[0, 0, 1].tolist() == [0.0, 0.0, 0.0]
        (slope,) = torch.autograd.grad(attend.mixed(attend.weights()).sum(), [q])
        assert bool(torch.isfinite(slope).all())

    def test_heads_of_queries_that_share_keys_and_values(self):
        self.check(self.drawn(2, 4, 5, 8), self.drawn(2, 2, 5, 8), self.drawn(2, 2, 5, 8), enable_gqa=True)

    def test_the_operators_behind_it_take_their_arguments_in_another_order(self):
        q, k, v = (self.drawn(2, 3, 4, 8) for _ in range(3))
        operators = torch.ops.aten
        for name, more in (
            ("_scaled_dot_product_flash_attention_for_cpu", (0.0, True)),
            ("_scaled_dot_product_attention_math", (None, 0.0, True)),
        ):
            attend = Attend.read(name, (q, k, v, *more), {})
            assert attend is not None
            theirs = getattr(operators, name).default(q, k, v, *more)[0]
            torch.testing.assert_close(attend.mixed(attend.weights()), theirs, rtol=1e-12, atol=1e-14)


class TestFinding:
    """What is told of an attention before anything is computed of it."""

    def test_heads_tokens_and_what_a_token_may_see(self):
        first, second = find(made(Layers(2, causal=True)), (examples(),), None)
        assert (first.key, first.heads, first.queries, first.keys) == ("layers.0", HEADS, TOKENS, TOKENS)
        assert (first.reads, first.causal) == ("self", True)
        assert second.made_from.queries & first.bit
        assert not find(made(Layers(1)), (examples(),), None)[0].causal

    def test_attention_without_heads_has_one(self):
        class Single(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return (torch.softmax(x @ x.mT, -1) @ x)[:, 0]

        (only,) = find(Single(), (examples(),), None)
        assert (only.key, only.heads) == ("", 1)

    def test_a_layer_that_runs_twice_has_two_names(self):
        class Again(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = ByHand()

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(self.layer(x))[:, 0]

        assert [each.key for each in find(made(Again()), (examples(),), None)] == ["layer@0", "layer@1"]

    def test_a_network_of_one_batch_size_is_read_at_that(self):
        network, x = made(Layers(2, "bmm")), examples(3)
        exported = torch.export.unflatten(torch.export.export(network, (x,), strict=False))
        assert [each.heads for each in find(exported, (x,), 3)] == [HEADS, HEADS]

    def test_a_single_example_is_enough(self):
        assert find(made(Layers(1, "bmm")), (examples(1),), None)[0].heads == HEADS

    def test_a_network_without_attention_says_so(self):
        class Gate(nn.Module):
            """A softmax, and a product after it, of what is no score of queries and keys."""

            def __init__(self) -> None:
                super().__init__()
                self.gate = nn.Linear(WIDTH, TOKENS)

            def forward(self, x: Tensor) -> Tensor:
                return (torch.softmax(self.gate(x), -1) @ x)[:, 0]

        for network in (Gate(), nn.Sequential(nn.Linear(WIDTH, 3), nn.Softmax(-1))):
            with pytest.raises(NoAttention, match="no attention was found"):
                find(made(network), (examples(),), None)

    def test_weights_that_are_changed_after_their_softmax_are_refused(self):
        with pytest.raises(AttentionRefused, match="no longer sum to one"):
            find(made(Rescaled()), (examples(),), None)

    def test_windows_are_refused(self):
        with pytest.raises(AttentionRefused, match="windows or groups"):
            find(made(Windows()), (examples(tokens=4),), None)

    def test_attention_across_the_examples_of_a_batch_is_refused(self):
        class Across(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                turned = x.transpose(0, 1)
                return (torch.softmax(turned @ turned.mT, -1) @ turned).transpose(0, 1)[:, 0]

        with pytest.raises(AttentionRefused, match="across the examples"):
            find(Across(), (examples(),), None)
