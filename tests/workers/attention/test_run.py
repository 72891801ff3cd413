"""Are the rows that are read those of the slow transcription, whatever the batch, the format and the padding?"""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings, strategies
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.sequences import Attention
from tests.references import rollout as reference
from tests.workers.attention.networks import (
    HOW,
    TOKENS,
    Layers,
    Translator,
    by_hand,
    examples,
    made,
    prepared,
)
from workers.attention.find import find
from workers.attention.refusals import AttentionRefused
from workers.attention.run import Block, Question, follow
from workers.attention.structure import structure
from workers.numerics.determinism import NotFinite
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:::torch")
PLAIN = Question(rule="rollout", heads="mean", read="target")
GRADIENT = Question(rule="gradient", heads="mean", read="target")


def followed(ready: Prepared, question: Question = PLAIN, batch: int = 3) -> Block:
    """All blocks as one."""
    blocks = list(follow(ready, structure(find(ready.model, ready.x, ready.probe.rows)), question, batch))
    assert [each.start for each in blocks] == list(range(0, len(ready), batch))

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(each, name) for each in blocks])

    own = None if blocks[0].own is None else joined("own")
    return Block(
        0, joined("rows"), own, joined("entropy"), joined("distance"), joined("read"), joined("reached")
    )  # fmt: skip


def kept(network: nn.Module, x: tuple[Tensor, ...], target: Target) -> dict[str, tuple[Tensor, Tensor]]:
    """The weights (n, heads, queries, keys) of the zoo's attentions and their gradients, taken at their softmax."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_module: nn.Module, _given: object, output: Tensor) -> Tensor:
            output = output if output.requires_grad else output.detach().requires_grad_()
            outputs[name] = output
            return output

        return hook

    handles = [
        module.weights.register_forward_hook(keep(name))
        for name, module in network.named_modules()
        if isinstance(module, Attention)
    ]
    score = target.select(network(*x), len(x[0])).sum()
    gradients = torch.autograd.grad(score, list(outputs.values()))
    for handle in handles:
        handle.remove()
    return {name: (outputs[name].detach(), slope) for (name, _), slope in zip(outputs.items(), gradients, strict=True)}


def zoo(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    family = FAMILIES[name]
    network = family.network().double()
    for parameter in network.parameters():
        parameter.requires_grad = False
    return network, tuple(
        each.double() if each.is_floating_point() else each for each in family.prepared(family.examples())
    )


def lists(tensor: Tensor) -> list[reference.Matrix]:
    """One matrix for each head."""
    return tensor.tolist()


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
@pytest.mark.parametrize(("name", "read"), [("bert", 0), ("gpt", -1)])
def test_rollout_is_that_of_the_slow_transcription(name, read, heads):
    network, x = zoo(name)
    target = Target.classes(0) if name == "bert" else Target.element(5, 3)
    ready = prepared(network, *x, target=target)
    ours = followed(ready, Question(rule="rollout", heads=heads, read="target"))
    found = kept(network, x, target)
    for example in range(len(x[0])):
        theirs = reference.rollout([lists(weights[example]) for weights, _ in found.values()], heads)
        expected = torch.tensor([layer[read] for layer in theirs], dtype=torch.float64)
        torch.testing.assert_close(ours.rows[example], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "read"), [("bert", 0), ("gpt", -1)])
def test_relevance_is_that_of_the_slow_transcription(name, read):
    network, x = zoo(name)
    target = Target.classes([0, 1, 2, 0]) if name == "bert" else Target.element(5, 3)
    ours = followed(prepared(network, *x, target=target), GRADIENT)
    found = kept(network, x, target)
    for example in range(len(x[0])):
        positive = [reference.positive(lists(w[example]), lists(g[example])) for w, g in found.values()]
        identity = reference.identity(x[0].shape[1])
        theirs = [layer[read] for layer in reference.relevance(positive)]
        expected = torch.tensor(theirs, dtype=torch.float64) - torch.tensor(identity[read], dtype=torch.float64)
        torch.testing.assert_close(ours.rows[example], expected, rtol=1e-10, atol=1e-12)
        assert float(ours.rows[example].abs().max()) > 0


def test_relevance_in_a_decoder_is_that_of_the_slow_transcription():
    network, x = zoo("t5")
    target = Target.element(3, 3)
    ours = followed(prepared(network, *x, target=target), GRADIENT)
    assert ours.own is not None
    found = kept(network, x, target)
    for example in range(len(x[0])):
        encoder, own, cross = (reference.positive(lists(w[example]), lists(g[example])) for w, g in found.values())
        ((source, inner),) = reference.crossed([encoder], [("self", own), ("cross", cross)], 6)
        torch.testing.assert_close(ours.rows[example, 0].tolist(), source[-1], rtol=1e-10, atol=1e-12)
        expected = [value - (at == 3) for at, value in enumerate(inner[-1])]
        torch.testing.assert_close(ours.own[example, 0].tolist(), expected, rtol=1e-10, atol=1e-12)


def test_a_decoder_of_several_layers_has_a_row_after_each_cross_attention():
    ready = prepared(made(Translator()), examples(), examples(tokens=3, seed=2))
    ours = followed(ready, GRADIENT)
    assert ours.rows.shape == (4, 2, 5)
    assert ours.own is not None
    assert ours.own.shape == (4, 2, 3)
    assert ours.read[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("question", [PLAIN, GRADIENT], ids=["rollout", "gradient"])
def test_every_way_of_writing_attention_gives_the_same_rows(how, question):
    x = examples()
    ours, plain = (followed(prepared(made(Layers(3, name)), x), question) for name in (how, "matmul"))
    torch.testing.assert_close(ours.rows, plain.rows, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(ours.entropy, plain.entropy, rtol=1e-10, atol=1e-13)


@settings(max_examples=12)
@given(
    depth=strategies.integers(1, 4), how=strategies.sampled_from(HOW), causal=strategies.booleans(),
    heads=strategies.sampled_from(["mean", "max", "min"]), seed=strategies.integers(0, 1000),
)  # fmt: skip
def test_drawn_networks_have_the_rows_of_the_slow_transcription(depth, how, causal, heads, seed):
    network, x = made(Layers(depth, how, causal=causal, read="last"), seed), examples(1, seed=seed)
    ours = followed(prepared(network, x), Question(rule="rollout", heads=heads, read="last"))
    weights, state = [], x
    with torch.no_grad():
        for layer in network.layers:
            weights.append(lists(by_hand(layer, state)[0]))
            state = state + layer(state)
    theirs = torch.tensor([layer[-1] for layer in reference.rollout(weights, heads)], dtype=torch.float64)
    torch.testing.assert_close(ours.rows[0], theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "question"),
    [(name, each) for name in ("transformer", "vit", "bert", "gpt") for each in (PLAIN, GRADIENT)] + [("t5", GRADIENT)],
)
def test_an_exported_network_gives_the_same_rows(name, question):
    network, x = zoo(name)
    target = {"gpt": Target.element(5, 3), "t5": Target.element(3, 3)}.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.unflatten(torch.export.export(network, x, strict=False))
    ours, theirs = (
        followed(prepared(exported, *x, target=target, rows=4), question, 4),
        followed(prepared(network, *x, target=target), question),
    )
    torch.testing.assert_close(ours.rows, theirs.rows, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours.read, theirs.read, rtol=0, atol=0)


def test_rows_of_rollout_sum_to_one():
    ours = followed(prepared(made(Layers(4, "fused")), examples(6)))
    torch.testing.assert_close(ours.rows.sum(-1), torch.ones(6, 4, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_change_nothing(batch):
    ready = prepared(made(Layers(2, read="mean")), examples(5))
    for question in (PLAIN, GRADIENT):
        whole, cut = followed(ready, question, 5), followed(ready, question, batch)
        torch.testing.assert_close(cut.rows, whole.rows, rtol=1e-11, atol=1e-14)


class TestRead:
    """Which tokens of the last layer are read?"""

    @pytest.mark.parametrize(
        ("read", "expected"),
        [("first", [1, 0, 0, 0, 0]), ("last", [0, 0, 0, 0, 1]), ("mean", [0.2, 0.2, 0.2, 0.2, 0.2])],
    )
    def test_those_that_the_target_depends_on(self, read, expected):
        ours = followed(prepared(made(Layers(2, read=read)), examples()))
        assert ours.read.tolist() == [pytest.approx(expected)] * 4

    @pytest.mark.parametrize(
        ("read", "expected"),
        [
            ("first", [1, 0, 0, 0, 0]), ("last", [0, 0, 0, 0, 1]), ("mean", [0.2, 0.2, 0.2, 0.2, 0.2]),
            ("position:2", [0, 0, 1, 0, 0]),
        ],
    )  # fmt: skip
    def test_those_that_are_named(self, read, expected):
        ours = followed(prepared(made(Layers(2)), examples()), Question(rule="rollout", heads="mean", read=read))
        assert ours.read.tolist() == [pytest.approx(expected)] * 4

    def test_a_target_that_attention_does_not_lead_to_is_refused(self):
        class Beside(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attends, self.head = Layers(1), nn.Linear(8, 3)

            def forward(self, x: Tensor) -> Tensor:
                self.attends(x)
                return self.head(x[:, 0])

        with pytest.raises(AttentionRefused, match="does not depend on what the last attention"):
            followed(prepared(made(Beside()), examples()))


class TestPadding:
    """Tokens that are masked out are no tokens."""

    def test_nothing_comes_from_padding(self):
        network, x = zoo("bert")
        for question in (PLAIN, GRADIENT):
            ours = followed(prepared(network, *x), question)
            assert ours.reached.tolist() == x[1].bool().tolist()
            assert float(ours.rows[~x[1].bool()[:, None].expand_as(ours.rows)].abs().max()) == 0

    def test_what_is_padded_has_the_numbers_of_the_shorter_sequence(self):
        network, (ids, mask) = zoo("bert")
        short = int(mask[0].sum())
        whole = followed(prepared(network, ids[:1], mask[:1], target=Target.classes(0)), GRADIENT)
        cut = followed(prepared(network, ids[:1, :short], mask[:1, :short], target=Target.classes(0)), GRADIENT)
        torch.testing.assert_close(whole.rows[..., :short], cut.rows, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(whole.entropy, cut.entropy, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(whole.distance, cut.distance, rtol=1e-10, atol=1e-12)

    def test_the_last_and_the_mean_token_are_those_of_what_is_read(self):
        network, x = zoo("bert")
        for read in ("last", "mean"):
            ours = followed(prepared(network, *x), Question(rule="rollout", heads="mean", read=read))
            lengths = x[1].sum(1)
            for example, length in enumerate(lengths.tolist()):
                expected = [1 / length] * length if read == "mean" else [0.0] * (length - 1) + [1.0]
                assert ours.read[example, :length].tolist() == pytest.approx(expected)

    def test_a_causal_network_reads_what_lies_before(self):
        ours = followed(prepared(made(Layers(2, causal=True)), examples()))  # it reads the first token
        assert ours.reached.tolist() == [[True] + [False] * (TOKENS - 1)] * 4
        assert ours.rows[0].tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0]] * 2


def test_uniform_attention_gives_what_can_be_done_by_hand():
    """(I/2 + U/2) to the power L is I/2^L + (1 - 1/2^L) U."""
    ready = prepared(made(Layers(3)), examples())
    stack = structure(find(ready.model, ready.x, None))
    (block,) = follow(ready, stack, PLAIN, 4, change=lambda weights: torch.full_like(weights, 1 / TOKENS))
    for layer, row in enumerate(block.rows[0], 1):
        share = (1 - 0.5**layer) / TOKENS
        assert row.tolist() == pytest.approx([share + 0.5**layer, *[share] * (TOKENS - 1)])
    assert block.entropy[0].tolist() == pytest.approx([1.6094379124341003] * 3)
    assert block.distance[0].tolist() == pytest.approx([1.6] * 3)  # Σ |i - j| / 25


@pytest.mark.parametrize("how", ["matmul", "fused"])
def test_the_first_attention_that_is_not_finite_is_named(how):
    network = made(Layers(2, how))
    ready = prepared(network, examples())
    stack = structure(find(network, ready.x, None))
    with torch.no_grad():
        network.layers[1].key.weight.fill_(float("nan"))
    with pytest.raises(NotFinite, match=r"layers\.1"):
        list(follow(ready, stack, PLAIN, 4))
