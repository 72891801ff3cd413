"""What does the network read of a row of a table of which some columns are drawn anew?

As in lime 0.2.0.1 (`lime_tabular`): in bins, a feature says whether a column is still in the bin of the row;
continuous, it is the column's number on the scale of the background. Categories are drawn by their frequency. Numbers
are drawn in raw units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from workers.neighbourhoods.columns import listed
from workers.neighbourhoods.discretise import NONE
from workers.neighbourhoods.table_background import TableBackground, TableSettings, refuse_rows
from workers.neighbourhoods.table_streams import Binned, Drawable, Scaled
from workers.passes.predicting import Predicting
from workers.subject.subject import Subject
from workers.surrogate.neighbourhood import Floats, Samples, Stream

_WIDTH = 0.75
"""lime's, times the root of the number of columns."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableNeighbourhood:
    """One row of a table, its columns drawn as the background has them.

    row: (inputs,), raw. example: what the network reads, one row for each input.
    """

    background: TableBackground
    subject: Subject
    row: Floats
    example: tuple[Tensor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """age <= 44 and colour = red; where continuous, of a number its column's name alone."""
        return tuple(map(self._name, self.background.kept.tolist()))

    @property
    def columns(self) -> tuple[str, ...]:
        """(K,): which column each feature is, the same for every row."""
        return tuple(self.background.columns[at].name for at in self.background.kept.tolist())

    @property
    def values(self) -> tuple[str, ...]:
        """(K,): what stands in the row, age = 43."""
        return tuple(self.background.columns[at].worded(self._value(at)) for at in self.background.kept.tolist())

    @property
    def kernel_width(self) -> float:
        """lime's, of all columns, constant ones too."""
        return _WIDTH * float(np.sqrt(len(self.background.columns)))

    @property
    def binary(self) -> bool:
        """A row has no mirror image 1 - z: bins and categories are drawn by their share."""
        return False

    @property
    def mirrored(self) -> bool:
        """Whether paired samples are mirror images of each other: of continuous numbers, about their centre."""
        return self.background.scales is not None

    @property
    def position(self) -> int:
        """The input that the table is."""
        return self.background.position

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the explanation must know."""
        undrawn = [value for value, at in zip(self.values, self.background.kept.tolist(), strict=True) if self._new(at)]
        if not undrawn:
            return self.background.notes
        told = (
            f"Drawn in no sample, because no row of the {self.background.role} data is in the same bin or category:"
            f" {listed(undrawn)}. Such a coefficient rests on the example alone."
        )
        return (*self.background.notes, told)

    def stream(self, seed: int, paired: bool) -> Stream:
        """lime's own samples for `RandomState(seed)` where not paired, as far as no column is constant. In bins there
        are no mirror images. seed: below 2**32."""
        made, strata = self.background, self.background.stacked
        drawable = Drawable(columns=made.columns, row=self.row, kept=made.kept)
        if made.scales is None:
            assert strata is not None
            code = np.array([made.strata[at].code(self._value(at)) for at in range(len(made.columns))])
            return Binned(drawable, strata, code, seed)
        centre = drawable.own if made.settings.around == "example" else made.scales.mean
        return Scaled(drawable, made.scales, strata, centre, seed, paired=paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """The rows as the network reads them; other inputs repeat."""
        own = self.example[self.position]
        raw = torch.from_numpy(samples.drawn).to(own.device, own.dtype).reshape(-1, *own.shape[1:])
        table = self.subject.prepared(raw, self.position)
        return tuple(
            table if position == self.position else each.repeat(len(samples), *[1] * (each.ndim - 1))
            for position, each in enumerate(self.example)
        )

    def shares(self, attribution: Tensor) -> Floats:
        """(K,): the sum over each feature's inputs of an attribution of the table's input."""
        each = attribution.detach().to("cpu", torch.float64).flatten().numpy()
        return np.array([each[list(self.background.columns[at].places)].sum() for at in self.background.kept.tolist()])

    def as_json(self) -> dict[str, JsonValue]:
        """How columns are drawn, and from what."""
        return {"kind": "table", "input": self.position, "mirrored": self.mirrored, **self.background.as_json()}

    def _name(self, at: int) -> str:
        column, strata = self.background.columns[at], self.background.strata.get(at)
        if strata is None:
            return column.name
        return strata.names[strata.code(self._value(at))] if strata.names else column.worded(self._value(at))

    def _new(self, at: int) -> bool:
        """Whether the background has nothing where the row is."""
        strata = self.background.strata.get(at)
        code = 0 if strata is None else strata.code(self._value(at))
        return strata is not None and (code == NONE or not strata.shares[code] > 0)

    def _value(self, at: int) -> float:
        return float(self.background.columns[at].read(self.row[None])[0])


def table(
    case: Predicting, index: int, settings: TableSettings, background: TableBackground | None = None
) -> TableNeighbourhood:
    """The neighbourhood of example `index`: of the first input that is a table.

    background: `TableBackground.of(case, settings)`, for callers that make it once for all examples. Raises
    AnalysisError where there is no table, no column varies, or the row holds what no column of its kind can.
    """
    known = background or TableBackground.of(case, settings)
    row = case.raw[known.position][index].to("cpu", torch.float64).flatten().numpy()
    refuse_rows(row[None], known.columns, known.settings, f"example {index}")
    return TableNeighbourhood(
        background=known, subject=case.subject, row=row, example=tuple(each[index : index + 1] for each in case.x)
    )
