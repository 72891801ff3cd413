"""With what budget is a network attacked? Counts, never seconds, so that the same request gives the same numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import JsonValue

from workers.attack.space import Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """epsilons: ascending, above zero, each a point of the curve.

    steps: gradient steps of a whole ladder's first lane; the others follow from it. towards: most classes that lanes
    are led to. queries: of Square, per example; 0 leaves it out. doubled: everything twice, to see what more would
    bring.
    """

    norm: Norm
    epsilons: tuple[float, ...]
    steps: int = 50
    towards: int = 9
    queries: int = 5000
    doubled: bool = False

    def as_json(self) -> dict[str, JsonValue]:
        """As provenance keeps it."""
        return {**asdict(self), "epsilons": list(self.epsilons)}
