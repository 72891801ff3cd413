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
    standard errors of that difference (or both are of features that surely weigh under a hundredth of the largest), or
    `most` samples are drawn. repeats: resamples behind stability.
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

    def __post_init__(self) -> None:
        least = {"samples": 2, "features": 1, "repeats": 2, "rows": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} is at least {value}, not {getattr(self, name)}")
        if self.alpha < 0 or self.confidence <= 0:
            raise ValueError(f"alpha is no less than 0 and confidence above it, not {self.alpha}, {self.confidence}")

    def kept(self, features: int) -> int:
        """How many of so many features the surrogate keeps at most."""
        return features if self.selection == "none" else min(self.features, features)

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        return cast("dict[str, JsonValue]", asdict(self))
