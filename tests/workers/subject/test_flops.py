"""Are floating-point operations counted as the convention says? Against hand counts, and torch's own counter."""

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.workers.networks import SHAPES, made
from tests.workers.subject.test_pt2 import raw_export
from workers.subject.flops import Flops, count
from workers.subject.formulas import SOFTMAX
from workers.subject.pt2 import load, rewrite


def of(network: nn.Module, *shape: int, rows: int = 1) -> Flops:
    return count(network.eval(), (torch.randn(rows, *shape),))


def test_a_linear_layer_is_two_operations_for_each_weight_its_bias_included() -> None:
    found = of(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)), 3)
    assert found.layers == {"0": 2 * 3 * 4, "1": 4, "2": 2 * 4 * 2}
    assert found.total == 24 + 4 + 16
    assert found.uncounted == ()


def test_a_linear_layer_on_tokens_is_counted_for_each_token() -> None:
    assert of(nn.Linear(3, 4), 5, 3).total == 5 * 24


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # places of the output x weights of one output channel x output channels x 2
        (nn.Conv2d(2, 6, 3), (2, 5, 7), 3 * 5 * (2 * 9) * 6 * 2),
        (nn.Conv2d(4, 8, 3, padding="same", groups=4), (4, 5, 5), 25 * 9 * 8 * 2),
        (nn.Conv1d(2, 3, 4, stride=2), (2, 10), 4 * (2 * 4) * 3 * 2),
        (nn.Conv3d(1, 2, 2), (1, 3, 3, 3), 8 * 8 * 2 * 2),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (3, 4, 4), 16 * 3 * 5 * 4 * 2),
        (nn.BatchNorm2d(3), (3, 4, 4), 48 * 4),
        (nn.BatchNorm2d(3, affine=False), (3, 4, 4), 48 * 2),
        (nn.InstanceNorm2d(3), (3, 4, 4), 48 * 5),
        (nn.LayerNorm(8), (5, 8), 40 * 7),
        (nn.GroupNorm(2, 4), (4, 3, 3), 36 * 7),
        (nn.Softmax(1), (10,), 10 * SOFTMAX),
        (nn.MaxPool2d(2), (3, 8, 8), 3 * 16 * 4),
        (nn.MaxPool1d(3), (2, 9), 2 * 3 * 3),
        (nn.AvgPool2d((2, 3)), (1, 4, 6), 4 * 6),
        (nn.AdaptiveAvgPool2d(1), (3, 4, 4), 48 + 3),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 3), 36 * 7),
        (nn.Upsample(scale_factor=2), (1, 3, 3), 0),
        (nn.Flatten(), (3, 4), 0),
        (nn.Dropout(0.5), (3, 4), 0),
        (nn.GELU(), (3, 4), 12),
        (nn.Hardswish(), (3, 4), 12),
        (nn.PReLU(), (3, 4), 12),
        (nn.GLU(1), (6,), 2 * 6),
    ],
    ids=str,
)
def test_hand_counts(layer: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    found = of(layer, *shape)
    assert (found.total, found.uncounted) == (expected, ())


LSTM = 8 * 4 * (3 + 4) + 13 * 4
"""One step of 3 inputs and 4 units: 4 gates of 2(I + H) and a sum, 3 sigmoids and a tanh, 3 for c, 2 for h."""
GRU = 6 * 4 * (3 + 4) + 10 * 4
RNN = 2 * 4 * (3 + 4) + 2 * 4


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.LSTM(3, 4, batch_first=True), 5 * LSTM),
        (nn.LSTM(3, 4, batch_first=True, bidirectional=True), 2 * 5 * LSTM),
        (nn.LSTM(3, 4, batch_first=True, bias=False), 5 * LSTM),
        # the second layer reads the first's 4 units, or both directions' 8
        (nn.LSTM(3, 4, 2, batch_first=True), 5 * (LSTM + 8 * 4 * (4 + 4) + 52)),
        (nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), 2 * 5 * (LSTM + 8 * 4 * (8 + 4) + 52)),
        # the state is projected to 2 numbers, which the gates read
        (nn.LSTM(3, 4, batch_first=True, proj_size=2), 5 * (8 * 4 * (3 + 2) + 52 + 2 * 2 * 4)),
        (nn.GRU(3, 4, batch_first=True), 5 * GRU),
        (nn.GRU(3, 4, batch_first=True, bidirectional=True), 2 * 5 * GRU),
        (nn.RNN(3, 4, batch_first=True), 5 * RNN),
        (nn.RNN(3, 4, batch_first=True, nonlinearity="relu"), 5 * RNN),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_recurrent_layers_are_counted_gate_by_gate(layer: nn.Module, expected: int) -> None:
    for rows in (1, 3):
        found = of(layer, 5, 3, rows=rows)
        assert (found.total, found.uncounted) == (expected, ())


@pytest.mark.parametrize(
    ("cell", "layer"),
    [(nn.LSTMCell(3, 4), nn.LSTM(3, 4)), (nn.GRUCell(3, 4), nn.GRU(3, 4)), (nn.RNNCell(3, 4), nn.RNN(3, 4))],
    ids=["lstm", "gru", "rnn"],
)
def test_a_recurrent_layer_is_the_sum_of_its_cells_as_torch_computes_them(cell: nn.Module, layer: nn.Module) -> None:
    steps = torch.randn(5, 1, 3)  # time first, so that a pass is counted as five rows
    assert count(layer, (steps,)).total == count(cell, (steps[0],)).total


def test_packed_rows_are_counted_step_by_step() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.tensor([5, 2])
            return self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data

    assert of(Packed(), 5, 3, rows=2).layers["rnn"] == -(-7 * LSTM // 2)


def test_attention_is_two_products_and_a_softmax() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    products = 2 * 2 * (6 * 6 * 8) * 2  # two heads, two products of (6, 8) and (8, 6)
    assert of(Attention(), 2, 6, 8).total == products + 2 * 6 * 6 * (1 + SOFTMAX)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, groups=1), nn.Conv2d(8, 8, 1, groups=2)), (3, 9, 9)),
        (nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1), (4, 5, 5)),
        (nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), (7, 6)),
    ],
    ids=["convolutions", "transposed", "linear"],
)
def test_products_are_those_of_torchs_counter(network: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(2, *shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    assert 2 * count(network, (x,)).total == counter.get_total_flops()


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_an_exported_network_takes_as_many_as_its_source_layer_by_layer(kind, tmp_path) -> None:
    network = made(kind).eval()
    raw_export(network, SHAPES[kind], tmp_path / "m.pt2")
    rewrite(tmp_path / "m.pt2", tmp_path / "c.pt2")
    source, exported = (of(each, *SHAPES[kind]) for each in (network, load(tmp_path / "c.pt2").model))
    assert exported.total == source.total > 0
    assert {name: exported.layers[name] for name in source.layers} == dict(source.layers)


def test_a_layer_that_runs_twice_is_counted_twice_and_belongs_to_what_runs_it() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.inner(x))

    found = of(nn.Sequential(Twice()), 3)
    assert found.layers == {"0.inner": 36, "0": 36}
    assert found.total == 36


def test_the_batch_is_divided_out() -> None:
    network = made(next(iter(SHAPES))).eval()
    assert count(network, (torch.randn(1, 4),)).total == count(network, (torch.randn(7, 4),)).total


def test_arithmetic_on_integers_moves_and_comparisons_are_none() -> None:
    class Moves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            at = torch.arange(x.shape[1]) * 2 + 1
            return torch.where(x > 0, x.flip(1), x[:, at % x.shape[1]].clone())

    assert of(Moves(), 6) == Flops(total=0, layers={})


def test_an_operator_without_a_formula_is_named() -> None:
    class Fourier(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft(x).real + 1

    found = of(Fourier(), 8)
    assert found.uncounted == ("_fft_r2c",)
    assert found.total == 5


class Chooses(nn.Module):
    """One of two layers, after a part without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.wide, self.narrow = nn.Linear(4, 4), nn.Linear(4, 8), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.body(x).relu()
        return torch.cond(x[0, 0] > 0, lambda z: self.wide(z).sum(1), lambda z: self.narrow(z).sum(1), (y,))


@pytest.mark.slow
def test_of_two_branches_that_stay_hidden_the_one_that_is_taken_is_counted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own tracing of conditions
        program = torch.export.export(Chooses().eval(), (torch.ones(1, 4),))
        network = torch.export.unflatten(program)
    around = 2 * 4 * 4 + 4
    assert count(network, (torch.ones(1, 4),)).total == around + 2 * 4 * 8 + 8
    assert count(network, (-torch.ones(1, 4),)).total == around + 2 * 4 * 3 + 3


def test_hooks_and_the_fast_path_are_put_back_when_a_pass_fails() -> None:
    network = nn.Sequential(nn.Linear(3, 4))
    before = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError):
        count(network, (torch.randn(1, 5),))
    assert not network[0]._forward_hooks
    assert not network[0]._forward_pre_hooks
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_an_encoder_layer_is_not_fused_away() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
    found = of(network, 5, 8)
    assert found.layers["layers.0.linear1"] == 5 * 2 * 8 * 16
    assert found.layers["layers.0"] == found.total
