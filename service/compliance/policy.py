"""What does an organisation demand? A pinned library, and its own thresholds and controls, each accounted for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.compliance.assess import Set
from service.compliance.checks import control_faults
from service.compliance.library import Library, Measurable
from service.compliance.possible import decides_nothing
from service.contracts.compliance import Control
from service.contracts.facts import ModelFacts
from service.contracts.policies import Declared, PolicyContent, Tier
from service.contracts.problem import Fault

OWN_PREFIX = "ORG-"
TIERS: Mapping[str | None, Tier] = {"high": "high", "limited": "medium", "minimal": "low", None: "high"}
"""What a model's declared risk tier means for freshness; undeclared counts as high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What is assessed: the library's controls and the organisation's, with every change visible."""

    controls: tuple[Control, ...]
    set_by: Mapping[tuple[str, int], Set]
    tailored: frozenset[str]


def faults(content: PolicyContent, library: Library, measurable: Measurable) -> Iterator[Fault]:
    """Everything in a policy that cannot be, each at its JSON Pointer under `/content`."""
    if content.library not in (None, library.name):
        yield Fault(
            pointer="/content/library",
            detail=f"this service has {library.name}; a report under another version needs the release that ships it",
        )
    known = {framework.id for framework in library.frameworks}
    for place, name in enumerate(content.frameworks):
        if name not in known:
            yield Fault(pointer=f"/content/frameworks/{place}", detail=f"the library has no framework {name!r}")
    for place, control in enumerate(content.controls):
        if not control.id.startswith(OWN_PREFIX):
            yield Fault(
                pointer=f"/content/controls/{place}/id", detail=f"a control of your own begins with {OWN_PREFIX}"
            )
    for fault in control_faults(content.controls, library, measurable, beside=library.controls):
        at = "" if fault.requirement is None else f"/requirements/{fault.requirement}"
        yield Fault(pointer=f"/content/controls/{fault.place}{at}", detail=fault.said[:4000])
    yield from _override_faults(content, library)


def effective(content: PolicyContent, library: Library) -> Effective:
    """The controls as the policy has them. The policy must be without faults."""
    set_by = {
        (each.control, each.requirement - 1): Set(
            owner=each.owner, reason=each.reason, threshold=each.threshold, n=each.n, fresh=each.fresh
        )
        for each in content.overrides
    }
    tailored = {control for control, _ in set_by} | {control.id for control in content.controls}
    return Effective(controls=(*library.controls, *content.controls), set_by=set_by, tailored=frozenset(tailored))


def tier_of(content: PolicyContent, facts: ModelFacts) -> Tier:
    """How fresh evidence must be."""
    return content.tier or TIERS[facts.risk_tier]


def declared_of(content: PolicyContent, facts: ModelFacts) -> Declared:
    """The levels declared: the model's own, and where it declares none the policy's."""
    own = content.declared
    return Declared(
        accuracy=own.accuracy if facts.accuracy is None else facts.accuracy,
        robust_accuracy=own.robust_accuracy,
        epsilon=own.epsilon if facts.epsilon is None else facts.epsilon,
    )


def _override_faults(content: PolicyContent, library: Library) -> Iterator[Fault]:
    controls = {control.id: control for control in (*library.controls, *content.controls)}
    seen = set()
    for place, each in enumerate(content.overrides):
        at = f"/content/overrides/{place}"
        control = controls.get(each.control)
        if control is None:
            yield Fault(pointer=f"{at}/control", detail=f"there is no control {each.control}")
        elif control in content.controls:
            yield Fault(pointer=f"{at}/control", detail="it is a control of your own: change it where it stands")
        elif each.requirement > len(control.requirements):
            yield Fault(pointer=f"{at}/requirement", detail=f"{each.control} has {len(control.requirements)} of them")
        elif each.threshold is not None:
            changed = control.requirements[each.requirement - 1].model_copy(update={"threshold": each.threshold})
            if said := decides_nothing(changed):
                yield Fault(pointer=f"{at}/threshold", detail=said)
        if each.threshold is None and each.n is None and each.fresh is None:
            yield Fault(pointer=at, detail="it changes nothing: give a threshold, n or fresh")
        if (each.control, each.requirement) in seen:
            yield Fault(pointer=at, detail="this requirement is overridden twice")
        seen.add((each.control, each.requirement))
    for name in content.owners:
        if name not in controls:
            yield Fault(pointer=f"/content/owners/{name}", detail=f"there is no control {name}")
