"""Which columns of a row does a prediction rest on?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from service.contracts.base import Name
from workers.lime.kind import lime_kind
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Around, Lime
from workers.neighbourhoods.table import TableNeighbourhood, table
from workers.neighbourhoods.table_background import Sampling, TableBackground, TableSettings
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats

_Group = Annotated[tuple[Name, ...], Field(min_length=2, max_length=1000, strict=False)]


class LimeTabularParameters(LimeParameters):
    """What to explain, and how columns are drawn."""

    sampling: Sampling = Field(
        "auto",
        description="How columns are drawn: continuous, or, as lime has it, in bins by quartile, decile or entropy of"
        " labels; auto: continuous, but quartile where cells are missing.",
    )
    around: Literal["mean", "example"] = Field(
        "example",
        description="Where sampling is continuous: what numbers are drawn around, the row or the data's mean.",
    )
    categories: Annotated[tuple[Name, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="Names of columns that are categories, drawn by their frequency."
    )
    one_hot: Annotated[tuple[_Group, ...], Field(max_length=1000, strict=False)] = Field(
        (), description="Groups of columns of which one is 1: each group is one feature."
    )

    @property
    def table(self) -> TableSettings:
        """What the neighbourhood is made with."""
        return TableSettings(
            sampling=self.sampling, around=self.around, categories=self.categories, one_hot=self.one_hot
        )


def _around(case: Predicting, parameters: LimeTabularParameters) -> Around:
    settings = parameters.table
    background = TableBackground.of(case, settings)

    def at(index: int) -> TableNeighbourhood:
        return table(case, index, settings, background)

    return at


def _meaning(around: TableNeighbourhood) -> tuple[str, ...] | None:
    """The columns, whichever bin or category a row is in."""
    made = around.background
    return tuple(made.columns[at].name for at in made.kept.tolist())


def _shares(around: TableNeighbourhood, attribution: Tensor) -> Floats:
    return around.shares(attribution)


KIND = lime_kind(
    Lime(
        name="lime_tabular",
        version=1,
        title="LIME: the columns of a row",
        question="Which columns of a row does a prediction rest on?",
        source="Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3",
        noun="column",
        inputs=("table",),
        optional_roles=("background", "training"),
        parameters=LimeTabularParameters,
        around=_around,
        absent="a value drawn from the background",
        meaning=_meaning,
        shares=_shares,
        position=lambda around: around.background.position,
        notes=lambda around: around.notes,
        limits=(
            "Columns are drawn one by one, so that samples hold combinations which no row of the data has.",
            "In bins, a coefficient says what it adds that the column is in the row's bin, and not in any other.",
            (
                "In bins, a row in a middle bin hardly differs where a column raises the target all along; continuous,"
                " a column is told by one slope, which a target that rises and falls does not have."
            ),
            (
                "Continuous, numbers are drawn between those that a column has: name columns of few values in"
                " `categories`, or ask for bins."
            ),
        ),
        formula="""
        Columns are drawn from a background: the data in the role background or training where one is given, else the
        data explained. Continuous, numbers are drawn from a normal around the row or the data's mean, and *z* is the
        number itself, scaled. In bins (`sampling`), a bin is drawn by its frequency and a number from the truncated
        normal of that bin, and *z* is 1 where the bin is the row's. Categories are drawn by their frequency.

        Bins are lime's default; ours (`auto`) is continuous around the row, because a bin's coefficient says "in this
        bin and in no other", which of a column that raises the target all along is next to nothing in the middle bins:
        there the surrogate of a linear model tells less than half of what changes, and is rightly called doubtful.
        Where cells are missing, for which a normal has no number, `auto` is quartiles, of which what is missing is one
        more.

        The distance is Euclidean on what the surrogate reads, and the kernel is 0.75 · sqrt(columns) wide, as in lime.
        Where sampling is continuous, equal seeds draw the samples of lime 0.2.0.1 where `paired` is off; in bins the
        distributions are its own. Bins have no mirror images, so that `paired` changes nothing there. Constant columns
        are no features.
        """,
        literature="""Ribeiro, Singh and Guestrin: *"Why should I trust you?": explaining the predictions of any
        classifier*, arXiv:1602.04938, sections 3 and 4. Stability: Visani et al. 2020, arXiv:2001.11757. Samples until
        the ranking settles: Zhou, Hooker and Wang 2021, arXiv:2106.07875.""",
    )
)
