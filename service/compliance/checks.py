"""Can a control be assessed at all? Every reference, word and threshold of it is looked at."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from service.compliance.library import Library, Measurable
from service.compliance.possible import counted, decides_nothing
from service.compliance.predicate import BadPredicate, Words, check
from service.contracts.compliance import Control, Requirement
from service.contracts.vocabulary import METRICS

OWN = {
    "ledger": frozenset(
        {
            *("chain_breaks", "digest_mismatches", "unaccounted_runs", "retention_violations"),
            "thresholds_without_rationale",
        }
    ),
    "schedule": frozenset({"scheduled_completed_share"}),
    "waiver": frozenset({"invalid_waivers"}),
    "attestation": frozenset({"statement_current", "independent_signature"}),
    "dataset": frozenset({"shared_examples"}),
}
"""What the service itself knows, by source."""
DECLARED = frozenset({"clean_accuracy", "robust_accuracy"})
"""What an organisation or a model's facts can declare a level of."""


@dataclass(frozen=True, slots=True)
class ControlFault:
    """What is wrong with a control: its place among those given, and of its requirements (None: the control itself)."""

    place: int
    control: str
    said: str
    requirement: int | None = None

    def __str__(self) -> str:
        where = "" if self.requirement is None else f", requirement {self.requirement + 1}"
        return f"{self.control}{where}: {self.said}"


def control_faults(
    controls: Collection[Control], library: Library, measurable: Measurable, *, beside: Collection[Control] = ()
) -> Iterator[ControlFault]:
    """Everything about controls that cannot be.

    `library` has what they may refer to; `beside` are other controls in force, which are fine themselves.
    """
    every = [*beside, *controls]
    ids = Counter(control.id for control in every)
    known = {f"{framework.id}.{item.id}" for framework in library.frameworks for item in framework.items}
    guards = {control.id: control.guard for control in every}
    words = words_of(library, measurable)
    for place, control in enumerate(controls):
        for said in _own_faults(control, ids, known, guards, words):
            yield ControlFault(place, control.id, said)
        for at, requirement in enumerate(control.requirements):
            for said in requirement_faults(requirement, words):
                yield ControlFault(place, control.id, said, at)


def words_of(library: Library, measurable: Measurable) -> Words:
    """The kinds and families that controls may name."""
    return Words(kinds={*measurable.families, *library.kinds}, families=set(measurable.families.values()))


def _own_faults(
    control: Control, ids: Counter[str], known: set[str], guards: Mapping[str, str | None], words: Words
) -> Iterator[str]:
    if ids[control.id] > 1:
        yield "two controls have this id"
    for reference in control.references:
        if reference not in known:
            yield f"it refers to {reference}, which no framework has"
    if control.guard is not None and control.guard not in guards:
        yield f"its guard {control.guard} is no control"
    elif _circles(control.id, guards):
        yield "its guard leads back to itself"
    yield from _predicate_faults(control.applies, words)


def _predicate_faults(text: str, words: Words) -> Iterator[str]:
    try:
        check(text, words)
    except BadPredicate as error:
        yield f"applies: {error}"


def requirement_faults(requirement: Requirement, words: Words) -> Iterator[str]:
    """Everything about a requirement that cannot be."""
    if requirement.metric not in METRICS:
        near = difflib.get_close_matches(requirement.metric, METRICS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield f"{requirement.metric!r} is no word of the measurement vocabulary{hint}"
        return
    yield from _source_faults(requirement)
    yield from _rule_faults(requirement)
    yield from _predicate_faults(requirement.applies, words)
    for kind in requirement.kinds:
        if kind not in words.kinds:
            yield f"no kind of analysis is called {kind!r}"
    if requirement.family is not None and requirement.family not in words.families:
        yield f"no kind of analysis is of a family {requirement.family!r}"
    if said := decides_nothing(requirement):
        yield said


def _source_faults(requirement: Requirement) -> Iterator[str]:
    own = OWN.get(requirement.source)
    if own is None:
        if any(requirement.metric in metrics for metrics in OWN.values()):
            yield f"{requirement.metric} is no measurement; its source is the service itself"
        return
    if requirement.metric not in own:
        yield f"the source {requirement.source} knows {', '.join(sorted(own))}, and no {requirement.metric}"
    settings = set(requirement.config) - ({"document"} if requirement.source == "attestation" else set())
    if requirement.kinds or requirement.family or requirement.role or settings or requirement.over != "latest":
        yield f"the source {requirement.source} has no kinds, family, role, settings or lines"
    if requirement.relative_to != "nothing":
        yield f"the source {requirement.source} is compared with a threshold alone"


def _rule_faults(requirement: Requirement) -> Iterator[str]:
    if (requirement.rule == "exact") != (requirement.op == "=="):
        yield "the rule exact goes with ==, and == with exact"
    if requirement.rule == "ci" and (requirement.source in OWN or counted(requirement.metric)):
        yield f"the rule ci needs an interval, and {requirement.metric} is counted"
    if requirement.rule == "ci" and requirement.over == "total":
        yield "the rule ci needs an interval, and a total has none"
    if requirement.over == "total" and (not counted(requirement.metric) or requirement.relative_to != "nothing"):
        yield "only counts are added up to a total, relative to nothing"
    if requirement.relative_to == "declared" and requirement.metric not in DECLARED:
        yield f"a level is declared for {', '.join(sorted(DECLARED))} only"


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
