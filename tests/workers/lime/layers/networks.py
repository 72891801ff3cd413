"""Networks whose layers are known, and the short way to what is read of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.workers.facts import model_facts
from tests.workers.subjects import subject
from workers.subject.subject import Subject

CELL, CELLS = 6, 4
"""Pixels a side of a segment, segments a side of the picture."""

TEXTURE, SHAPE, LINE = (5, 10), 3, 12
"""Segments that hold a chequerboard, a plus, and a horizontal line; all others are blank. Rows of 4 from the top."""


def picture() -> Tensor:
    """(1, 1, 24, 24); every segment has the mean 0, so that a hidden one is blank and hiding makes no edge."""
    made = torch.zeros(1, 1, CELL * CELLS, CELL * CELLS)
    rows, columns = torch.meshgrid(torch.arange(CELL), torch.arange(CELL), indexing="ij")
    chequered = 1.0 - 2.0 * ((rows + columns) % 2)
    plus = ((rows == 3) | (columns == 3)).float()
    line = (rows == 3).float()
    for segment in TEXTURE:
        _put(made, segment, chequered)
    _put(made, SHAPE, 2 * (plus - plus.mean()))
    _put(made, LINE, 2 * (line - line.mean()))
    return made


def _put(picture: Tensor, segment: int, content: Tensor) -> None:
    top, left = CELL * (segment // CELLS), CELL * (segment % CELLS)
    picture[0, 0, top : top + CELL, left : left + CELL] = content


class Eye(nn.Module):
    """`edges`, `act1`: channel 0 and 1 fire on a chequerboard, 2 on horizontal lines, 3 on vertical ones. `parts`,
    `act2`: channel 0 sums the chequerboard, 1 fires where both lines meet. Class 0 is texture, class 1 is shape."""

    def __init__(self) -> None:
        super().__init__()
        self.edges, self.act1 = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.parts, self.act2 = nn.Conv2d(4, 2, 5, padding=2), nn.ReLU()
        self.pool, self.flat, self.head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
        self.still = nn.Linear(1, 3)
        with torch.no_grad():
            corner = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
            line = torch.tensor([[-1.0], [2.0], [-1.0]]).expand(3, 3)
            self.edges.weight.copy_(torch.stack([corner, -corner, line, line.T])[:, None])
            self.edges.bias.copy_(torch.tensor([-2.5, -2.5, -6.0, -6.0]))
            self.parts.weight.zero_()
            self.parts.weight[0, :2] = 0.1
            self.parts.weight[1, 2, 2, [0, 4]] = 5.0
            self.parts.weight[1, 3, [0, 4], 2] = 5.0
            self.parts.bias.copy_(torch.tensor([0.0, -65.0]))
            self.head.weight.copy_(torch.eye(2))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2). What `still` gives depends on no input."""
        found = self.act2(self.parts(self.act1(self.edges(x))))
        bias = self.still(torch.ones(1, 1, dtype=x.dtype)).sum() * 0
        return self.head(self.flat(self.pool(found))) + bias


def eye() -> Subject:
    """That network and that picture."""
    return subject(Eye().eval(), picture(), torch.tensor([0]), model_facts((1, 24, 24), classes=2))


class Saturated(nn.Module):
    """16 pixels, of which the first five decide, and are saturated where they are 1: there the gradient before `tanh`
    says nothing of them, and much of the next five, which hardly count."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.scaled, self.tanh, self.head = nn.Flatten(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)
        with torch.no_grad():
            self.scaled.weight.copy_(torch.diag(torch.tensor([5.0] * 5 + [0.1] * 5 + [0.0] * 6)))
            self.scaled.bias.zero_()
            self.head.weight.copy_(torch.stack([torch.ones(16), torch.zeros(16)]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.tanh(self.scaled(self.flat(x))))


def saturated() -> Subject:
    """That network, and a picture of ones."""
    return subject(Saturated().eval(), torch.ones(1, 1, 4, 4), torch.tensor([0]), model_facts((1, 4, 4), classes=2))
