"""Is a control library one that can be assessed? Read as data, every reference checked; the unknown is refused."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from service.catalog import Catalog, catalog
from service.compliance.predicate import BadPredicate, check
from service.contracts.api import KindName
from service.contracts.base import Text, Value, digest_of_value
from service.contracts.compliance import Control, Framework, Requirement
from service.contracts.vocabulary import METRICS

PATH = Path(__file__).with_name("library.yaml")
LARGEST = 1_000_000
REPLAY = "replay"
"""The one kind that no worker computes: the service records how a replay agrees."""
OWN = {
    "ledger": frozenset({"chain_breaks", "digest_mismatches", "unaccounted_runs", "retention_violations"}),
    "schedule": frozenset({"scheduled_completed_share"}),
    "waiver": frozenset({"invalid_waivers"}),
    "attestation": frozenset({"statement_current", "independent_signature", "thresholds_without_rationale"}),
    "dataset": frozenset({"shared_examples"}),
}
"""What the service itself knows, by source."""


class BadLibrary(ValueError):
    """A library that is refused; `faults` says everything that is wrong with it, each with its place."""

    def __init__(self, faults: Collection[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


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
    """Which kinds there are, of which family, and which metric is measured by which of them."""

    families: Mapping[str, str]
    metrics: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, kinds: Catalog) -> "Measurable":
        """What this version's kinds measure."""
        found: dict[str, set[str]] = {"replay_mismatches": {REPLAY}}
        for name, kind in kinds.kinds().items():
            for metric in kind.metrics:
                found.setdefault(metric, set()).add(name)
        families = {name: kind.family for name, kind in kinds.kinds().items()} | {REPLAY: REPLAY}
        return cls(families, {metric: frozenset(names) for metric, names in found.items()})

    def by(self, requirement: Requirement) -> frozenset[str]:
        """The kinds whose measurements can answer a requirement; none, where nothing measures it yet."""
        return frozenset(
            kind
            for kind in self.metrics.get(requirement.metric, frozenset())
            if requirement.family in (None, self.families[kind])
            if not requirement.kinds or kind in requirement.kinds
        )


@cache
def shipped() -> Library:
    """The library that comes with this version."""
    return load(PATH.read_text(encoding="utf-8"), Measurable.of(catalog()))


def load(text: str, measurable: Measurable) -> Library:
    """A library from YAML. Raises BadLibrary with every fault."""
    if len(text) > LARGEST:
        raise BadLibrary([f"the file has {len(text)} characters; a library has {LARGEST} at most"])
    try:
        read = yaml.safe_load(text)
        shaped = _shaped(read)
    except yaml.YAMLError as error:
        raise BadLibrary([f"this is no YAML: {' '.join(str(error).split())[:500]}"]) from error
    try:
        library = Library.model_validate_json(json.dumps(shaped))
    except (ValidationError, TypeError, ValueError) as error:
        raise BadLibrary(_said(error, shaped)) from error
    faults = [*_framework_faults(library), *control_faults(library.controls, library, measurable)]
    if faults:
        raise BadLibrary(faults)
    return library


def control_faults(
    controls: Collection[Control], library: Library, measurable: Measurable, *, beside: Collection[Control] = ()
) -> Iterator[str]:
    """Everything about controls that cannot be, each named by its control.

    `library` has what they may refer to; `beside` are other controls in force, which are fine themselves.
    """
    every = [*beside, *controls]
    ids = [control.id for control in every]
    known = {f"{framework.id}.{item.id}" for framework in library.frameworks for item in framework.items}
    guards = {control.id: control.guard for control in every}
    kinds = {*measurable.families, *library.kinds}
    for control in controls:
        if ids.count(control.id) > 1:
            yield f"{control.id}: two controls have this id"
        for reference in control.references:
            if reference not in known:
                yield f"{control.id}: it refers to {reference}, which no framework has"
        if control.guard is not None and control.guard not in guards:
            yield f"{control.id}: its guard {control.guard} is no control"
        elif _circles(control.id, guards):
            yield f"{control.id}: its guard leads back to itself"
        try:
            check(control.applies, kinds=kinds, families=set(measurable.families.values()))
        except BadPredicate as error:
            yield f"{control.id}: applies: {error}"
        for place, requirement in enumerate(control.requirements):
            for fault in _requirement_faults(requirement, kinds):
                yield f"{control.id}, requirement {place + 1}: {fault}"


def _requirement_faults(requirement: Requirement, kinds: Collection[str]) -> Iterator[str]:
    metric = METRICS.get(requirement.metric)
    if metric is None:
        yield f"{requirement.metric!r} is no word of the measurement vocabulary"
        return
    own = OWN.get(requirement.source)
    if own is not None and requirement.metric not in own:
        yield f"the source {requirement.source} knows {', '.join(sorted(own))}, and no {requirement.metric}"
    if own is not None and (requirement.kinds or requirement.family or requirement.relative_to != "nothing"):
        yield f"the source {requirement.source} has no kinds, family or reference"
    for kind in requirement.kinds:
        if kind not in kinds:
            yield f"no kind of analysis is called {kind!r}"
    if requirement.rule == "ci" and (requirement.op == "==" or own is not None):
        yield "the rule ci needs an interval and a side: no ==, and no source that counts"
    if requirement.rule == "exact" and requirement.op not in {"==", "<=", ">="}:
        yield "the rule exact takes ==, <= or >="
    yield from _impossible(requirement, metric.unit)


def _impossible(requirement: Requirement, unit: str) -> Iterator[str]:
    threshold = requirement.threshold
    if threshold is None or requirement.relative_to == "baseline_ratio":
        return
    share = unit.startswith("share of") and "critical" not in unit
    lowest = -1.0 if share or requirement.relative_to != "nothing" else None
    if share and abs(threshold) > 1:
        yield f"a share is never compared with {threshold:g}"
    elif lowest is None and threshold < 0 and unit not in {"target output", "rank correlation"}:
        yield f"a count is never below 0, and is compared with {threshold:g}"
    if unit == "yes or no" and threshold not in {0, 1}:
        yield f"it is 0 or 1, and is compared with {threshold:g}"


def _framework_faults(library: Library) -> Iterator[str]:
    ids = [framework.id for framework in library.frameworks]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"{name}: two frameworks have this id"


def _circles(start: str, guards: Mapping[str, str | None]) -> bool:
    seen, here = {start}, guards.get(start)
    while here is not None:
        if here == start:
            return True
        if here in seen:
            return False
        seen.add(here)
        here = guards.get(here)
    return False


def _shaped(read: Any) -> Any:
    """Framework items are written as `id: theme`, which reads best, and held as a list."""
    if isinstance(read, dict) and isinstance(read.get("frameworks"), list):
        for framework in read["frameworks"]:
            if isinstance(framework, dict) and isinstance(framework.get("items"), dict):
                items = framework["items"].items()
                framework["items"] = [{"id": str(name), "theme": theme} for name, theme in items]
    return read


def _said(error: Exception, read: Any) -> list[str]:
    if not isinstance(error, ValidationError):
        return [str(error)[:500]]
    return [f"{_place(fault['loc'], read)}: {fault['msg']}" for fault in error.errors(include_url=False)[:50]]


def _place(location: tuple[int | str, ...], read: Any) -> str:
    """Where a fault is, with the id of the control or framework instead of its number."""
    words, here = [], read
    for step in location:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        named = here.get("id") if isinstance(here, dict) else None
        words.append(str(named if named is not None else step))
    return ".".join(words)
