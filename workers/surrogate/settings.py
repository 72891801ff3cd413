"""How is a surrogate fitted: how many samples, which features, which kernel?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, cast

from pydantic import JsonValue

Selection = Literal["auto", "forward_selection", "lasso_path", "highest_weights", "none"]
"""lime's names: auto is forward selection up to 6 features, highest weights above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """samples: the example itself among them; with `settle` the first block, and `most` the count budget.

    features: how many the surrogate keeps (K'). alpha: of the ridge regression, as in lime. kernel_width: None for the
    neighbourhood's own. paired: antithetic samples where the neighbourhood has mirror images.
    settle: samples are appended until the gap between the ranks `features` and `features` + 1 exceeds `confidence`
    standard errors of that difference, or `most` samples are drawn. repeats: resamples behind stability.
    rows: samples in one forward pass.
    """

    samples: int = 1000
    features: int = 10
    selection: Selection = "auto"
    alpha: float = 1.0
    kernel_width: float | None = None
    paired: bool = True
    settle: bool = False
    most: int = 20_000
    confidence: float = 1.96
    repeats: int = 20
    rows: int = 64

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        return cast("dict[str, JsonValue]", asdict(self))
