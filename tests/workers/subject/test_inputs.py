"""Do networks with several inputs, and with integers for inputs, come in as what they are?"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workers.subject.network import Loaded
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal

OPEN = {0: torch.export.Dim.DYNAMIC}


class Pair(nn.Module):
    """Reads x (N, 3), and where they are given y (N, 3) and a mask (N,); gives (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        made = self.first(x)
        if y is not None:
            made = made - 2 * self.second(y)
        return made if mask is None else made * mask[:, None]


class Gathered(nn.Module):
    """Reads a list of two tensors and a dict of one."""

    def forward(self, many: list[Tensor], named: dict[str, Tensor]) -> Tensor:
        return many[0] - 2 * many[1] + 3 * named["third"]


def loaded(
    folder: Path, network: nn.Module, given: tuple[Any, ...], keywords: Any = None, shapes: Any = None
) -> Loaded:
    program = torch.export.export(network.eval(), given, keywords, dynamic_shapes=shapes, strict=False)
    torch.export.save(program, folder / "m.pt2")
    rewrite(folder / "m.pt2", folder / "c.pt2")
    return load(folder / "c.pt2")


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, generator=draws), torch.rand(2, 3, generator=draws), torch.tensor([1, 0])


def test_positional_inputs_keep_their_order(tmp_path, tensors):
    network = Pair()
    x, y, _ = tensors
    found = loaded(tmp_path, network, (x, y), shapes=(OPEN, OPEN))
    assert [tuple(each.shape[1:]) for each in found.inputs] == [(3,), (3,)]
    assert found.batch is None
    more = (torch.rand(5, 3), torch.rand(5, 3))
    assert torch.equal(found.model(*more), network(*more))


def test_keyword_inputs_are_taken_in_the_order_of_the_export(tmp_path, tensors):
    network = Pair()
    x, y, mask = tensors
    found = loaded(tmp_path, network, (x,), {"mask": mask, "y": y})
    assert [each.dtype for each in found.inputs] == [torch.float32, torch.int64, torch.float32]
    assert torch.equal(found.model(x, mask, y), network(x, y, mask))


def test_what_was_left_out_or_constant_stays_so(tmp_path, tensors):
    network = Pair()
    x, _, mask = tensors
    found = loaded(tmp_path, network, (x, None, mask))
    assert len(found.inputs) == 2
    assert torch.equal(found.model(x, mask), network(x, None, mask))


def test_inputs_inside_lists_and_dicts_are_taken_one_by_one(tmp_path, tensors):
    x, y, _ = tensors
    found = loaded(tmp_path, Gathered(), ([x, y], {"third": x + y}))
    assert len(found.inputs) == 3
    assert torch.equal(found.model(x, y, x + 1), x - 2 * y + 3 * (x + 1))


def test_inputs_whose_first_axes_are_not_all_the_batch_are_refused(tmp_path):
    class Table(nn.Module):
        def forward(self, x: Tensor, weights: Tensor) -> Tensor:
            return x @ weights

    with pytest.raises(Refusal, match="not all the batch") as caught:
        loaded(tmp_path, Table(), (torch.rand(2, 3), torch.rand(3, 4)))
    assert caught.value.remedy
    with pytest.raises(Refusal, match="open, 3: they are not all the batch"):
        loaded(tmp_path, Table(), (torch.rand(2, 3), torch.rand(3, 4)), shapes=(OPEN, None))


def test_an_input_without_axes_is_refused(tmp_path):
    class Scaled(nn.Module):
        def forward(self, x: Tensor, by: Tensor) -> Tensor:
            return x * by

    with pytest.raises(Refusal, match="no axes"):
        loaded(tmp_path, Scaled(), (torch.rand(2, 3), torch.tensor(2.0)))
