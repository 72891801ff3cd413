"""Does the lens read each block's state as the model's own head would?"""

from __future__ import annotations

import copy
from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.family import facts, tokens
from lamina.zoo.folders import FOLDERS
from tests.workers.lens.networks import TOKENS, WORDS, Decides, of_family, prepared
from tests.workers.subjects import subject
from workers.lens.blocks import blocks
from workers.lens.refusals import NoLens
from workers.lens.run import Block, decided, read
from workers.numerics.determinism import NotFinite
from workers.sweep.ready import Prepared
from workers.sweep.refusals import UnknownTap

pytestmark = [pytest.mark.filterwarnings("ignore:::torch"), pytest.mark.filterwarnings("ignore:::transformers")]
GPT = FAMILIES["gpt"]


def decides(network: nn.Module, ids: list[list[int]]) -> Prepared:
    declared = facts("next_token", tokens(TOKENS, WORDS))
    return prepared(subject(network.eval(), torch.tensor(ids), None, declared), examples=len(ids))


def whole(ready: Prepared, batch: int = 4) -> Block:
    made = list(read(ready, blocks(ready), batch))
    names = ("token", "probability", "rank", "divergence", "best", "share", "difference")
    return Block(0, *(torch.cat([getattr(each, name) for each in made]) for name in names))


def test_a_model_that_can_be_done_by_hand():
    """After the embedding token 0 stands at 1; block one adds 2 to token 1, block two 3 to token 2."""
    ours = whole(decides(Decides([0, 2, 0, 0], [0, 0, 3, 0]), [[1, 2, 0], [3, 3, 2]]))
    e = exp(1)
    final = e + e**2 + e**3 + 1
    assert ours.token.tolist() == [2, 2]
    assert ours.probability[0].tolist() == pytest.approx([1 / (e + 3), 1 / (e + e**2 + 2), e**3 / final])
    assert ours.rank.tolist() == [[2, 3, 1], [1, 2, 1]]  # of equals none stands before another
    assert ours.best[0, :, 0].tolist() == [0, 1, 2]
    assert ours.decided.tolist() == [2, 2]


def test_divergence_is_that_from_the_final_distribution():
    ours = whole(decides(Decides([0, 2, 0, 0], [0, 0, 3, 0]), [[1, 2, 0]]))
    e = exp(1)
    final = [each / (e + e**2 + e**3 + 1) for each in (e, e**2, e**3, 1.0)]
    before = [each / (e + e**2 + 2) for each in (e, e**2, 1.0, 1.0)]
    expected = sum(p * log(p / q) for p, q in zip(final, before, strict=True))
    assert float(ours.divergence[0, 1]) == pytest.approx(expected)
    assert float(ours.divergence[0, 2]) == 0


@pytest.mark.parametrize(
    ("first", "expected"),
    [([[1, 1, 1]], 0), ([[0, 1, 1]], 1), ([[1, 0, 1]], 2), ([[0, 0, 0]], 3), ([[1, 1, 0]], 3)],
)
def test_decided_is_the_layer_from_which_it_stays_first(first, expected):
    assert decided(torch.tensor(first, dtype=torch.bool)).tolist() == [expected]


def by_hand(network: nn.Module, ids: Tensor) -> list[Tensor]:
    """The lens of the zoo's causal network at its last place, embedding first."""
    states = [network.words(ids)]
    x = states[0] + network.positions(torch.arange(ids.shape[1]))
    for layer in network.layers:
        x = layer(x, network.ahead)
        states.append(x)
    return [network.head(network.norm(state))[:, -1] for state in states]


@pytest.mark.parametrize("form", ["module", pytest.param("export", marks=pytest.mark.slow)])
def test_it_is_the_final_norm_and_the_head_on_each_state(form):
    network = GPT.network().double()
    ids = GPT.examples()[0]
    with torch.no_grad():
        expected = by_hand(network, ids)
    given = network
    if form == "export":
        given = torch.export.unflatten(torch.export.export(network, (ids,), strict=False))
    ready = prepared(of_family(GPT, given, 4 if form == "export" else None))
    assert [tap.key for tap in blocks(ready).all] == ["words", "layers.0", "layers.1"]
    ours = whole(ready)
    token = expected[-1].argmax(1)
    assert ours.token.tolist() == token.tolist()
    final = torch.log_softmax(expected[-1], 1)
    for at, logits in enumerate(expected):
        said = torch.log_softmax(logits, 1)
        wanted = said.gather(1, token[:, None])
        torch.testing.assert_close(ours.probability[:, at], wanted.exp()[:, 0], rtol=1e-12, atol=0)
        assert ours.rank[:, at].tolist() == (1 + (said > wanted).sum(1)).tolist()
        divergence = (final.exp() * (final - said)).sum(1)
        torch.testing.assert_close(ours.divergence[:, at], divergence, rtol=1e-10, atol=1e-13)
        assert ours.best[:, at].tolist() == said.topk(5, 1).indices.tolist()


@pytest.mark.parametrize("name", ["gpt", "llama", "t5"])
def test_on_classes_of_transformers_it_is_their_head_on_their_own_hidden_states(name):
    family = FOLDERS[name]
    network = family.network()
    ready = prepared(of_family(family, network))
    found, ours = blocks(ready), whole(ready)
    x = family.examples()
    with torch.no_grad():
        said = network.stock(**dict(zip(network._names, x, strict=True)), output_hidden_states=True)
        hidden = said.decoder_hidden_states[1:-1] if name == "t5" else said.hidden_states[:-1]
        norm = {"gpt": "transformer.ln_f", "llama": "model.norm", "t5": "decoder.final_layer_norm"}[name]
        norm = network.get_submodule(norm)
        scale = network.stock.config.d_model**-0.5 if name == "t5" and network.stock.config.scale_decoder_outputs else 1
        at = torch.full((4,), 3) if name == "t5" else x[1].sum(1) - 1
        read = [network.lm_head(norm(state) * scale)[torch.arange(4), at] for state in hidden]
    assert len(found.all) == len(read) + 1  # the last hidden state they give is behind the final norm
    for layer, logits in enumerate(read):
        expected = torch.softmax(logits.double(), 1).gather(1, ours.token[:, None])[:, 0]
        torch.testing.assert_close(ours.probability[:, layer], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("source", [FAMILIES, FOLDERS])
@pytest.mark.parametrize("name", ["gpt", "t5"])
def test_after_the_last_block_it_is_the_model_itself_to_the_last_bit(source, name):
    family = source[name]
    ours = whole(prepared(of_family(family, family.network())))
    assert ours.difference.tolist() == [0.0] * 4
    assert ours.rank[:, -1].tolist() == [1] * 4
    assert ours.divergence[:, -1].tolist() == [0.0] * 4


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_change_nothing(batch):
    ready = prepared(of_family(GPT, GPT.network().double()))
    one, cut = whole(ready), whole(ready, batch)
    assert one.rank.tolist() == cut.rank.tolist()
    torch.testing.assert_close(one.probability, cut.probability, rtol=1e-12, atol=0)


def test_a_named_position_is_read_there():
    network = GPT.network().double()
    ready = prepared(of_family(GPT, network), position="2")
    with torch.no_grad():
        expected = network(GPT.examples()[0])[:, 2].argmax(1)
    assert whole(ready).token.tolist() == expected.tolist()


def test_the_model_is_left_as_it_was():
    network = GPT.network()
    before = copy.deepcopy(network)
    whole(prepared(of_family(GPT, network)))
    ids = GPT.examples()[0]
    assert torch.equal(network(ids), before(ids))
    assert not any("forward" in vars(module) or module._forward_hooks for module in network.modules())


class TestBlocks:
    """Which layers are the blocks?"""

    def test_layers_that_are_named_take_their_place(self):
        ready = prepared(of_family(GPT, GPT.network()))
        assert [tap.key for tap in blocks(ready, ("layers.1",)).blocks] == ["layers.1"]

    def test_the_only_block_is_found_without_what_stands_around_it(self):
        class Stacked(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.words, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)
                layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
                self.stack = nn.TransformerEncoder(layer, 1, nn.LayerNorm(8), enable_nested_tensor=False)

            def forward(self, ids: Tensor) -> Tensor:
                ahead = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
                return self.head(self.stack(self.words(ids), mask=ahead, is_causal=True))

        ready = prepared(of_family(GPT, Stacked().eval()))
        assert [tap.key for tap in blocks(ready).all] == ["words", "stack.layers.0"]

    def test_an_unknown_layer_is_named(self):
        ready = prepared(of_family(GPT, GPT.network()))
        with pytest.raises(UnknownTap, match=r"layers\.7: no such layer ran"):
            blocks(ready, ("layers.7",))

    def test_a_layer_that_is_passed_by_is_refused(self):
        ready = prepared(of_family(GPT, GPT.network()))
        with pytest.raises(NoLens, match=r"'layers\.0\.attention' gives nothing"):
            blocks(ready, ("layers.0.attention",))

    def test_states_of_other_widths_are_refused(self):
        class Widens(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.words = nn.Embedding(20, 4)
                self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 8)
                self.head = nn.Linear(8, 20)

            def forward(self, ids: Tensor) -> Tensor:
                return self.head(self.second(self.first(self.words(ids))))

        ready = prepared(of_family(GPT, Widens().eval()))
        with pytest.raises(NoLens, match=r"shapes \(6, 4\), \(6, 8\)"):
            blocks(ready, ("first", "second"))

    def test_a_network_without_attention_asks_for_names(self):
        class Recurrent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.words, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)
                self.first, self.second = (nn.GRU(8, 8, batch_first=True) for _ in range(2))

            def forward(self, ids: Tensor) -> Tensor:
                return self.head(self.second(self.first(self.words(ids))[0])[0])

        ready = prepared(of_family(GPT, Recurrent().eval()))
        with pytest.raises(NoLens, match="name them as layers"):
            blocks(ready)
        named = blocks(ready, ("first", "second"))
        assert [tap.key for tap in named.all] == ["words", "first:0", "second:0"]
        (made,) = read(ready, named, 4)
        assert made.difference.tolist() == [0.0] * 4

    def test_a_block_that_runs_twice_is_read_twice(self):
        class Shared(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = Decides([0, 1, 0, 0])

            def forward(self, ids: Tensor) -> Tensor:
                state = self.inner.words(ids)
                return self.inner.head(self.inner.blocks[0](self.inner.blocks[0](state)))

        ready = decides(Shared(), [[1, 2, 0]])
        found = blocks(ready)
        assert [tap.key for tap in found.all] == ["inner.words", "inner.blocks.0@0", "inner.blocks.0@1"]
        (made,) = read(ready, found, 4)
        assert made.difference.tolist() == [0.0]
        assert made.rank.tolist() == [[2, 1, 1]]  # 1 at 0 and 1 at 1 after one run: none stands before


def test_a_state_that_is_not_finite_is_named():
    network = Decides([0, 2, 0, 0], [0, 0, 3, 0])
    ready = decides(network, [[1, 2, 0]])
    found = blocks(ready)
    with torch.no_grad():
        network.blocks[1].vector.copy_(torch.full((WORDS,), float("nan")))
    with pytest.raises(NotFinite, match="output"):
        list(read(ready, found, 4))
