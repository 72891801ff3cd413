"""What is a control library, and which of its metrics can the kinds of this release measure?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from service.catalog import Catalog
from service.contracts.api import KindName
from service.contracts.base import Text, Value, digest_of_value
from service.contracts.compliance import Control, Framework, Requirement

REPLAY = "replay"
"""The one kind that no worker computes: the service records how a replay agrees."""


class Library(Value):
    """A version of a control library."""

    schema_: Literal["control-library/1"] = Field(alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{1,2}\.\d+$")]
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    disclaimer: Text
    kinds: Annotated[tuple[KindName, ...], Field(max_length=128, strict=False)] = Field(
        (), description="Kinds that controls may name although this release may not have them: nothing measures those."
    )
    frameworks: Annotated[tuple[Framework, ...], Field(max_length=64, strict=False)]
    controls: Annotated[tuple[Control, ...], Field(min_length=1, max_length=512, strict=False)]

    @property
    def name(self) -> str:
        """Id and version."""
        return f"{self.id} {self.version}"

    @property
    def digest(self) -> str:
        """What exactly was applied: of RFC 8785."""
        return digest_of_value(self.model_dump(mode="json", by_alias=True))


@dataclass(frozen=True, slots=True)
class Measurable:
    """Which kinds there are, of which family and version, and which metric is measured by which of them."""

    families: Mapping[str, str]
    metrics: Mapping[str, frozenset[str]]
    versions: Mapping[str, int]

    @classmethod
    def of(cls, kinds: Catalog) -> "Measurable":
        """What this version's kinds measure."""
        found: dict[str, set[str]] = {"replay_mismatches": {REPLAY}}
        for name, kind in kinds.kinds().items():
            for metric in kind.metrics:
                found.setdefault(metric, set()).add(name)
        families = {name: kind.family for name, kind in kinds.kinds().items()} | {REPLAY: REPLAY}
        metrics = {metric: frozenset(names) for metric, names in found.items()}
        return cls(families, metrics, kinds.versions())

    def by(self, requirement: Requirement) -> frozenset[str]:
        """The kinds whose measurements can answer a requirement; none, where nothing measures it yet."""
        return frozenset(
            kind
            for kind in self.metrics.get(requirement.metric, frozenset())
            if requirement.family in (None, self.families[kind])
            if not requirement.kinds or kind in requirement.kinds
        )
